package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/go-chi/chi/v5"
	"go.uber.org/goleak"

	tutti "github.com/tutti-run/tutti"
	"github.com/tutti-run/tutti/internal/orchestration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A client speaks to a server over connections in memory, so that both can
// live in a bubble of package synctest, and holds every response to
// openapi.yaml.
type client struct {
	t     *testing.T
	http  *http.Client
	world *world
}

// serve starts the API on a world of its own.
func serve(t *testing.T, change func(*Options, *world)) *client {
	t.Helper()
	w := newWorld(t)
	o := Options{Driver: w, Reader: w, Defaults: testDefaults(), Version: "test"}
	if change != nil {
		change(&o, w)
	}
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	// Its timeouts must end neither a wait nor a stream.
	server := &http.Server{Handler: New(o), ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	transport := &http.Transport{DialContext: l.dial, DisableCompression: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
		w.working.Wait()
	})
	c := &client{t: t, world: w}
	c.http = &http.Client{Transport: &holder{t: t, next: transport}}
	return c
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// A response is one that was read whole.
type response struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

func (c *client) request(method, path, body string, header ...string) *http.Request {
	c.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, "http://tutti"+path, content)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	return r
}

func (c *client) do(method, path, body string, header ...string) response {
	c.t.Helper()
	answer, err := c.http.Do(c.request(method, path, body, header...))
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response{t: c.t, status: answer.StatusCode, header: answer.Header, body: content}
}

// start begins a run and returns its id.
func (c *client) start(body string, header ...string) string {
	c.t.Helper()
	r := c.do("POST", "/v1/runs", body, header...)
	r.is(http.StatusAccepted)
	return r.run().Id
}

func (r response) is(status int) response {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

func (r response) run() Run { return decode[Run](r) }

func decode[T any](r response) T {
	r.t.Helper()
	var v T
	if err := json.Unmarshal(r.body, &v); err != nil {
		r.t.Fatalf("%v in %s", err, r.body)
	}
	return v
}

// problem checks that the response is a problem of that status and code, with
// faults at those places.
func (r response) problem(status int, code orchestration.Code, pointers ...string) Problem {
	r.t.Helper()
	r.is(status)
	p := decode[Problem](r)
	if p.Code != code || p.Status != status || p.RequestId != r.header.Get("X-Request-Id") {
		r.t.Fatalf("problem %s, want code %s", r.body, code)
	}
	var got []string
	for _, f := range p.Errors {
		got = append(got, f.Pointer)
	}
	if strings.Join(got, " ") != strings.Join(pointers, " ") {
		r.t.Fatalf("faults at %q, want %q: %s", got, pointers, r.body)
	}
	return p
}

// openAPI is openapi.yaml as kin-openapi reads it, and its paths as chi does.
var openAPI = sync.OnceValue(func() (d struct {
	doc   *openapi3.T
	paths chi.Router
},
) {
	doc, err := openapi3.NewLoader().LoadFromData(tutti.OpenAPI)
	if err != nil {
		panic(err)
	}
	d.doc, d.paths = doc, chi.NewRouter()
	for path := range doc.Paths.Map() {
		d.paths.HandleFunc(path, func(http.ResponseWriter, *http.Request) {})
	}
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/vnd.mermaid", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/vnd.graphviz", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/yaml", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("multipart/byteranges", openapi3filter.PlainBodyDecoder)
	return d
})

// A holder holds every response to openapi.yaml.
type holder struct {
	t    *testing.T
	next http.RoundTripper
}

func (h *holder) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := h.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	var content []byte
	streamed := strings.HasPrefix(answer.Header.Get("Content-Type"), typeEvents)
	if !streamed {
		if content, err = io.ReadAll(answer.Body); err != nil {
			return nil, err
		}
		answer.Body.Close()
		answer.Body = io.NopCloser(bytes.NewReader(content))
	}
	h.hold(r, answer, content)
	return answer, nil
}

func (h *holder) hold(r *http.Request, answer *http.Response, content []byte) {
	h.t.Helper()
	if answer.Header.Get("X-Request-Id") == "" || answer.Header.Get("X-Content-Type-Options") != "nosniff" || answer.Header.Get("Cache-Control") != "no-store" {
		h.t.Errorf("%s %s: headers are missing: %v", r.Method, r.URL.Path, answer.Header)
	}
	if (answer.StatusCode == http.StatusServiceUnavailable || answer.StatusCode == http.StatusTooManyRequests) && answer.Header.Get("Retry-After") == "" {
		h.t.Errorf("%s %s: %d without Retry-After", r.Method, r.URL.Path, answer.StatusCode)
	}
	if answer.StatusCode >= 400 && r.Method != http.MethodHead && answer.Header.Get("Content-Type") != "application/problem+json" {
		h.t.Errorf("%s %s: %d is no problem: %s", r.Method, r.URL.Path, answer.StatusCode, content)
	}
	d := openAPI()
	match := chi.NewRouteContext()
	d.paths.Match(match, http.MethodGet, r.URL.EscapedPath())
	item := d.doc.Paths.Find(match.RoutePattern())
	if item == nil || item.GetOperation(r.Method) == nil {
		if answer.StatusCode >= 400 && r.Method != http.MethodHead {
			h.schema("Problem", content)
		}
		return
	}
	route := &routers.Route{Spec: d.doc, Path: match.RoutePattern(), PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method)}
	err := openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Route: route},
		Status:                 answer.StatusCode, Header: answer.Header, Body: io.NopCloser(bytes.NewReader(content)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		h.t.Errorf("%s %s: %d is not as openapi.yaml says: %v\n%s", r.Method, r.URL.Path, answer.StatusCode, err, content)
	}
}

// schema holds a value to a schema of openapi.yaml.
func (h *holder) schema(name string, content []byte) {
	h.t.Helper()
	var value any
	if err := json.Unmarshal(content, &value); err != nil {
		h.t.Errorf("%s: %v", content, err)
		return
	}
	err := openAPI().doc.Components.Schemas[name].Value.VisitJSON(value, openapi3.EnableJSONSchema2020(), openapi3.VisitAsResponse())
	if err != nil {
		h.t.Errorf("%s is no %s: %v", content, name, err)
	}
}

// An sse is a frame as a reader sees it.
type sse struct{ id, event, data string }

// frames reads a stream to its end, or until enough says so, and holds each
// frame to openapi.yaml.
func frames(t *testing.T, body io.Reader, enough func(sse) bool) []sse {
	t.Helper()
	var all []sse
	var f sse
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	h := &holder{t: t}
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			f.id = value
		case "event":
			f.event = value
		case "data":
			f.data = value
		case "":
			if value != "" { // a comment
				f = sse{event: ": " + value}
				break
			}
			if f.event == "" {
				break
			}
			switch {
			case f.event == "delta":
				h.schema("Delta", []byte(f.data))
			case f.data != "":
				h.schema("Event", []byte(f.data))
			}
			all = append(all, f)
			if enough != nil && enough(f) {
				return all
			}
			f = sse{}
		default:
			t.Errorf("strange line %q", lines.Text())
		}
	}
	return all
}

func types(all []sse) string {
	var names []string
	for _, f := range all {
		names = append(names, f.event)
	}
	return strings.Join(names, ",")
}
