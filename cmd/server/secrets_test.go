package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// A tool that tells the world its secret, whatever it answers, gives nothing away:
// not in a prompt, an event, the journal or the log.
func TestAToolsSecretStaysOne(t *testing.T) {
	const secret = "s3cret-of-the-tool"
	var asked atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		switch n % 4 {
		case 1:
			w.WriteHeader(http.StatusBadRequest)
		case 2:
			w.Header().Set("Location", "/"+secret)
			w.WriteHeader(http.StatusFound)
		case 3:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = fmt.Fprintf(w, "you sent %s, and %q", r.Header.Get("Authorization"), r.Header)
	}))
	t.Cleanup(web.Close)
	models := endpoint(t, simulator.Options{})
	dir := t.TempDir()
	config := filepath.Join(dir, "tutti.yaml")
	text := "workers: {clerk: {tools: [echo]}}\ntools: {echo: {description: echoes, schema: {type: object}, allow_private: [127.0.0.1], " +
		"http: {method: POST, url: \"" + web.URL + "\", headers: {Authorization: {env: TOOL_TOKEN, prefix: \"Bearer \"}}}}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := spawn(t, "TUTTI_CONFIG="+config, "TUTTI_JOURNAL=sqlite:"+filepath.Join(dir, "tutti.db"), "OPENAI_BASE_URL="+models.URL(), "OPENAI_API_KEY=none",
		"TOOL_TOKEN="+secret, "TUTTI_LOG_LEVEL=debug")
	var ids []string
	for range 4 {
		run := s.start(`{"task": "Hello", "limits": {"max_llm_calls": 6}, "plan": {"subtasks": [
			{"id": "A", "worker": "clerk", "description": "Do it [[sim tool=echo args={\"x\": 1}]] [[sim tool=echo args={\"x\": 2}]]"},
			{"id": "B", "kind": "tool", "tool": {"name": "echo"}, "retry": {"max_attempts": 2, "backoff": "1ms"}},
			{"id": "C", "description": "Sum up", "depends_on": ["A", "B"], "after": "ended"}]}}`)
		if run.Usage.LLMCalls > 6 || run.subtask(t, "A").Status != "succeeded" {
			t.Errorf("%d calls of 6: %s", run.Usage.LLMCalls, run.statuses())
		}
		ids = append(ids, run.ID)
	}
	all := ""
	for _, id := range ids {
		all += s.ask("GET", "/v1/runs/"+id, "").text + s.ask("GET", "/v1/runs/"+id+"/events?limit=200", "").text
	}
	for _, call := range models.Requests() {
		all += call.Prompt()
	}
	if !strings.Contains(all, "you sent Bearer (secret)") {
		t.Error("nothing of what the tool said is there")
	}
	all += s.ask("GET", "/metrics", "").text
	s.signal()
	s.wantExit(0)
	log, _ := s.stderr.read()
	all += log
	files, _ := filepath.Glob(filepath.Join(dir, "tutti.db*"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all += string(data)
	}
	if at := strings.Index(all, secret); at >= 0 || len(files) == 0 || asked.Load() < 8 {
		t.Errorf("after %d calls, in %d files and all else, the secret is told: %.300s", asked.Load(), len(files), all[max(at-100, 0):])
	}
}
