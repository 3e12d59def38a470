// Package service runs the real server as a process of its own, for the suites
// that judge it from outside.
package service

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long anything in these suites may take before it counts as
// hung. No test passes or fails by how fast things are.
const Patience = time.Minute

// binary is the server that Main built.
var binary string

// Main builds the server, runs the tests and returns their exit code. It is for
// a package's TestMain.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tutti-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "server")
	args := []string{"build", "-buildvcs=false", "-o", binary}
	if race {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "github.com/tutti-run/tutti/cmd/server")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n%s", build, err, out)
		return 1
	}
	return m.Run()
}

// Command returns the server that Main built, to be run with these arguments
// and an empty environment.
func Command(args ...string) *exec.Cmd {
	return &exec.Cmd{Path: binary, Args: append([]string{"server"}, args...), Env: []string{}}
}

// A Server is a process that serves.
type Server struct {
	URL string // without a slash at its end; empty until it is ready

	t      testing.TB
	cmd    *exec.Cmd
	log    log
	done   chan struct{} // closed when the process has ended
	err    error         // how it ended, once done
	killed bool
}

// Start starts the server that Main built with these variables added to an
// environment of a free loopback port and a journal of its own, and waits until
// it takes runs. It is stopped with the test.
func Start(t testing.TB, env ...string) *Server {
	t.Helper()
	cmd := Command()
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{
		"TUTTI_ADDR=127.0.0.1:0",
		"TUTTI_JOURNAL=sqlite:" + filepath.Join(cmd.Dir, "tutti.db"),
	}, env...)
	return Launch(t, cmd)
}

// readSources reads which sources the server is made of, in the folders beside
// this one's. What a test reads decides whether go test shows its last outcome
// again: without this, it would do so after a change of the server, too.
var readSources = sync.OnceValue(func() error {
	for _, folder := range []string{"../../cmd", "../../internal"} {
		if err := filepath.WalkDir(folder, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			return err
		}
	}
	return nil
})

// Launch starts a server as cmd says and waits until it takes runs. It is stopped
// with the test.
func Launch(t testing.TB, cmd *exec.Cmd) *Server {
	t.Helper()
	s := Begin(t, cmd)
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// Begin starts a server as cmd says and does not wait for it. It is stopped with
// the test.
func Begin(t testing.TB, cmd *exec.Cmd) *Server {
	t.Helper()
	if err := readSources(); err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, cmd: cmd, done: make(chan struct{})}
	s.log.ready = make(chan struct{})
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		s.log.read(stderr)
		s.err = cmd.Wait()
	}()
	t.Cleanup(s.cleanup)
	return s
}

// Ready waits until the server takes runs. Its URL is known then.
func (s *Server) Ready(ctx context.Context) error {
	select {
	case <-s.log.ready:
		s.URL = s.log.url
		return nil
	case <-s.done:
		return fmt.Errorf("the server ended before it was ready: %w", s.err)
	case <-ctx.Done():
		return fmt.Errorf("the server does not get ready: %w", ctx.Err())
	}
}

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop asks the server to end and waits until it has, without an error.
func (s *Server) Stop() {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
		if s.err != nil {
			s.t.Errorf("the server ended with %v", s.err)
		}
	case <-time.After(Patience):
		s.t.Error("the server does not end")
	}
}

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	s.t.Helper()
	s.killed = true
	_ = s.cmd.Process.Kill()
	<-s.done
}

// PID returns the id of the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log returns what the server has written to its log so far.
func (s *Server) Log() string { return s.log.String() }

// cleanup stops the server if it still runs, and shows the log of a test that
// failed, unless the test ended that server on purpose.
func (s *Server) cleanup() {
	killed := s.killed
	select {
	case <-s.done:
	default:
		s.Stop()
		s.Kill()
	}
	if s.t.Failed() && !killed {
		s.t.Logf("the server's log:\n%s", s.Log())
	}
}

// A log is what a server writes to stderr: a JSON object a line.
type log struct {
	url   string        // once ready
	ready chan struct{} // closed by the line that says so

	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		l.mu.Lock()
		l.text.Write(line)
		l.mu.Unlock()
		var entry struct{ Msg, URL string }
		if json.Unmarshal(line, &entry) == nil {
			switch entry.Msg {
			case "serving":
				l.url = entry.URL
			case "ready":
				close(l.ready)
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, "the server's log:", err)
			}
			return
		}
	}
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
