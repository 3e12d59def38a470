package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration/tool"
)

func TestToolsOfTheFile(t *testing.T) {
	secretFile := filepath.Join(t.TempDir(), "secret")
	write(t, secretFile, "of-file\n")
	c := mustLoad(t, `
tools:
  tickets:
    description: opens a ticket
    schema: {type: object, properties: {title: {type: string, maxLength: 80}}}
    timeout: 5s
    max_bytes: 2000
    allow_private: [tickets.internal]
    http:
      method: PUT
      url: http://tickets.internal/new
      headers: {Accept: text/plain, Authorization: {env: TOKEN, prefix: "Bearer "}, X-Key: {file: `+secretFile+`}}
      body: none
      allowed_hosts: [cdn.internal]
      idempotency_header: X-Once
  files:
    mcp: {command: [files, --root, /data], env: {LANG: de, API_KEY: {env: TOKEN}}, allow: [read, list], read_only: [read]}
  wiki:
    mcp: {url: "https://wiki.example/mcp", headers: {Authorization: {env: TOKEN}}}
`, map[string]string{"TOKEN": "of-environment"})
	want := []tool.Config{
		{Name: "files", MCP: &tool.MCP{
			Command: []string{"files", "--root", "/data"}, Env: map[string]tool.Value{"LANG": {Plain: "de"}, "API_KEY": {Secret: "of-environment"}},
			Headers: map[string]tool.Value{}, Allow: []string{"read", "list"}, ReadOnly: []string{"read"},
		}},
		{
			Name: "tickets", Description: "opens a ticket", Schema: json.RawMessage(`{"properties":{"title":{"maxLength":80,"type":"string"}},"type":"object"}`),
			Timeout: 5 * time.Second, MaxBytes: 2000, AllowPrivate: []string{"tickets.internal"},
			HTTP: &tool.HTTP{
				Method: "PUT", URL: "http://tickets.internal/new", Body: tool.BodyNone, AllowedHosts: []string{"cdn.internal"}, IdempotencyHeader: "X-Once",
				Headers: map[string]tool.Value{"Accept": {Plain: "text/plain"}, "Authorization": {Plain: "Bearer ", Secret: "of-environment"}, "X-Key": {Secret: "of-file"}},
			},
		},
		{Name: "wiki", MCP: &tool.MCP{
			URL: "https://wiki.example/mcp", Headers: map[string]tool.Value{"Authorization": {Secret: "of-environment"}}, Env: map[string]tool.Value{},
		}},
	}
	if diff := cmp.Diff(want, c.tools); diff != "" {
		t.Error(diff)
	}
	if text := fmt.Sprintf("%+v %#v", c.tools, c.tools); strings.Contains(text, "of-environment") || strings.Contains(text, "of-file") {
		t.Errorf("a secret is shown: %s", text)
	}
}

// aTool is the configuration of a tool on this machine.
func aTool(url string) map[string]Tool {
	return map[string]Tool{"greet": {
		Description: "greets", Schema: map[string]any{"type": "object"}, AllowPrivate: []string{"127.0.0.1"}, HTTP: &HTTPTool{URL: url},
	}}
}

func TestToolsAreThereAndCounted(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	t.Cleanup(web.Close)
	r := launch(t, func(c *Config) {
		c.Tools = aTool(web.URL)
		c.Workers = map[string]Worker{"host": {Tools: []string{"greet"}}}
	}).untilReady()
	if text, failure := r.tools.Call(t.Context(), "greet", nil, ""); text != "hello" || failure != nil {
		t.Errorf("got %q, %+v", text, failure)
	}
	if list := r.tools.Tools(); len(list) != 1 || list[0].Name != "greet" {
		t.Errorf("got %+v", list)
	}
	if w := r.config.runDefaults().Workers; len(w) != 1 || cmp.Diff(w[0].Tools, []string{"greet"}) != "" {
		t.Errorf("got %+v", w)
	}
	r.wantMetrics(`tutti_tool_calls_total{outcome="ok",tool="greet"} 1`, `tutti_tool_call_duration_seconds_count{tool="greet"} 1`)
	r.stop()
	if _, failure := r.tools.Call(t.Context(), "greet", nil, ""); failure == nil {
		t.Error("the tools outlive the server")
	}
}

// A server of tools that is not there stops the start, and so does a tool that a
// worker names and it has not.
func TestToolsThatStopTheStart(t *testing.T) {
	c := defaults()
	c.Addr, c.Journal = "127.0.0.1:0", "mem:"
	c.Tools = map[string]Tool{"files": {MCP: &MCPServer{Command: []string{"/nowhere/files"}}}}
	c.Workers = map[string]Worker{"clerk": {Tools: []string{"files_read"}}}
	if err := c.check(map[string]string{}); err != nil {
		t.Fatal(err) // what the server has is not known yet
	}
	if _, err := newServer(t.Context(), c, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "tool files: the MCP server does not answer") {
		t.Error(err)
	}
	if err := c.checkKnownTools(nil); err == nil || !strings.Contains(err.Error(), `workers.clerk.tools.0: there is no tool "files_read"`) {
		t.Error(err)
	}
}

func TestTheShippedWorkers(t *testing.T) {
	c := mustLoad(t, "", nil)
	workers := c.runDefaults().Workers
	if len(workers) != 5 {
		t.Fatalf("there are %d", len(workers))
	}
	for i, name := range []string{"analyst", "coder", "researcher", "reviewer", "writer"} {
		w := workers[i]
		if w.Name != name || w.Description == "" || len(w.System) < 300 || w.Model != "" || w.Temperature != nil || len(w.Tools) > 0 {
			t.Errorf("%+v", w)
		}
	}
	for text, want := range map[string]int{"model: x": 5, "workers:": 5, "workers: {}": 0, "workers: {chef: {}}": 1} {
		if c := mustLoad(t, text, nil); len(c.Workers) != want {
			t.Errorf("%s: %d workers", text, len(c.Workers))
		}
	}
}

// A specialist without a model of its own asks the one that the request names.
func TestARequestsModelIsForSpecialistsToo(t *testing.T) {
	r := launch(t, func(*Config) {}).untilReady()
	got := r.ask("POST", "/v1/runs", `{"task":"Say hello","worker":{"model":"other-model"},"plan":{"subtasks":[{"id":"T1","type":"writer","description":"Say it."}]}}`, "Prefer: wait=60")
	got.wantSucceeded(t, true)
	if !strings.Contains(got.text, `"worker":"writer","model":"other-model"`) {
		t.Error(got.text)
	}
}
