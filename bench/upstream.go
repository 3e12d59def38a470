package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// upstream is a model's endpoint with canned answers: a plan of ten subtasks to
// whoever asks for one, otherwise a text. It costs as little as it can, since
// it shares the machine with what is measured.
type upstream struct {
	latency atomic.Int64 // of every answer, in nanoseconds
	calls   atomic.Int64
	bytes   atomic.Int64 // of the requests' bodies
	plan    []byte
	other   atomic.Pointer[[]byte]
	paths   paths
}

// planMark tells a request for a plan from all others.
var planMark = []byte("You are the planner")

// slower is how much longer the slow model takes.
const slower = 2 * time.Second

// serveUpstream serves on a free port, which it prints.
func serveUpstream(ctx context.Context) error {
	u := &upstream{plan: completion(tenSubtasks())}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) { u.complete(w, r, 0) })
	mux.HandleFunc("POST /slow/v1/chat/completions", func(w http.ResponseWriter, r *http.Request) { u.complete(w, r, slower) })
	mux.HandleFunc("GET /path", func(w http.ResponseWriter, r *http.Request) {
		path, err := u.paths.take(r.URL.Query().Get("key"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		fmt.Fprint(w, int64(path))
	})
	mux.HandleFunc("POST /answer", func(_ http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.URL.Query().Get("after"))
		size, _ := strconv.Atoi(r.URL.Query().Get("bytes"))
		other := completion(text(size))
		u.latency.Store(int64(d))
		u.other.Store(&other)
	})
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, u.calls.Load(), " ", u.bytes.Load())
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { server.Close() })
	server.Serve(listener)
	return nil
}

func (u *upstream) complete(w http.ResponseWriter, r *http.Request, slower time.Duration) {
	began := time.Now()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return
	}
	u.calls.Add(1)
	u.bytes.Add(int64(len(body)))
	d := time.Duration(u.latency.Load()) + slower
	if d > 0 {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
			return
		}
	}
	answer := *u.other.Load()
	if bytes.Contains(body, planMark) {
		answer = u.plan
	}
	if d > 0 { // nobody asks for the paths of calls that take no time
		u.paths.add(body, began, time.Now())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(answer)
}

func completion(content string) []byte {
	data, _ := json.Marshal(map[string]any{
		"id": "bench", "object": "chat.completion", "created": 1, "model": "bench",
		"choices": []any{map[string]any{
			"index": 0, "finish_reason": "stop",
			"message": map[string]any{"role": "assistant", "content": content},
		}},
		"usage": map[string]any{"prompt_tokens": 500, "completion_tokens": 300, "total_tokens": 800},
	})
	return data
}

func tenSubtasks() string {
	var subtasks []string
	for i := range 10 {
		subtasks = append(subtasks, fmt.Sprintf(`{"id":"T%d","type":"analyst","description":"Look at the matter from side %d and say what stands out there.","depends_on":[]}`, i+1, i+1))
	}
	return `{"analysis":"Ten sides, each on its own.","subtasks":[` + strings.Join(subtasks, ",") + `]}`
}

// text returns words of that many bytes.
func text(size int) string {
	const words = "The quick brown fox jumps over the lazy dog and thinks of the next line. "
	return strings.Repeat(words, size/len(words)+1)[:size]
}
