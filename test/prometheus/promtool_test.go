//go:build integration

package prometheus

import (
	"bytes"
	"net/http"
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
  priced: {price: {input: 1, output: 2}}
`

// TestMetrics has Prometheus's own tool judge what a live server says of itself,
// and every metric that is defined be among it.
func TestMetrics(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tutti.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := service.Start(t, "TUTTI_CONFIG="+file)
	for _, body := range []string{
		`{"task": "One that succeeds"}`,
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
			t.Errorf("tutti_%s is not there after a run that succeeded and one that failed", name)
		}
	}
}
