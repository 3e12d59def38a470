package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// BenchmarkRuns performs whole runs of 1 + 10 + 1 calls through the real server,
// with its journal on disk and a model that answers at once. It is what
// release.pgo is recorded from: see `make profile`.
func BenchmarkRuns(b *testing.B) {
	upstream := httptest.NewServer(http.HandlerFunc(canned))
	defer upstream.Close()
	s := launch(b, func(c *Config) {
		c.Journal = "sqlite:" + filepath.Join(b.TempDir(), "tutti.db")
		c.MaxConcurrency = 512
		c.Providers = map[string]Provider{"bench": {BaseURL: upstream.URL + "/v1"}}
		c.Models = map[string]Model{"bench": {Provider: "bench", Stream: &Stream{orchestration.StreamNever}}}
	}).untilReady()
	task := fmt.Sprintf(`{"task":%q}`, strings.Repeat("Look at the matter from all sides. ", 26))
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a := s.ask("POST", "/v1/runs", task, "Prefer: wait=60"); a.json["status"] != "succeeded" {
				b.Errorf("status %d: %.300s", a.status, a.text)
				return
			}
		}
	})
}

var (
	cannedPlan  = completion(`{\"analysis\":\"\",\"subtasks\":[` + strings.TrimSuffix(strings.Repeat(`{\"type\":\"analyst\",\"description\":\"Say what stands out from one side of the matter.\"},`, 10), ",") + `]}`)
	cannedWords = completion(`<response>` + strings.Repeat("What stands out is that there are sides. ", 30) + `</response>`)
)

func completion(content string) string {
	return `{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"` + content +
		`"}}],"usage":{"prompt_tokens":500,"completion_tokens":300,"total_tokens":800}}`
}

func canned(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	if bytes.Contains(body, []byte("You are the planner")) {
		_, _ = io.WriteString(w, cannedPlan)
		return
	}
	_, _ = io.WriteString(w, cannedWords)
}
