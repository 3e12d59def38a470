// Command stub is a small service for the workflows beside it to work with: an
// inventory with measurements, incidents with logs and changes, brands with style
// guides, and files. It keeps everything in memory.
//
//	go run ./examples/tools/stub
//
// GET /calls tells what was asked of it, in order, with the idempotency keys.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8090", "the address to serve on; port 0 takes a free one")
	flag.Parse()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	server := &http.Server{Handler: newStub(), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(listener))
}

// A call is a request that the stub has answered.
type call struct {
	Method string `json:"method"`
	Path   string `json:"path"` // with the query
	Key    string `json:"key"`  // the idempotency key
	Status int    `json:"status"`
}

// A file is a text by name.
type file struct {
	Name  string `json:"name"`
	Text  string `json:"text,omitempty"`
	Bytes int    `json:"bytes"`
}

type stub struct {
	mu    sync.Mutex
	calls []call
	files map[string]file
}

func newStub() http.Handler {
	s := &stub{files: map[string]file{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ci", s.findCI)
	mux.HandleFunc("GET /ci/{id}/samples", s.samples)
	mux.HandleFunc("GET /incidents", s.failures)
	mux.HandleFunc("GET /incidents/{id}", s.incident)
	mux.HandleFunc("GET /services/{name}/logs", s.logs)
	mux.HandleFunc("GET /services/{name}/changes", s.changes)
	mux.HandleFunc("GET /brands/{name}", s.brand)
	mux.HandleFunc("POST /files", s.create)
	mux.HandleFunc("DELETE /files/{name}", s.remove)
	mux.HandleFunc("POST /releases", s.release)
	whole := http.NewServeMux()
	whole.Handle("/", s.noted(mux))
	whole.HandleFunc("GET /files", s.list)
	whole.HandleFunc("GET /calls", s.told)
	return whole
}

// noted keeps what was asked, and how it was answered.
func (s *stub) noted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &answer{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, call{r.Method, r.URL.RequestURI(), r.Header.Get("Idempotency-Key"), seen.status})
	})
}

type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (s *stub) create(w http.ResponseWriter, r *http.Request) {
	var f file
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&f); err != nil || f.Name == "" {
		refuse(w, http.StatusUnprocessableEntity, "a file has a name and a text")
		return
	}
	f.Bytes = len(f.Text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[f.Name] = f // the same call twice makes one file
	f.Text = ""
	give(w, f)
}

func (s *stub) remove(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, was := s.files[r.PathValue("name")]
	delete(s.files, r.PathValue("name"))
	give(w, map[string]bool{"deleted": was}) // a file that is not there is no failure
}

// release puts files on show. A product called embargoed is refused.
func (s *stub) release(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Product string   `json:"product"`
		Files   []string `json:"files"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&asked); err != nil {
		refuse(w, http.StatusUnprocessableEntity, "a release has a product and files")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range asked.Files {
		if _, there := s.files[name]; !there {
			refuse(w, http.StatusConflict, "there is no file "+name)
			return
		}
	}
	if asked.Product == "embargoed" {
		refuse(w, http.StatusForbidden, "the product must not be shown yet")
		return
	}
	give(w, map[string]any{"released": asked.Files})
}

func (s *stub) list(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	give(w, s.files)
}

func (s *stub) told(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = []call{}
	}
	give(w, s.calls)
}

func give(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		log.Print(err) // whoever asked has gone
	}
}

func refuse(w http.ResponseWriter, status int, why string) {
	http.Error(w, why, status)
}
