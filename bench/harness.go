package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// A harness holds the processes that are measured.
type harness struct {
	dir      string
	server   string // the file
	upstream string // its address
	started  []*exec.Cmd
}

func newHarness(ctx context.Context, server string) (*harness, error) {
	dir, err := os.MkdirTemp("", "tutti-bench-")
	if err != nil {
		return nil, err
	}
	h := &harness{dir: dir, server: server}
	_, out, err := h.self(ctx, "upstream")
	if err != nil {
		h.close()
		return nil, err
	}
	if h.upstream, err = out.ReadString('\n'); err != nil {
		h.close()
		return nil, err
	}
	h.upstream = strings.TrimSpace(h.upstream)
	return h, nil
}

// self starts this program in another role.
func (h *harness) self(ctx context.Context, role string, args ...string) (io.Writer, *bufio.Reader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"-role", role}, args...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	h.started = append(h.started, cmd)
	return in, bufio.NewReader(out), nil
}

func (h *harness) close() {
	for _, cmd := range h.started {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}
	os.RemoveAll(h.dir)
}

// answer sets when the endpoint answers, and with how many bytes of text.
func (h *harness) answer(after time.Duration, size int) error {
	resp, err := http.Post(fmt.Sprintf("http://%s/answer?after=%s&bytes=%d", h.upstream, after, size), "", nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// counts returns the calls that the endpoint has had, and their bytes.
func (h *harness) counts() (calls, size int64, err error) {
	resp, err := http.Get("http://" + h.upstream + "/counts")
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	_, err = fmt.Fscan(resp.Body, &calls, &size)
	return calls, size, err
}

// A service is a process of the server.
type service struct {
	cmd *exec.Cmd
	url string
}

// serve starts the server with its journal on disk. Planning is not streamed.
func (h *harness) serve(ctx context.Context, slots int) (*service, error) {
	config := filepath.Join(h.dir, "tutti.yaml")
	err := os.WriteFile(config, fmt.Appendf(nil, `
providers: {bench: {base_url: "http://%s/v1"}}
models: {bench: {provider: bench, stream: never}}
`, h.upstream), 0o600)
	if err != nil {
		return nil, err
	}
	s := &service{url: "http://" + freeAddress()}
	s.cmd = exec.CommandContext(ctx, h.server)
	s.cmd.Env = append(os.Environ(),
		"TUTTI_CONFIG="+config, "TUTTI_MODEL=bench", "TUTTI_LOG_LEVEL=error",
		"TUTTI_ADDR="+strings.TrimPrefix(s.url, "http://"),
		fmt.Sprint("TUTTI_MAX_CONCURRENCY=", slots),
		"TUTTI_JOURNAL=sqlite:"+filepath.Join(h.dir, fmt.Sprintf("bench-%d.db", len(h.started))))
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	h.started = append(h.started, s.cmd)
	for range 100 {
		if resp, err := http.Get(s.url + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s, nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, fmt.Errorf("the server does not get ready")
}

// client keeps as many connections as there are runs at once.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1100, MaxIdleConns: 1100}}

// run has one run performed and waits for its end.
func (s *service) run(ctx context.Context, task string) error {
	body, err := json.Marshal(map[string]any{"task": task})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/runs", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "wait=300")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`"status":"succeeded"`)) {
		return fmt.Errorf("a run ended in %s: %.300s", resp.Status, answer)
	}
	return nil
}

// runs has so many runs performed, some of them at once.
func (s *service) runs(ctx context.Context, n, atOnce int, task string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for range n {
		group.Go(func() error { return s.run(ctx, task) })
	}
	return group.Wait()
}

var ports sync.Mutex

// freeAddress returns an address on the loopback interface that was free a
// moment ago.
func freeAddress() string {
	ports.Lock()
	defer ports.Unlock()
	l, err := listenLoopback()
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}
