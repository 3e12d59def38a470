package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// one is a listener of one connection, in memory.
type one struct {
	conn chan net.Conn
	done chan struct{}
}

func (l one) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l one) Close() error {
	close(l.done)
	return nil
}

func (one) Addr() net.Addr { return &net.TCPAddr{} }

// Neither who stops sending nor who stops reading keeps a connection.
func TestCallersThatStop(t *testing.T) {
	answer := strings.Repeat("x", 1<<20)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, answer)
	})
	for name, request := range map[string]string{
		"sending": "POST / HTTP/1.1\r\nHost: tutti\r\nContent-Length: 100\r\n\r\nhalf",
		"reading": "GET / HTTP/1.1\r\nHost: tutti\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				l := one{make(chan net.Conn, 1), make(chan struct{})}
				l.conn <- theirs
				s := &server{log: zap.NewNop()}
				web := s.serve(l, handler, func(error) {})
				if _, err := io.WriteString(ours, request); err != nil {
					t.Fatal(err)
				}
				if name == "reading" {
					if _, err := bufio.NewReaderSize(ours, 16).Peek(16); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(readTimeout + writeTimeout)
				synctest.Wait()
				_ = ours.SetReadDeadline(time.Now().Add(time.Second))
				if _, err := io.Copy(io.Discard, ours); err != nil {
					t.Errorf("the connection is still there: %v", err)
				}
				_ = ours.Close()
				if err := web.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
