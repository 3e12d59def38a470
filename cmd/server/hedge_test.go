package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A call that hangs is made a second time, which the run, its events and the
// metrics tell; a run that could not pay for that has no second call.
func TestASlowCallIsMadeTwice(t *testing.T) {
	var mu sync.Mutex
	var keys []string // of the calls that hung, and of those made in their place
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if key := r.Header.Get("Idempotency-Key"); strings.Contains(string(body), "Straggle") {
			mu.Lock()
			keys = append(keys, key)
			mu.Unlock()
			if !strings.HasSuffix(key, "/hedge") {
				<-r.Context().Done()
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[{"message":{"role":"assistant","content":"done"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}`)
	}))
	defer upstream.Close()
	r := launch(t, func(c *Config) {
		c.Providers = map[string]Provider{"p": {BaseURL: upstream.URL}}
		c.Models = map[string]Model{"m": {Provider: "p", Hedge: true, Stream: &Stream{"never"}}}
	}).untilReady()

	var quick []string
	for i := range 70 {
		quick = append(quick, fmt.Sprintf(`{"id": "q%d", "description": "Be quick"}`, i))
	}
	// What is held back for an attempt of it pays for one call, however slow one is.
	got := r.ask("POST", "/v1/runs", `{"task": "t", "synthesizer": {"mode": "none"}, "limits": {"max_llm_calls": 100},
		"plan": {"subtasks": [`+strings.Join(quick, ",")+`]}}`, "Prefer: wait=60")
	got.wantSucceeded(t, false)
	if n := got.json["usage"].(map[string]any)["llm_calls"]; n != 70.0 {
		t.Errorf("%v calls, want 70", n)
	}

	got = r.ask("POST", "/v1/runs", `{"task": "t", "synthesizer": {"mode": "none"}, "plan": {"subtasks": [{"id": "s", "description": "Straggle"}]}}`, "Prefer: wait=60")
	got.wantSucceeded(t, false)
	if n := got.json["usage"].(map[string]any)["llm_calls"]; n != 2.0 {
		t.Errorf("%v calls, want 2", n)
	}
	events := r.ask("GET", "/v1/runs/"+got.json["id"].(string)+"/events", "").text
	if n := strings.Count(events, `"hedged":true`); n != 1 || !strings.Contains(events, `"outcome":"canceled"`) {
		t.Errorf("%d calls are told of as given up: %s", n, events)
	}
	r.wantMetrics(
		`tutti_llm_hedges_total{model="m",role="worker",won="true"} 1`,
		`tutti_llm_calls_total{model="m",outcome="canceled",role="worker"} 1`,
		`tutti_llm_calls_total{model="m",outcome="ok",role="worker"} 71`,
		`tutti_llm_limit{model="m"} 64`,
	)
	if len(keys) != 2 || keys[1] != keys[0]+"/hedge" {
		t.Errorf("keys %q", keys)
	}
}
