//go:build integration

package aimock

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/test/service"
)

const (
	rivers = `{"task": "Compare the Rhine and the Danube"}`

	rhine    = "The Rhine is 1,233 km long and flows into the North Sea."
	danube   = "The Danube is 2,850 km long and flows into the Black Sea."
	compared = "The Danube is more than twice as long as the Rhine."
	answer   = "The Danube, at 2,850 km, is more than twice as long as the Rhine, at 1,233 km."
)

// TestRun has a planner, three workers and a synthesizer make one answer, and
// examines what each was told.
func TestRun(t *testing.T) {
	m := startMock(t)
	s := service.Start(t, m.env()...)
	run := perform(t, s, rivers)

	if got := text(t, run.Result.FinalOutput); got != answer {
		t.Errorf("final output %q, want %q", got, answer)
	}
	if run.Simulated || run.Plan.Source != "planner" || run.Result.Partial {
		t.Errorf("simulated %v, plan by %s, partial %v", run.Simulated, run.Plan.Source, run.Result.Partial)
	}
	checkOutputs(t, run, rhine, danube, compared)
	if u := run.Usage; u.LLMCalls != 5 || u.PromptTokens != 1501 || u.CompletionTokens != 176 {
		t.Errorf("usage %+v, want 5 calls, 1501 + 176 tokens", u)
	}

	planner := m.one("planner", "Compare the Rhine and the Danube")
	if planner.Body.ResponseFormat.Type != "json_schema" || !planner.Body.Stream {
		t.Errorf("the planner was asked for %q, streamed %v", planner.Body.ResponseFormat.Type, planner.Body.Stream)
	}
	for _, independent := range []string{"Describe the Rhine.", "Describe the Danube."} {
		tells(t, m.one("worker", independent), []string{"Compare the Rhine and the Danube"}, []string{rhine, danube})
	}
	dependent := m.one("worker", "Set the two rivers against each other.")
	tells(t, dependent, []string{rhine, danube, `id="T1"`, `id="T2"`}, []string{"Describe the Rhine."})
	if dependent.Body.Stream || dependent.Body.ResponseFormat.Type != "" {
		t.Errorf("a worker was asked for %q, streamed %v", dependent.Body.ResponseFormat.Type, dependent.Body.Stream)
	}
	tells(t, m.one("synthesizer", ""), []string{rhine, danube, compared, "Compare the Rhine and the Danube"}, []string{"<response>The Danube"})

	if got := metric(t, s, `tutti_llm_calls_total{model="worker",outcome="ok",role="worker"}`); got != "3" {
		t.Errorf("the metrics count %s calls to workers, want 3", got)
	}
}

// TestStreamedRun is the same run, with its events and the workers' words as
// they come.
func TestStreamedRun(t *testing.T) {
	m := startMock(t)
	s := service.Start(t, m.env()...)
	var types []string
	said := map[string]string{}
	header := s.Stream(t, "/v1/runs?deltas=true", rivers, func(f service.Frame) bool {
		if f.Event != "delta" {
			types = append(types, f.Event)
			return true
		}
		var d struct {
			SubtaskID string `json:"subtask_id"`
			Offset    int
			Text      string
		}
		if err := json.Unmarshal(f.Data, &d); err != nil || f.ID != "" {
			t.Errorf("delta %s with id %q: %v", f.Data, f.ID, err)
		}
		if d.Offset != len(said[d.SubtaskID]) {
			t.Errorf("a delta of %q is at %d, want %d", d.SubtaskID, d.Offset, len(said[d.SubtaskID]))
		}
		said[d.SubtaskID] += d.Text
		return true
	})
	if first, last := types[0], types[len(types)-1]; first != "run.created" || last != "run.succeeded" {
		t.Errorf("the events go from %s to %s", first, last)
	}
	want := map[string]string{"T1": rhine, "T2": danube, "T3": compared, "": answer}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("the deltas are not the outputs (-want +got):\n%s", diff)
	}
	for _, r := range m.requests() {
		if !r.Body.Stream {
			t.Errorf("the model %s was not asked to stream", r.Body.Model)
		}
	}
	var run service.Run
	s.Get(t, strings.TrimSuffix(header.Get("Location"), "/events")).Into(t, &run)
	checkOutputs(t, run, rhine, danube, compared)
	if run.Usage.PromptTokens != 1501 {
		t.Errorf("%d prompt tokens were counted of streams, want 1501", run.Usage.PromptTokens)
	}
}

// TestJSONSchema has the synthesizer answer in a form of the caller's.
func TestJSONSchema(t *testing.T) {
	m := startMock(t)
	s := service.Start(t, m.env()...)
	run := perform(t, s, `{"task": "Compare the Rhine and the Danube", "synthesizer": {"json_schema": {
		"type": "object", "required": ["longer", "factor"], "additionalProperties": false,
		"properties": {"longer": {"type": "string"}, "factor": {"type": "number"}}}}}`)
	var got struct {
		Longer string
		Factor float64
	}
	if err := json.Unmarshal(run.Result.FinalOutput, &got); err != nil || got.Longer != "Danube" || got.Factor != 2.3 {
		t.Errorf("final output %s: %v", run.Result.FinalOutput, err)
	}
	if form := m.one("synthesizer", "").Body.ResponseFormat.Type; form != "json_schema" {
		t.Errorf("the synthesizer was asked for %q", form)
	}
}

// TestRateLimited has a worker refused with a 429 that asks for two seconds.
func TestRateLimited(t *testing.T) {
	m := startMock(t)
	s := service.Start(t, m.env()...)
	run := perform(t, s, `{"task": "A task whose worker is rate limited"}`)

	busy := m.asked("worker", "Ask the busy worker.")
	if len(busy) != 2 || busy[0].Response.Status != http.StatusTooManyRequests || busy[1].Response.Status != http.StatusOK {
		t.Fatalf("the busy worker was asked %d times", len(busy))
	}
	if waited := busy[1].Timestamp - busy[0].Timestamp; waited < 2000 {
		t.Errorf("it was asked again after %d ms, though Retry-After said 2 s", waited)
	}
	if run.Plan.Subtasks[0].Attempts != 2 || run.Plan.Subtasks[1].Attempts != 1 || run.Usage.LLMCalls != 5 {
		t.Errorf("attempts %d and %d, %d calls", run.Plan.Subtasks[0].Attempts, run.Plan.Subtasks[1].Attempts, run.Usage.LLMCalls)
	}
	if failure := eventData[struct{ Error service.Failure }](t, s, run.ID, "subtask.retrying").Error; failure.Code != "upstream_rate_limited" {
		t.Errorf("it was tried again for %+v", failure)
	}
	if got := metric(t, s, `tutti_llm_retries_total{reason="upstream_rate_limited"}`); got != "1" {
		t.Errorf("the metrics count %s retries, want 1", got)
	}
}

// TestRepair has a planner plan in a circle, and mend that when told.
func TestRepair(t *testing.T) {
	m := startMock(t)
	s := service.Start(t, m.env()...)
	run := perform(t, s, `{"task": "A task whose plan is malformed"}`)

	checkOutputs(t, run, "First thing done.", "Second thing done.")
	if run.Plan.Analysis != "A plan that goes straight on." || run.Usage.LLMCalls != 5 {
		t.Errorf("plan %q, %d calls", run.Plan.Analysis, run.Usage.LLMCalls)
	}
	asked := m.asked("planner", "")
	if len(asked) != 2 {
		t.Fatalf("the planner was asked %d times, want twice", len(asked))
	}
	tells(t, asked[1], []string{"A task whose plan is malformed", "A plan that goes in a circle.", "cannot be used", "T1", "T2"}, nil)
	invalid := eventData[struct{ Problems []struct{ Code string } }](t, s, run.ID, "plan.invalid")
	if len(invalid.Problems) == 0 || invalid.Problems[0].Code != "cycle" {
		t.Errorf("the plan's problems are %+v, want a cycle", invalid.Problems)
	}
	eventData[any](t, s, run.ID, "plan.repaired")
}

// TestBrokenStream breaks off the planner's first answer.
func TestBrokenStream(t *testing.T) {
	m := startMock(t)
	s := service.Start(t, m.env()...)
	run := perform(t, s, `{"task": "A task whose stream breaks off"}`)
	checkOutputs(t, run, "It went on.")
	asked := m.asked("planner", "A task whose stream breaks off")
	if len(asked) != 2 || !asked[0].Response.Interrupted {
		t.Errorf("the planner was asked %d times, want twice, the first one broken off", len(asked))
	}
}

// TestCrash kills the server while a worker is at work. A new one goes on where
// the first was: what is in the journal is not asked for again.
func TestCrash(t *testing.T) {
	m := startMock(t)
	journal := "TUTTI_JOURNAL=sqlite:" + t.TempDir() + "/tutti.db"
	s := service.Start(t, m.env(journal)...)
	id := startSlow(t, m, s)
	s.Kill()

	s = service.Start(t, m.env(journal)...)
	var run service.Run
	s.Get(t, "/v1/runs/"+id+"?wait=60").Into(t, &run)
	if run.Status != "succeeded" {
		t.Fatalf("the run is %s: %+v", run.Status, run.Error)
	}
	checkOutputs(t, run, "That was quick.", "That was the second time.")
	m.one("planner", "")
	m.one("worker", "Answer at once.")
	m.one("synthesizer", "")
	if n := len(m.asked("worker", "Take your time.")); n != 2 {
		t.Errorf("the slow worker was asked %d times, want twice", n)
	}
}

// TestCancel cancels a run while a worker is at work.
func TestCancel(t *testing.T) {
	m := startMock(t)
	s := service.Start(t, m.env()...)
	id := startSlow(t, m, s)
	a := s.Post(t, "/v1/runs/"+id+"/cancel", `{"detail": "No longer needed"}`)
	var run service.Run
	a.Into(t, &run)
	if a.Status != http.StatusOK || run.Status != "canceled" {
		t.Fatalf("status %d: the run is %s", a.Status, run.Status)
	}
	if done := run.Result.WorkerResults[0].Result; done == nil || *done != "That was quick." {
		t.Error("what was done before is lost")
	}
	if status := run.Plan.Subtasks[1].Status; status != "canceled" {
		t.Errorf("the subtask at work is %s", status)
	}
	if len(m.asked("synthesizer", "")) != 0 {
		t.Error("the synthesizer was asked though the run was canceled")
	}
}

// startSlow starts a run and returns its id once its second worker is at work.
func startSlow(t *testing.T, m mock, s *service.Server) string {
	t.Helper()
	a := s.Post(t, "/v1/runs?deltas=true", `{"task": "A task with a slow end"}`)
	if a.Status != http.StatusAccepted {
		t.Fatalf("status %d\n%s", a.Status, a.Body)
	}
	var run service.Run
	a.Into(t, &run)
	poll(t, "the slow worker is asked", func() bool { return len(m.asked("worker", "Take your time.")) == 1 })
	return run.ID
}

// perform performs a run that must succeed.
func perform(t *testing.T, s *service.Server, body string) service.Run {
	t.Helper()
	a := s.Post(t, "/v1/runs", body, "Prefer: wait=60")
	var run service.Run
	a.Into(t, &run)
	if a.Status != http.StatusOK || run.Status != "succeeded" {
		t.Fatalf("status %d\n%s", a.Status, a.Body)
	}
	return run
}

func checkOutputs(t *testing.T, run service.Run, want ...string) {
	t.Helper()
	var got []string
	for _, subtask := range run.Plan.Subtasks {
		got = append(got, subtask.Output)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

// tells holds a prompt to what must be in it, and what must not.
func tells(t *testing.T, r request, want, unwelcome []string) {
	t.Helper()
	prompt := r.prompt()
	for _, words := range want {
		if !strings.Contains(prompt, words) {
			t.Errorf("%q is not in the prompt:\n%s", words, prompt)
		}
	}
	for _, words := range unwelcome {
		if strings.Contains(prompt, words) {
			t.Errorf("%q is in the prompt:\n%s", words, prompt)
		}
	}
}

func text(t *testing.T, value json.RawMessage) string {
	t.Helper()
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	return s
}

// metric returns the value of a series.
func metric(t *testing.T, s *service.Server, series string) string {
	t.Helper()
	for line := range strings.Lines(string(s.Get(t, "/metrics").Body)) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "no"
}

// eventData returns the data of a run's only event of a type.
func eventData[T any](t *testing.T, s *service.Server, run, eventType string) T {
	t.Helper()
	var page struct {
		Data []struct {
			Type string
			Data T
		}
	}
	s.Get(t, "/v1/runs/"+run+"/events").Into(t, &page)
	var found []T
	for _, e := range page.Data {
		if e.Type == eventType {
			found = append(found, e.Data)
		}
	}
	if len(found) != 1 {
		t.Fatalf("the run has %d events of type %s, want one", len(found), eventType)
	}
	return found[0]
}
