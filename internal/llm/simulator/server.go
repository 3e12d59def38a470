package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// A Server serves a [Simulator] on a loopback port.
type Server struct {
	*Simulator

	url  string
	http *http.Server
	done sync.WaitGroup // the accept loop and the handlers

	mu     sync.Mutex
	closed bool // done takes no more handlers
}

// Listen starts a server on a free port of 127.0.0.1. Close it when done.
func Listen(opts Options) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	s := &Server{Simulator: New(opts), url: fmt.Sprintf("http://%s/v1", l.Addr())}
	s.http = &http.Server{Handler: http.HandlerFunc(s.handle), ReadHeaderTimeout: 10 * time.Second}
	s.done.Go(func() { _ = s.http.Serve(l) }) // returns ErrServerClosed after Close
	return s, nil
}

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	s.done.Add(1)
	s.mu.Unlock()
	defer s.done.Done()
	s.ServeHTTP(w, r)
}

// URL is the API's base, without a slash at its end: "http://127.0.0.1:4321/v1".
func (s *Server) URL() string { return s.url }

// Close breaks all connections, which ends the calls' contexts, and returns
// when every call has ended.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.http.Close()
	s.done.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
