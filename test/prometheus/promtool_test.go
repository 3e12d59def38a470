//go:build integration

package prometheus

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/test/service"
)

func TestMain(m *testing.M) { os.Exit(service.Main(m)) }

// promtool runs Prometheus's own tool, which must not complain.
func promtool(t *testing.T, stdin []byte, args ...string) {
	t.Helper()
	path, err := filepath.Abs("../../tools/bin/promtool")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal("promtool is not installed: make integration does that")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = filepath.Join(deploy, "prometheus")
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRules(t *testing.T) {
	promtool(t, nil, "check", "rules", "alerts.yml")
	promtool(t, nil, "test", "rules", "alerts_test.yml")
	promtool(t, nil, "check", "config", "prometheus.yml")
}

const config = `
models:
  priced: {price: {input: 1, output: 2}, hedge: true}
tools:
  look:
    description: looks whether somebody is there
    schema: {type: object}
    read_only: true
    allow_private: [127.0.0.1]
    http: {url: "THERE"}
`

// TestMetrics has Prometheus's own tool judge what a live server says of itself,
// and every metric that is defined be among it.
func TestMetrics(t *testing.T) {
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("yes")) }))
	t.Cleanup(there.Close)
	file := filepath.Join(t.TempDir(), "tutti.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(config, "THERE", there.URL, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := service.Start(t, "TUTTI_CONFIG="+file)
	for _, body := range []string{
		`{"task": "One that succeeds"}`,
		`{"task": "One that calls a tool", "plan": {"subtasks": [{"kind": "tool", "tool": {"name": "look"}}]}}`,
		`{"task": "Many calls, so that it is known what is slow [[sim subtasks=60 out=100 latency=10ms]]"}`,
		`{"task": "Slow ones, one of which is made twice [[sim subtasks=2 latency=1s]]"}`,
		`{"task": "One that fails", "limits": {"subtask_timeout": "1ms", "max_attempts": 2}}`,
	} {
		if a := s.Post(t, "/v1/runs", body, "Prefer: wait=60"); a.Status != http.StatusOK {
			t.Fatalf("status %d\n%s", a.Status, a.Body)
		}
	}
	page := s.Get(t, "/metrics").Body
	promtool(t, page, "check", "metrics")
	for name := range defined(t) {
		if !bytes.Contains(page, []byte("\ntutti_"+name)) {
			t.Errorf("tutti_%s is not there after runs that succeeded and one that failed", name)
		}
	}
}
