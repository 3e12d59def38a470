package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// A service is a process of the server.
type service struct {
	process
	url string
}

// serve starts the server with a new journal on disk. Planning is not streamed.
// The model called slow takes two seconds longer than bench.
func (h *harness) serve(ctx context.Context, slots int, env ...string) (*service, error) {
	config := filepath.Join(h.dir, "tutti.yaml")
	err := os.WriteFile(config, fmt.Appendf(nil, `
providers: {bench: {base_url: "http://%[1]s/v1"}, slow: {base_url: "http://%[1]s/slow/v1"}}
models: {bench: {provider: bench, stream: never}, slow: {provider: slow, stream: never}}
`, h.address), 0o600)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	h.journals++
	s := &service{process{Cmd: exec.CommandContext(ctx, h.server)}, "http://" + address}
	s.Env = append(append(os.Environ(),
		"TUTTI_CONFIG="+config, "TUTTI_MODEL=bench", "TUTTI_LOG_LEVEL=error", "TUTTI_ADDR="+address,
		fmt.Sprint("TUTTI_MAX_CONCURRENCY=", slots),
		"TUTTI_JOURNAL=sqlite:"+filepath.Join(h.dir, fmt.Sprintf("bench-%d.db", h.journals))), env...)
	s.Stderr = os.Stderr
	if err := s.Start(); err != nil {
		return nil, err
	}
	for range 100 {
		if resp, err := client.Get(s.url + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s, nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("the server does not get ready")
}

// client keeps as many connections as there are runs at once.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1100, MaxIdleConns: 1100}}

// A request is the body of POST /v1/runs.
type request map[string]any

// planned asks for a run of 1 + 10 + 1 calls, with a task of about that size.
// With a key the endpoint takes note of them.
func planned(size int, key string) request {
	mark := ""
	if key != "" {
		mark = keyMark + key + "] "
	}
	return request{"task": mark + text(size)}
}

// start has a run begin and returns the answer, which comes when the run has
// ended, or after so many seconds.
func (s *service) start(ctx context.Context, r request, wait int) (status int, answer []byte, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/runs", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", fmt.Sprint("wait=", wait))
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// run has one run performed and waits for its end.
func (s *service) run(ctx context.Context, r request) error {
	status, answer, err := s.start(ctx, r, 300)
	if err == nil && (status != http.StatusOK || !bytes.Contains(answer, []byte(`"status":"succeeded"`))) {
		err = fmt.Errorf("a run ended with status %d: %.300s", status, answer)
	}
	return err
}

// runs has so many runs performed, some of them at once.
func (s *service) runs(ctx context.Context, n, atOnce int, r request) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for range n {
		group.Go(func() error { return s.run(ctx, r) })
	}
	return group.Wait()
}

// overPath has a run performed, and returns its wall time over the critical path
// of its calls.
func (s *service) overPath(ctx context.Context, h *harness, key string) (ratio float64, took time.Duration, err error) {
	took, err = wall(func() error { return s.run(ctx, planned(taskBytes, key)) })
	if err != nil {
		return 0, 0, err
	}
	path, err := h.path(key)
	return took.Seconds() / path.Seconds(), took, err
}

func wall(f func() error) (time.Duration, error) {
	start := time.Now()
	err := f()
	return time.Since(start), err
}

// freeAddress returns an address on the loopback interface that was free a
// moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
