package main

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tmaxmax/go-sse"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// A model whose endpoint is being started anew costs a run nothing but the time: no
// attempt, although there is only one, and no call of its budget, of which one is kept for
// the synthesis.
func TestAModelThatIsAwayIsWaitedFor(t *testing.T) {
	for name, test := range map[string]struct {
		body, told string
		calls      int
	}{
		"the planner": {`{"task": "Hello", "limits": {"max_attempts": 1}}`, "plan.invalid", 0},
		"a worker": {`{"task": "Hello", "limits": {"max_attempts": 1, "max_llm_calls": 2},
			"plan": {"subtasks": [{"id": "a", "description": "Look"}]}}`, "subtask.retrying", 1},
	} {
		t.Run(name, func(t *testing.T) {
			closed, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			_ = closed.Close()
			r := launch(t, func(c *Config) {
				c.Providers = map[string]Provider{"p": {BaseURL: "http://" + closed.Addr().String() + "/v1"}}
				c.Models = map[string]Model{"m": {Provider: "p"}}
			}).untilReady()
			stream := r.open("POST", "/v1/runs", test.body, "Accept: text/event-stream")
			defer func() { _ = stream.Body.Close() }()
			var upstream *http.Server
			for e, err := range sse.Read(stream.Body, nil) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Type == test.told && upstream == nil {
					upstream = opened(t, closed.Addr().String())
				}
			}
			run := r.ask("GET", strings.TrimSuffix(stream.Header.Get("Location"), "/events"), "").run(t)
			if run.Status != "succeeded" || upstream == nil || test.calls > 0 && run.Usage.LLMCalls != test.calls {
				t.Errorf("it %s with %d calls: %v", run.Status, run.Usage.LLMCalls, run.Error)
			}
			if text := r.ask("GET", "/metrics", "").text; !strings.Contains(text, `tutti_llm_calls_total{model="m",outcome="unavailable"`) {
				t.Error("the metrics do not tell of the connection that could not be made")
			}
		})
	}
}

// opened has a simulator answer at an address.
func opened(t *testing.T, address string) *http.Server {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: simulator.New(simulator.Options{})}
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close() })
	return s
}
