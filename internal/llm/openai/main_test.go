package openai

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tutti-run/tutti/internal/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "sk-test-5f2b"

// dial returns a Client of a server that answers with the handler.
func dial(t *testing.T, handler http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	opts := Options{BaseURL: server.URL + "/v1", APIKey: testKey}
	for _, c := range change {
		c(&opts)
	}
	client, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// dialPipe is dial within a synctest bubble: the connections are pipes, so that
// waiting is virtual.
func dialPipe(t *testing.T, handler http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	conns := make(pipes)
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(conns) }()
	transport := newTransport()
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case conns <- there:
			return here, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	opts := Options{BaseURL: "http://endpoint.test/v1", APIKey: testKey, Transport: transport}
	for _, c := range change {
		c(&opts)
	}
	client, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		close(conns)
		_ = server.Close()
	})
	return client
}

// pipes is a net.Listener.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (pipes) Close() error   { return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A reply is one answer of a scripted endpoint.
type reply struct {
	status int // 0 is 200
	header http.Header
	body   string
}

// A script answers each request with the next reply, the last one again and
// again, and keeps what it was asked.
type script struct {
	replies []reply

	mu      sync.Mutex
	bodies  []map[string]any
	headers []http.Header
	paths   []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	var body map[string]any
	_ = json.Unmarshal(raw, &body)
	s.mu.Lock()
	next := s.replies[min(len(s.bodies), len(s.replies)-1)]
	s.bodies = append(s.bodies, body)
	s.headers = append(s.headers, r.Header)
	s.paths = append(s.paths, r.URL.RequestURI())
	s.mu.Unlock()
	for key, values := range next.header {
		w.Header()[key] = values
	}
	if next.status != 0 {
		w.WriteHeader(next.status)
	}
	_, _ = io.WriteString(w, next.body)
}

// asks returns a plain request of a model.
func asks(model string) *llm.Request {
	return &llm.Request{Model: model, Messages: []llm.Message{{Author: llm.User, Text: "Say hello."}}}
}

func whole(text string) string {
	quoted, _ := json.Marshal(text)
	return `{"id":"c1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":` +
		string(quoted) + `},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`
}

// failure returns the *llm.Error of err, or fails the test.
func failure(t *testing.T, err error) *llm.Error {
	t.Helper()
	failed, ok := errors.AsType[*llm.Error](err)
	if !ok {
		t.Fatalf("got %v, want an *llm.Error", err)
	}
	return failed
}
