package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A harness holds the processes that are measured.
type harness struct {
	dir      string
	server   string // the file
	upstream *process
	address  string // of upstream
	keys     int    // of runs, so far
	journals int    // so far
}

func newHarness(ctx context.Context, server string) (*harness, error) {
	dir, err := os.MkdirTemp("", "tutti-bench-")
	if err != nil {
		return nil, err
	}
	h := &harness{dir: dir, server: server}
	if h.upstream, err = h.self(ctx, "upstream"); err == nil {
		h.address, err = h.upstream.out.ReadString('\n')
		h.address = strings.TrimSpace(h.address)
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *harness) close() {
	if h.upstream != nil {
		h.upstream.stop()
	}
	os.RemoveAll(h.dir)
}

// A process is one that the harness started.
type process struct {
	*exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

// self starts this program in another role.
func (h *harness) self(ctx context.Context, role string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{Cmd: exec.CommandContext(ctx, self, append([]string{"-role", role}, args...)...)}
	p.Stderr = os.Stderr
	in, err := p.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) stop() {
	p.Process.Signal(syscall.SIGTERM)
	p.Wait()
}

func (p *process) cpu() (time.Duration, error) { return processCPU(p.Process.Pid) }

// memory returns a figure of the process's memory, in MB.
func (p *process) memory(figure string) (float64, error) { return processMemory(p.Process.Pid, figure) }

// answer sets when the endpoint answers, and with how many bytes of text.
func (h *harness) answer(after time.Duration, size int) error {
	resp, err := http.Post(fmt.Sprintf("http://%s/answer?after=%s&bytes=%d", h.address, after, size), "", nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// counts returns the calls that the endpoint has had, and their bytes.
func (h *harness) counts() (calls, size int64, err error) {
	err = h.ask("/counts", &calls, &size)
	return calls, size, err
}

// path returns the critical path of a run's calls, as the endpoint saw them.
func (h *harness) path(key string) (time.Duration, error) {
	var took time.Duration
	err := h.ask("/path?key="+key, &took)
	return took, err
}

func (h *harness) ask(what string, into ...any) error {
	resp, err := client.Get("http://" + h.address + what)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the endpoint answers %s with %s", what, resp.Status)
	}
	_, err = fmt.Fscan(resp.Body, into...)
	return err
}

// newKey returns what tells a run's calls from all others'.
func (h *harness) newKey() string {
	h.keys++
	return fmt.Sprint(h.keys)
}
