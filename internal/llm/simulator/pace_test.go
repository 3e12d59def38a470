package simulator

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A pipeListener hands out in-memory connections, which a bubble of virtual
// time can see through.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// pipe serves a simulator within a bubble.
func pipe(t *testing.T, opts Options) *http.Client {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: New(opts), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case l.conns <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
	return &http.Client{Transport: transport}
}

// lines sends a request and notes when each line of the answer came.
func lines(t *testing.T, c *http.Client, body string) (times []time.Duration, texts []string) {
	t.Helper()
	start := time.Now()
	resp, err := c.Post("http://simulator/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	times, texts = append(times, time.Since(start)), append(texts, resp.Status)
	scan := bufio.NewScanner(resp.Body)
	for scan.Scan() {
		if scan.Text() != "" {
			times, texts = append(times, time.Since(start)), append(texts, scan.Text())
		}
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return times, texts
}

const sixTokens = `{"model":"m","messages":[{"role":"user","content":"[[sim out=24]]"}]`

func TestPaceOfStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipe(t, Options{Latency: time.Second, FirstToken: 500 * time.Millisecond, TokenInterval: 10 * time.Millisecond, ChunkTokens: 2})
		times, texts := lines(t, c, sixTokens+`,"stream":true}`)
		want := "[1s 1s 1.5s 1.52s 1.54s 1.54s 1.54s]" // headers, role, three pieces, finish, done
		if got := fmt.Sprint(times); got != want {
			t.Errorf("%s: %q", got, texts)
		}
	})
}

func TestPaceOfWholeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipe(t, Options{Latency: time.Second, FirstToken: 500 * time.Millisecond, TokenInterval: 10 * time.Millisecond})
		if times, texts := lines(t, c, sixTokens+"}"); times[0] != 1550*time.Millisecond {
			t.Errorf("%v: %q", times, texts)
		}
		if times, texts := lines(t, c, strings.Replace(sixTokens, "out=24", "latency=70ms", 1)+"}"); times[0] != 70*time.Millisecond {
			t.Errorf("%v: %q", times, texts)
		}
	})
}

func TestTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipe(t, Options{Latency: time.Second, TailShare: 0.1, TailFactor: 5})
		slow := 0
		for range 200 {
			switch times, texts := lines(t, c, sixTokens+"}"); times[0] {
			case time.Second:
			case 5 * time.Second:
				slow++
			default:
				t.Fatalf("%v: %q", times, texts)
			}
		}
		if slow < 8 || slow > 35 {
			t.Errorf("%d of 200 calls were slow", slow)
		}
	})
}

func TestWaitingEndsWhenTheCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := pipe(t, Options{Latency: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://simulator/v1/chat/completions", strings.NewReader(sixTokens+"}"))
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := c.Do(req); err == nil {
			t.Errorf("answered %s", resp.Status)
			_ = resp.Body.Close()
		}
		synctest.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}
