package tool

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// endWithin is how long the other side may take for what ends a session: to take
// a message off a pipe, to end after its input did, to end after a signal.
const endWithin = 2 * time.Second

// A session is a connection to an MCP server. A nil one is dead.
type session struct {
	*mcp.ClientSession
	abandon func()        // breaks the connection off, whatever it waits for
	end     func()        // gives back what is below it, and returns when that is done
	dead    chan struct{} // closed when the connection has ended
	broken  atomic.Bool   // it is of no use, whether it has ended or not
	once    sync.Once
}

// A trace is what went on below a call over HTTP.
type trace struct {
	answer  atomic.Pointer[answer] // the last one with another status than 2xx
	tooLong atomic.Bool
}

type answer struct {
	status int
	header http.Header
}

type traceKey struct{}

// connect makes a session within ctx. It must be closed.
func connect(ctx context.Context, c Config) (*session, error) {
	s := &session{dead: make(chan struct{})}
	transport, err := s.transport(c)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, transport); err != nil {
		s.abandon()
		s.end()
		return nil, err
	}
	return s, nil
}

// start begins the session.
func (s *session) start(ctx context.Context, transport mcp.Transport) (err error) {
	defer context.AfterFunc(ctx, s.abandon)() // what waits for a pipe hears of no context
	client := mcp.NewClient(&mcp.Implementation{Name: "tutti", Version: "1"}, &mcp.ClientOptions{
		Capabilities:   &mcp.ClientCapabilities{}, // we do nothing for a server
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
	})
	if s.ClientSession, err = client.Connect(ctx, transport, nil); err != nil {
		return err
	}
	go func() {
		_ = s.Wait()
		close(s.dead)
	}()
	return nil
}

// transport also says how the session ends.
func (s *session) transport(c Config) (mcp.Transport, error) {
	most := copies*c.MaxBytes + maxOverhead
	if c.MCP.URL == "" {
		p, err := startProcess(c.MCP)
		if err != nil {
			return nil, err
		}
		s.abandon, s.end = p.abandon, p.end
		return &mcp.IOTransport{Reader: newLines(p.out, most), Writer: p.in, MaxLineLength: most + maxOverhead}, nil
	}
	u, err := url.Parse(c.MCP.URL)
	if err != nil {
		return nil, errors.New("it has no address")
	}
	below := newTransport(newGuard(c.AllowPrivate))
	life, stop := context.WithCancel(context.Background())
	s.abandon, s.end = stop, func() { stop(); below.CloseIdleConnections() }
	return &mcp.StreamableClientTransport{
		Endpoint: c.MCP.URL, MaxRetries: -1, DisableStandaloneSSE: true, MaxEventSize: most,
		HTTPClient: &http.Client{
			Transport:     &headed{next: below, headers: c.MCP.Headers, most: int64(most), to: u.Host, life: life},
			CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
		},
	}, nil
}

// alive reports whether the session is not known to have ended.
func (s *session) alive() bool {
	if s == nil || s.broken.Load() {
		return false
	}
	select {
	case <-s.dead:
		return false
	default:
		return true
	}
}

// call calls a tool. It returns soon after ctx has ended, also if the server
// takes nothing off its pipe: then the session is broken off.
func (s *session) call(ctx context.Context, params *mcp.CallToolParams) (*mcp.CallToolResult, *trace, error) {
	below := new(trace)
	returned := make(chan struct{})
	defer close(returned)
	defer context.AfterFunc(ctx, func() {
		select {
		case <-returned:
		case <-time.After(endWithin):
			s.broken.Store(true)
			s.abandon()
		}
	})()
	result, err := s.CallTool(context.WithValue(ctx, traceKey{}, below), params)
	var said *jsonrpc.Error
	if err != nil && ctx.Err() == nil && !errors.As(err, &said) {
		s.broken.Store(true)
	}
	return result, below, err
}

// close ends the session and returns when nothing of it is left.
func (s *session) close() {
	if s == nil {
		return
	}
	s.once.Do(func() {
		late := time.AfterFunc(endWithin, s.abandon)
		_ = s.Close()
		late.Stop()
		s.end()
		<-s.dead
	})
}

// A headed transport sends headers with every request to one host, bounds its
// answers and ends with the session.
type headed struct {
	next    http.RoundTripper
	headers map[string]Value
	most    int64           // bytes of an answer
	to      string          // host and port
	life    context.Context // of the session
}

// RoundTrip makes the request.
func (h *headed) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(h.life, cancel)
	r = r.Clone(ctx)
	if r.URL.Host == h.to {
		for name, v := range h.headers {
			r.Header.Set(name, v.text())
		}
	}
	resp, err := h.next.RoundTrip(r)
	if err != nil {
		stop()
		cancel()
		return nil, err
	}
	below, _ := ctx.Value(traceKey{}).(*trace)
	if below != nil && (resp.StatusCode < 200 || resp.StatusCode >= 300) {
		below.answer.Store(&answer{resp.StatusCode, resp.Header})
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: h.most, below: below, release: func() { stop(); cancel() }}
	return resp, nil
}

// A bounded body ends with an error when it is too long.
type bounded struct {
	io.ReadCloser
	left    int64
	below   *trace // nil: nobody asks
	release func()
}

var errTooLong = errors.New("the answer is too long")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		if b.below != nil {
			b.below.tooLong.Store(true)
		}
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *bounded) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}
