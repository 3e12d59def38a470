package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// streamable serves MCP over HTTP until the test ends.
func streamable(t *testing.T, o *mcp.StreamableHTTPOptions) http.Handler {
	t.Helper()
	m := newMCPServer()
	t.Cleanup(func() {
		for s := range m.Sessions() {
			_ = s.Close()
		}
	})
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return m }, o)
}

// overHTTP returns a server of streamable HTTP, and its Config.
func overHTTP(t *testing.T, o *mcp.StreamableHTTPOptions) Config {
	t.Helper()
	h := streamable(t, o)
	url := website(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+secretText {
			http.Error(w, "who is "+r.Header.Get("Authorization"), http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
	return Config{
		Name: "remote", AllowPrivate: []string{"127.0.0.1"}, Timeout: 20 * time.Second,
		MCP: &MCP{URL: url, Headers: map[string]Value{"Authorization": {Plain: "Bearer ", Secret: secretText}}},
	}
}

func TestMCP(t *testing.T) {
	for name, c := range map[string]Config{
		"stdio":           stdio("well"),
		"streamable HTTP": overHTTP(t, nil),
		"as JSON":         overHTTP(t, &mcp.StreamableHTTPOptions{JSONResponse: true}),
		"stateless":       overHTTP(t, &mcp.StreamableHTTPOptions{Stateless: true}),
	} {
		t.Run(name, func(t *testing.T) {
			c.MaxBytes = 1000
			c.MCP.ReadOnly = []string{"echo"}
			s, seen := open(t, c)
			tools := map[string]orchestration.Tool{}
			for _, tool := range s.Tools() {
				tools[strings.TrimPrefix(tool.Name, c.Name+"_")] = tool
			}
			e := tools["echo"]
			if len(tools) != 12 || e.Description != "does echo" || !e.ReadOnly || tools["die"].ReadOnly || !strings.Contains(string(e.Schema), `"properties":{`) {
				t.Fatalf("got %d tools, %+v", len(tools), e)
			}
			for _, tt := range []struct {
				tool, arguments, want string
				code                  orchestration.Code
				outcome               Outcome
			}{
				{"echo", `{"text":"<a>"}`, "<a>\ntwice: <a>", "", OK},
				{"key", ``, "run_1/T1", "", OK},
				{"structured", `{}`, `{"a":[1,2],"b":"<1>"}`, "", OK},
				{"files_read_all", `{}`, "of a file", "", OK},
				{"many", `{"n":1000}`, strings.Repeat("x", 1000), "", OK},
				{"many", `{"n":1001}`, "more than 1000 bytes", orchestration.CodeOutputTooLarge, TooLarge},
				{"many", `{"n":5000000}`, "more than 1000 bytes", orchestration.CodeOutputTooLarge, TooLarge},
				{"picture", `{}`, "no text", orchestration.CodeToolFailed, Unreadable},
				{"fail", `{"text":"a\nb"}`, "the tool failed: no luck with a b", orchestration.CodeToolFailed, Refused},
				{"echo", `{"text":7}`, "/text: ", orchestration.CodeOutputInvalid, InvalidArguments},
				{"echo", `{"other":7}`, "additional properties", orchestration.CodeOutputInvalid, InvalidArguments},
			} {
				got, failure := s.Call(t.Context(), c.Name+"_"+tt.tool, json.RawMessage(tt.arguments), "run_1/T1")
				if last := c.Name + "_" + tt.tool + " " + string(tt.outcome); seen.last() != last {
					t.Errorf("observed %s, want %s", seen.last(), last)
				}
				if tt.code != "" {
					want(t, failure, tt.code, false, tt.want)
				} else if failure != nil || got != tt.want {
					t.Errorf("%s: got %q, %+v", tt.tool, got, failure)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			var given sync.WaitGroup
			given.Go(func() {
				_, failure := s.Call(ctx, c.Name+"_hang", nil, "")
				want(t, failure, orchestration.CodeCanceled, false, "given up")
			})
			cancel()
			given.Wait()
			if got, failure := s.Call(t.Context(), c.Name+"_echo", json.RawMessage(`{"text":"again"}`), ""); failure != nil {
				t.Errorf("after a call that was given up: %q, %+v", got, failure)
			}
		})
	}
}

// An answer that is much too long ends its call, and neither the server nor the other
// calls that it is at work on.
func TestAnswersThatAreMuchTooLong(t *testing.T) {
	local, remote := stdio("well"), overHTTP(t, nil)
	local.MaxBytes, remote.MaxBytes = 1000, 1000
	s, _ := open(t, local, remote)
	ctx, cancel := context.WithCancel(t.Context())
	var given sync.WaitGroup
	given.Go(func() {
		_, failure := s.Call(ctx, "local_hang", nil, "")
		want(t, failure, orchestration.CodeCanceled, false, "given up")
	})
	for _, name := range []string{"local", "remote"} {
		for range restartsAtOnce + 2 {
			_, failure := s.Call(t.Context(), name+"_many", json.RawMessage(`{"n":5000000}`), "")
			want(t, failure, orchestration.CodeOutputTooLarge, false, "more than 1000 bytes")
		}
		if got, failure := s.Call(t.Context(), name+"_echo", json.RawMessage(`{"text":"x"}`), ""); failure != nil {
			t.Errorf("%s afterwards: %q, %+v", name, got, failure)
		}
	}
	cancel()
	given.Wait()
}

// Servers send a structured answer twice: as it is, and as a text.
func TestAStructuredAnswerAsLargeAsMayBe(t *testing.T) {
	for name, c := range map[string]Config{"local": stdio("well"), "remote": overHTTP(t, nil)} {
		s, _ := open(t, c)
		got, failure := s.Call(t.Context(), name+"_rows", json.RawMessage(`{"n":100000}`), "")
		if failure != nil || len(got) < 1_000_000 {
			t.Errorf("%s: %d bytes, %+v", name, len(got), failure)
		}
	}
}

func TestWhatALineAnswers(t *testing.T) {
	const most = 2000
	long := strings.Repeat(`{"id":9},`, 500)
	for line, want := range map[string]string{
		`{"jsonrpc":"2.0","id":3,"result":[` + long + `0]}`:                          `{"jsonrpc":"2.0","id":3,"error":`,
		`{"id": 4, "jsonrpc": "2.0", "result": [` + long + `{"id":9}]}`:              `{"jsonrpc":"2.0","id":4,"error":`,
		`{"result":{"a":[` + long + `0]},"jsonrpc":"2.0","id":5}`:                    `{"jsonrpc":"2.0","id":5,"error":`,
		`{"jsonrpc":"2.0","result":{"a":[` + long + `0]} , "id" : 6 }` + "\r":        `{"jsonrpc":"2.0","id":6,"error":`,
		`{"jsonrpc":"2.0","method":"notifications/message","params":"` + long + `"}`: "",
		strings.Repeat("x", 1<<20):                                                   "",
		strings.Repeat("x", most-1):                                                  strings.Repeat("x", most-1),
		`{"jsonrpc":"2.0","id":3,"result":1}`:                                        `{"jsonrpc":"2.0","id":3,"result":1}`,
	} {
		pieces := iotest.OneByteReader(strings.NewReader("{}\n" + line + "\n{}"))
		got, err := io.ReadAll(newLines(io.NopCloser(pieces), most))
		if want == "" {
			if !errors.Is(err, errTooLong) {
				t.Errorf("%.60s: %.60s, %v", line, got, err)
			}
			continue
		}
		if all := strings.Split(string(got), "\n"); err != nil || len(all) != 3 || !strings.HasPrefix(all[1], want) || all[2] != "{}" {
			t.Errorf("%.60s: %.200s, %v", line, got, err)
		}
	}
}

// A server that floods its pipe, in a call or between two, is not read for ever.
func TestALineWithoutAnEnd(t *testing.T) {
	for name, flood := range map[string]io.Reader{"no message": endless('x'), "an answer": io.MultiReader(strings.NewReader(`{"id":3,"result":"`), endless('x'))} {
		lines := newLines(io.NopCloser(io.MultiReader(io.LimitReader(flood, 2*maxLine), iotest.ErrReader(io.ErrNoProgress))), 2000)
		if got, err := io.ReadAll(lines); len(got) > 0 || !errors.Is(err, errTooLong) {
			t.Errorf("%s: %.60s, %v", name, got, err)
		}
	}
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestManyCallsAtOnce(t *testing.T) {
	s, _ := open(t, stdio("well"))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, failure := s.Call(t.Context(), "local_echo", json.RawMessage(`{"text":"x"}`), ""); failure != nil {
				t.Errorf("got %q, %+v", got, failure)
			}
		})
	}
	all.Wait()
}

// A process gets what it needs and what is configured, and none of our secrets.
func TestTheEnvironmentIsMinimal(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "of-nobody")
	s, _ := open(t, stdio("well"))
	got, failure := s.Call(t.Context(), "local_environment", nil, "")
	if failure != nil || !strings.Contains(got, "API_TOKEN=(secret)") || !strings.Contains(got, "PATH=") || strings.Contains(got, "of-nobody") || strings.Contains(got, secretText) {
		t.Errorf("got %q, %+v", got, failure)
	}
}

// A server that has died is started again by the next call, but not for ever.
func TestAServerThatDies(t *testing.T) {
	s, seen := open(t, stdio("well"))
	for i := range restartsAtOnce + 1 {
		if got, failure := s.Call(t.Context(), "local_echo", json.RawMessage(`{"text":"x"}`), ""); failure != nil {
			t.Fatalf("life %d: got %q, %+v", i, got, failure)
		}
		_, failure := s.Call(t.Context(), "local_die", nil, "")
		want(t, failure, orchestration.CodeToolFailed, true, "the connection to the tool broke; what it did is not known")
	}
	_, failure := s.Call(t.Context(), "local_echo", json.RawMessage(`{"text":"x"}`), "")
	want(t, failure, orchestration.CodeToolFailed, true, "ended too often")
	if failure.RetryAfter != restartEvery || seen.last() != "local_echo unavailable" {
		t.Errorf("%+v, %s", failure, seen.last())
	}
}

// A web server that forgets its sessions is asked for a new one.
func TestASessionThatIsForgotten(t *testing.T) {
	var handler atomic.Pointer[http.Handler]
	renew := func() {
		h := streamable(t, nil)
		handler.Store(&h)
	}
	renew()
	c := overHTTP(t, nil)
	c.MCP.URL = website(t, func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) })
	s, _ := open(t, c)
	renew()
	failures := 0
	for range 3 {
		if _, failure := s.Call(t.Context(), "remote_echo", json.RawMessage(`{"text":"x"}`), ""); failure != nil {
			want(t, failure, orchestration.CodeToolFailed, true, "")
			failures++
		}
	}
	if failures > 1 {
		t.Errorf("%d calls failed, want one at most", failures)
	}
}

func TestStatusesOfAServer(t *testing.T) {
	var status atomic.Int32
	c := overHTTP(t, nil)
	h := streamable(t, &mcp.StreamableHTTPOptions{JSONResponse: true})
	c.MCP.URL = website(t, func(w http.ResponseWriter, r *http.Request) {
		switch code := int(status.Load()); code {
		case 0:
			h.ServeHTTP(w, r)
		case 200:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(make([]byte, 4<<20))
		default:
			w.Header().Set("Retry-After", "7")
			http.Error(w, "I know "+r.Header.Get("Authorization"), code)
		}
	})
	s, seen := open(t, c)
	for _, tt := range []struct {
		status  int
		code    orchestration.Code
		retry   bool
		outcome Outcome
	}{
		{503, orchestration.CodeToolFailed, true, Unavailable},
		{429, orchestration.CodeToolFailed, true, RateLimited},
		{403, orchestration.CodeToolFailed, false, Refused},
		{200, orchestration.CodeOutputTooLarge, false, TooLarge},
	} {
		status.Store(int32(tt.status))
		_, failure := s.Call(t.Context(), "remote_echo", json.RawMessage(`{"text":"x"}`), "")
		want(t, failure, tt.code, tt.retry, "")
		if seen.last() != "remote_echo "+string(tt.outcome) || tt.retry != (failure.RetryAfter == 7*time.Second) {
			t.Errorf("%d: %s, %+v", tt.status, seen.last(), failure)
		}
		status.Store(0)
		if _, failure := s.Call(t.Context(), "remote_echo", json.RawMessage(`{"text":"x"}`), ""); failure != nil {
			t.Errorf("after a %d: %+v", tt.status, failure)
		}
	}
}

// A deaf pipe takes no more once it has gone deaf, until it is closed.
type deaf struct {
	io.WriteCloser
	gone    atomic.Bool
	waiting chan struct{}
	closed  chan struct{}
	once    sync.Once
}

func (d *deaf) Write(p []byte) (int, error) {
	if !d.gone.Load() {
		return d.WriteCloser.Write(p)
	}
	d.once.Do(func() { close(d.waiting) })
	<-d.closed
	return 0, io.ErrClosedPipe
}

// A call whose message nobody takes ends soon after its context.
func TestAServerThatIsDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toServer, in := io.Pipe()
		fromServer, out := io.Pipe()
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = newMCPServer().Run(t.Context(), &mcp.IOTransport{Reader: toServer, Writer: out})
		}()
		d := &deaf{WriteCloser: in, waiting: make(chan struct{}), closed: make(chan struct{})}
		s := &session{dead: make(chan struct{}), end: func() { <-served }}
		s.abandon = sync.OnceFunc(func() { close(d.closed); _ = in.Close(); _ = fromServer.Close() })
		if err := s.start(t.Context(), &mcp.IOTransport{Reader: fromServer, Writer: d}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		d.gone.Store(true)
		go func() { <-d.waiting; cancel() }()
		if _, _, err := s.call(ctx, &mcp.CallToolParams{Name: "key"}); err == nil || s.alive() {
			t.Errorf("the call ended with %v, and the session is alive: %v", err, s.alive())
		}
		s.close()
	})
}

func TestServersThatDoNotStart(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, tt := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no program": {func(c *Config) { c.MCP.Command = []string{"/nowhere/server"} }, "does not answer: fork/exec /nowhere/server: no such file"},
		"no server":  {func(c *Config) { c.MCP.Command = []string{"true"} }, "does not answer: "},
		"silent": {func(c *Config) {
			c.MCP.Env["TOOL_TEST_SERVER"], c.Timeout = Value{Plain: "silent"}, 50*time.Millisecond
		}, "does not answer: not within 50ms"},
		"chatter": {func(c *Config) { c.MCP.Env["TOOL_TEST_SERVER"] = Value{Plain: "chatter"} }, "too long"},
		"closed":  {func(c *Config) { *c = overHTTP(t, nil); c.MCP.URL = closed.URL }, "does not answer: "},
		"inside":  {func(c *Config) { *c = overHTTP(t, nil); c.MCP.URL, c.AllowPrivate = "https://127.0.0.1:1/", nil }, "prohibited IP"},
		"refuses us": {func(c *Config) {
			*c = overHTTP(t, nil)
			c.MCP.Headers = map[string]Value{"X-Api-Key": {Secret: secretText}}
		}, "Unauthorized"},
		"moved": {func(c *Config) {
			*c = overHTTP(t, nil)
			c.MCP.URL = website(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusTemporaryRedirect) })
		}, "redirected to where the tool may not go"},
		"endless": {func(c *Config) {
			*c = overHTTP(t, nil)
			c.MCP.URL = website(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				for r.Context().Err() == nil {
					_, _ = w.Write(make([]byte, 1<<16))
				}
			})
		}, "does not answer: "},
		"without what is allowed":   {func(c *Config) { c.MCP.Allow = []string{"echo", "gone"} }, `it has no "gone", which allow names`},
		"without what is only read": {func(c *Config) { c.MCP.ReadOnly = []string{"gone"} }, `it has no "gone", which read_only names`},
		"with long names":           {func(c *Config) { c.Name = strings.Repeat("n", 60) }, "is longer than 64 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			c := stdio("well")
			tt.change(&c)
			s, err := Open(t.Context(), Options{Tools: []Config{c}})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "tool "+c.Name) || strings.Contains(err.Error(), secretText) {
				t.Error(err)
			}
		})
	}
}

func TestOnlyWhatIsAllowedIsThere(t *testing.T) {
	c := stdio("well")
	c.MCP.Allow = []string{"echo", "files/read.all"}
	s, _ := open(t, c)
	if list := s.Tools(); len(list) != 2 || list[0].Name != "local_echo" || list[1].Name != "local_files_read_all" {
		t.Errorf("got %+v", list)
	}
}

// When the Set is closed the process is gone, with calls under way too.
func TestCloseEndsTheProcess(t *testing.T) {
	for _, tool := range []string{"hang", "freeze"} {
		p, err := startProcess(stdio("well").MCP)
		if err != nil {
			t.Fatal(err)
		}
		p.end()
		if p.cmd.ProcessState == nil {
			t.Error("the process is not waited for")
		}
		s, _ := open(t, stdio("well"))
		var given sync.WaitGroup
		given.Go(func() {
			_, failure := s.Call(t.Context(), "local_"+tool, nil, "")
			want(t, failure, orchestration.CodeCanceled, false, "given up")
		})
		s.Close()
		given.Wait()
	}
}

// What a process has started ends with it, whether it is gone already or ignores
// a polite signal.
func TestTheWholeGroupEnds(t *testing.T) {
	for name, script := range map[string]string{
		"an orphan": "sleep 1000 &",
		"stubborn":  "trap '' TERM; sleep 1000 & while :; do sleep 1000; done",
	} {
		p, err := startProcess(&MCP{Command: []string{"sh", "-c", script}})
		if err != nil {
			t.Fatal(err)
		}
		p.end()
		group := p.cmd.Process.Pid
		for patience := time.Now().Add(10 * time.Second); syscall.Kill(-group, 0) == nil && !zombies(group); {
			if time.Now().After(patience) {
				_ = syscall.Kill(-group, syscall.SIGKILL)
				t.Fatalf("%s: something of it is left", name)
			}
		}
	}
}

// zombies reports whether all that is left of a group are processes that have
// ended, and that nobody has waited for.
func zombies(group int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, _ := os.ReadFile(path)
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) > 2 && fields[2] == strconv.Itoa(group) && fields[0] != "Z" {
			return false
		}
	}
	return true
}
