package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// calls counts the calls that a run made.
func (r *running) callsOf(body string, headers ...string) (run told, calls int, text string) {
	r.t.Helper()
	before := r.models.simulator.Counts().Calls
	got := r.ask("POST", "/v1/runs", body, append(headers, "Prefer: wait=60")...)
	return got.run(r.t), r.models.simulator.Counts().Calls - before, got.text
}

// A run that was made before costs nothing, whoever planned it, and whatever is in
// it. Others' outputs, and what was changed, are made.
func TestACachedRunCostsNothing(t *testing.T) {
	sum, other := sha256.Sum256([]byte("sesame")), sha256.Sum256([]byte("other"))
	r := launch(t, func(c *Config) {
		c.Tenants = map[string]Tenant{"acme": {Keys: []string{hex.EncodeToString(sum[:])}}, "emca": {Keys: []string{hex.EncodeToString(other[:])}}}
	}).untilReady()
	const sesame, others = "Authorization: Bearer sesame", "Authorization: Bearer other"
	mixed := `"plan": {"subtasks": [
		{"id": "L", "description": "List them [[sim json=[1,2,3]]]"},
		{"id": "E", "kind": "for_each", "for_each": {"items": "L.output", "body": [{"id": "x", "description": "Look", "input": {"n": "item"}}]}},
		{"id": "V", "kind": "decide", "decide": {"by": "model", "prompt": "Is it good?", "options": ["yes", "no"]}, "depends_on": ["E"]},
		{"id": "P", "kind": "plan", "plan": {"task": "'Say it twice'", "max_subtasks": 3}, "when": "V.output == 'yes'"},
		{"id": "O", "kind": "loop", "loop": {"until": "iteration == 2", "max_iterations": 3, "body": [{"id": "y", "description": "Improve", "input": {"before": "previous"}}]}, "depends_on": ["P"]},
		{"id": "C", "description": "Sum up", "depends_on": ["O", "E"], "check": {"regex": ".", "rubric": "It is short."}}]}`
	for name, body := range map[string]string{
		"planned": `{"task": "Say hello in three ways [[sim subtasks=3]]", "cache": "1h"}`,
		"mixed":   `{"task": "Do it all", "cache": "1h", ` + mixed + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			run, first, text := r.callsOf(body, sesame)
			if run.Status != "succeeded" || first < 5 || strings.Contains(text, `"cached":true`) {
				t.Fatalf("the first is %s with %d calls: %s %s", run.Status, first, run.statuses(), run.Error)
			}
			again, calls, text := r.callsOf(body, sesame)
			if calls != 0 || again.Usage.LLMCalls != 0 || again.Usage.PromptTokens != 0 || again.Status != "succeeded" {
				t.Errorf("again it is %s with %d calls, of which it tells %+v", again.Status, calls, again.Usage)
			}
			if *again.Result.FinalOutput != *run.Result.FinalOutput || !strings.Contains(text, `"cached":true`) {
				t.Errorf("again it says %q, and before %q: %s", *again.Result.FinalOutput, *run.Result.FinalOutput, text)
			}
			if _, calls, _ = r.callsOf(body, others); calls != first {
				t.Errorf("another tenant's makes %d calls, not %d", calls, first)
			}
			if _, calls, _ = r.callsOf(strings.Replace(body, `"cache": "1h", `, "", 1), sesame); name == "mixed" && calls != first {
				t.Errorf("one that asks for no cache makes %d calls, not %d", calls, first)
			}
			if name == "mixed" {
				if run, calls, _ = r.callsOf(strings.Replace(body, "Sum up", "Sum it up", 1), sesame); calls != 3 {
					t.Errorf("with another last subtask it makes %d calls, not its own, its evaluation and the synthesis: %s", calls, run.statuses())
				}
			}
		})
	}
}

// Identical runs at the same time make each call once.
func TestIdenticalRunsAtOnce(t *testing.T) {
	answer, asked, letGo := heldBack("<description>")
	r := launch(t, func(c *Config) { c.simulator.Answer = answer }).untilReady()
	body := `{"task": "Hello", "cache": "1h", "plan": ` + planOf("A: Do A; B after A: Do B") + `}`
	runs := make(chan told)
	for range 4 {
		go func() { runs <- r.start(body) }()
	}
	<-asked
	for r.wantsRunning(4) {
	}
	letGo()
	calls := 0
	for range 4 {
		run := <-runs
		calls += run.Usage.LLMCalls
		if run.Status != "succeeded" {
			t.Errorf("one is %s: %s", run.Status, run.Error)
		}
	}
	if n := r.models.simulator.Counts().Calls; n != calls || n > 3+3 { // between a call's end and its commit it may be made again
		t.Errorf("%d calls were made, the runs tell of %d", n, calls)
	}
}

// wantsRunning reports whether there are fewer runs under way than that.
func (r *running) wantsRunning(n int) bool {
	data, _ := r.ask("GET", "/v1/runs?status=running", "").json["data"].([]any)
	return len(data) < n
}

// What did not pass its check is not kept, and neither is what was fallen back on.
func TestWhatFailedIsNotCached(t *testing.T) {
	r := launch(t, func(*Config) {}).untilReady()
	for name, subtask := range map[string]string{
		"checked":  `{"id": "A", "description": "Do it", "check": {"regex": "^never$", "max_revisions": 1}}`,
		"value":    `{"id": "A", "description": "Do it", "check": {"regex": "^never$", "max_revisions": 1}, "on_failure": {"fallback": {"value": "never"}}}`,
		"by expr":  `{"id": "A", "description": "Do it", "check": {"expr": "size(output) < 2", "max_revisions": 1}}`,
		"rejected": `{"id": "A", "description": "Do it", "check": {"rubric": "Never. [[sim unsatisfied=9]]", "max_revisions": 1}}`,
	} {
		body := fmt.Sprintf(`{"task": "Hello %s", "cache": "1h", "synthesizer": {"mode": "none"}, "plan": {"subtasks": [%s, {"id": "B", "description": "Beside"}]}}`, name, subtask)
		_, first, _ := r.callsOf(body)
		if run, again, _ := r.callsOf(body); again != first-1 {
			t.Errorf("%s: %d calls, then %d: %s", name, first, again, run.statuses())
		}
	}
}
