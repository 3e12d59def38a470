package openai

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
)

// A redirect sends every request to one server, whatever its host.
type redirect struct{ server *httptest.Server }

func (r redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	req.URL.Scheme, req.URL.Host = "http", r.server.Listener.Addr().String()
	return r.server.Client().Transport.RoundTrip(req)
}

func TestAddresses(t *testing.T) {
	tests := []struct {
		base, model string
		path        string
		azure       bool
		modern      bool
	}{
		{"", "gpt-4o", "/v1/chat/completions", false, true},
		{"https://eu.api.openai.com/v1/", "gpt-4o", "/v1/chat/completions", false, true},
		{"http://localhost:11434/v1", "llama3.1:8b", "/v1/chat/completions", false, false},
		{"https://generativelanguage.googleapis.com/v1beta/openai/", "gemini-2.5-pro", "/v1beta/openai/chat/completions", false, false},
		{"https://x.openai.azure.com", "gpt-4.1", "/openai/deployments/gpt-4.1/chat/completions?api-version=2024-10-21", true, true},
		{"https://x.openai.azure.com/openai?api-version=2025-01-01-preview", "a/../b?c", "/openai/deployments/a%2F..%2Fb%3Fc/chat/completions?api-version=2025-01-01-preview", true, true},
		{"https://x.openai.azure.com/openai/deployments/mine?api-version=2024-10-21", "gpt-4o", "/openai/deployments/mine/chat/completions?api-version=2024-10-21", true, true},
		{"https://x.openai.azure.com/openai/v1/", "gpt-4o", "/openai/v1/chat/completions", true, true},
		{"https://gateway.test/azure?api-version=2024-10-21", "gpt-4o", "/azure/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", true, true},
	}
	for _, test := range tests {
		t.Run(test.base, func(t *testing.T) {
			s := &script{replies: []reply{{body: whole("x")}}}
			server := httptest.NewServer(s)
			defer server.Close()
			client, err := New(Options{BaseURL: test.base, APIKey: " " + testKey + "\n", Transport: redirect{server}})
			if err != nil {
				t.Fatal(err)
			}
			req := asks(test.model)
			req.MaxTokens = 5
			if _, err := client.Chat(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			if s.paths[0] != test.path {
				t.Errorf("asked at %s, want %s", s.paths[0], test.path)
			}
			bearer, key := s.headers[0].Get("Authorization"), s.headers[0].Get("Api-Key")
			if test.azure && (bearer != "" || key != testKey) || !test.azure && (bearer != "Bearer "+testKey || key != "") {
				t.Errorf("the key went as Authorization %q, api-key %q", bearer, key)
			}
			if (s.bodies[0]["max_completion_tokens"] != nil) != test.modern || (s.bodies[0]["max_tokens"] != nil) == test.modern {
				t.Errorf("sent %v", s.bodies[0])
			}
		})
	}
}

func TestBadOptions(t *testing.T) {
	for _, opts := range []Options{
		{BaseURL: "localhost:8080"},
		{BaseURL: "ftp://host/v1"},
		{BaseURL: "https://"},
		{BaseURL: "https://user:" + testKey + "@host/v1"},
		{BaseURL: "https://host/v1?key=" + testKey},
		{BaseURL: "https://host/v1#x"},
		{BaseURL: "https://host/%zz"},
		{BaseURL: "https://host/v1/chat/completions"},
		{BaseURL: "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=v"},
		{APIKey: testKey + "\nX-Evil: 1"},
	} {
		if _, err := New(opts); err == nil || strings.Contains(err.Error(), testKey) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, stream := range []bool{false, true} {
		s := &script{replies: []reply{{body: whole("x")}}}
		client := dial(t, s.ServeHTTP, func(o *Options) { o.APIKey = "" })
		req := asks("m")
		req.Stream = stream
		req.IdempotencyKey = "run_1/T1/1"
		_, _ = client.Chat(t.Context(), req)
		h := s.headers[0]
		if h.Get("User-Agent") != "tutti" || h.Get("Idempotency-Key") != "run_1/T1/1" || h.Get("Authorization") != "" {
			t.Errorf("sent %v", h)
		}
	}
}

func TestConnectionsAreKept(t *testing.T) {
	for name, body := range map[string]string{
		"whole":                 whole("x"),
		"whole, something left": whole("x") + strings.Repeat(" ", 3000),
		"stream":                sse(delta("x"), stop, "[DONE]") + ": bye\n\n",
		"error":                 "",
	} {
		t.Run(name, func(t *testing.T) {
			addresses := map[string]bool{}
			client := dial(t, func(w http.ResponseWriter, r *http.Request) {
				addresses[r.RemoteAddr] = true
				if name == "error" {
					w.WriteHeader(http.StatusTooManyRequests)
				}
				_, _ = io.WriteString(w, body)
				_ = http.NewResponseController(w).Flush()
			})
			for range 5 {
				req := asks("m")
				req.Stream = name == "stream"
				if _, err := client.Chat(t.Context(), req); (err != nil) != (name == "error") {
					t.Fatal(err)
				}
			}
			if len(addresses) != 1 {
				t.Errorf("%d connections for 5 calls in series", len(addresses))
			}
		})
	}
}

// As many connections are kept as there were calls at once, however many.
func TestConnectionsOfManyCallsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dialed atomic.Int32
		client := dialPipe(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(time.Second) // until all are there
			_, _ = io.WriteString(w, whole("x"))
		}, func(o *Options) {
			transport := o.Transport.(*http.Transport)
			dial := transport.DialContext
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				dialed.Add(1)
				return dial(ctx, network, address)
			}
		})
		const calls = 600
		for range 2 {
			var all sync.WaitGroup
			for range calls {
				all.Go(func() {
					if _, err := client.Chat(t.Context(), asks("m")); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			synctest.Wait()
		}
		if n := dialed.Load(); n != calls {
			t.Errorf("%d connections for %d calls at once, twice", n, calls)
		}
	})
}

// A body can be had again, as net/http needs it when a kept connection turns out
// to be closed before anything was sent.
func TestBodiesCanBeHadAgain(t *testing.T) {
	var bodies []string
	client, err := New(Options{BaseURL: "http://endpoint.test/v1", Transport: rounds(func(req *http.Request) (*http.Response, error) {
		for range 2 {
			text, _ := io.ReadAll(req.Body)
			if req.ContentLength != int64(len(text)) {
				t.Errorf("%d bytes are %d", len(text), req.ContentLength)
			}
			bodies = append(bodies, string(text))
			req.Body, _ = req.GetBody()
		}
		return canned(whole("x")).RoundTrip(req)
	})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Chat(t.Context(), asks("m")); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 2 || bodies[0] != bodies[1] || !strings.Contains(bodies[0], "Say hello.") {
		t.Errorf("bodies %q", bodies)
	}
}

type rounds func(*http.Request) (*http.Response, error)

func (f rounds) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestHTTP2(t *testing.T) {
	s := &script{replies: []reply{{body: sse(delta("Hel"), delta("lo"), stop, billed, "[DONE]")}}}
	protocols := map[string]bool{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocols[r.Proto] = true
		s.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	transport := newTransport()
	transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	client, err := New(Options{BaseURL: server.URL, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if resp, err := client.Chat(t.Context(), streamed()); err != nil || resp.Text != "Hello" || !protocols["HTTP/2.0"] {
		t.Errorf("got %+v, %v over %v", resp, err, protocols)
	}
}

func FuzzFault(f *testing.F) {
	for _, seed := range []string{
		`{"error":{"message":"x","code":400,"n_ctx":5}}`, `[{"error":{"code":429}}]`, `{"error":"x"}`,
		`{"object":"error","message":{"detail":[]}}`, `{"error":{"error":{"error":1}}}`, `{"error":{"n_ctx":1e99}}`, `[`, `null`, `"x"`, `<html>`,
		`{"message":"prompt is too long: 1 tokens > 99999999999999999999 maximum"}`,
	} {
		f.Add(400, seed)
		f.Add(200, seed)
	}
	client, err := New(Options{APIKey: testKey})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		told := readFault(status, http.Header{"Retry-After": {body}}, []byte(body))
		if told == nil {
			return
		}
		failed := client.blame(told)
		if failed.Outcome == "" || failed.Outcome == llm.OK || len([]rune(failed.Detail)) > maxDetail || strings.Contains(failed.Detail, testKey) {
			t.Errorf("%+v", failed)
		}
		if failed.Window < 0 || failed.Window > maxTokens || failed.RetryAfter < 0 || failed.RetryAfter > maxRetryAfter {
			t.Errorf("%+v", failed)
		}
		client.lessons.from("m", features{}, features{}.request(everything()), failed)
		if len(told.message) > maxMessage {
			t.Errorf("a message of %d bytes is kept", len(told.message))
		}
	})
}
