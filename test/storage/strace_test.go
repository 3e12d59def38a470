//go:build integration

// Package storage looks at the server from below, where it meets the kernel: in
// which order it writes, flushes and answers, and what it does when the disk is
// full, broken or slow.
package storage

import (
	"bufio"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/test/service"
)

func TestMain(m *testing.M) { os.Exit(service.Main(m)) }

// A world is a server and the model that it calls.
type world struct {
	*service.Server
	journal string        // its file
	asked   chan struct{} // one for each worker that was asked
	answer  chan struct{} // closed: workers answer
}

// start starts a server whose workers answer once answer is closed.
func start(t *testing.T) *world {
	t.Helper()
	w := &world{
		journal: filepath.Join(t.TempDir(), "tutti.db"),
		asked:   make(chan struct{}, 1000), answer: make(chan struct{}),
	}
	model := httptest.NewServer(simulator.New(simulator.Options{Answer: func(r simulator.Request) (simulator.Reply, bool) {
		if r.Role == simulator.Worker {
			w.asked <- struct{}{}
			select {
			case <-w.answer:
			case <-r.Context().Done():
			}
		}
		return simulator.Reply{}, false
	}}))
	t.Cleanup(model.Close)
	w.Server = service.Start(t, "TUTTI_JOURNAL=sqlite:"+w.journal, "OPENAI_BASE_URL="+model.URL+"/v1")
	return w
}

// strace attaches itself to the server until detach is called.
func strace(t *testing.T, s *service.Server, args ...string) (detach func()) {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command(path, append([]string{"-f", "-p", strconv.Itoa(s.PID())}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), " attached") {
		said.WriteString(lines.Text() + "\n")
	}
	if said.Len() > 0 {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if strings.Contains(said.String(), "not permitted") && os.Getenv("CI") == "" {
			t.Skip(said.String())
		}
		t.Fatal(said.String())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines.Scan() {
			continue // of each new thread
		}
		_ = cmd.Wait()
	}()
	detach = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	t.Cleanup(detach)
	return detach
}
