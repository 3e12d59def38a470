package main

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// twoGates has two subtasks that wait for people, one that waits for each, and one
// beside them.
const twoGates = `{"task": "Hello", "plan": {"subtasks": [
	{"id": "A", "description": "Do A"},
	{"id": "G1", "kind": "approval", "approval": {"message": "Is A fine?"}, "depends_on": ["A"]},
	{"id": "G2", "kind": "approval", "approval": {"message": "What next?"}},
	{"id": "B", "description": "Do B", "depends_on": ["G1"]},
	{"id": "C", "description": "Do C", "depends_on": ["G2"]},
	{"id": "D", "description": "Do D"}]}, "webhook": {"url": "URL/told"}}`

// decide decides on a subtask and returns the status of the answer.
func (r *running) decide(run, subtask, body string) int {
	r.t.Helper()
	return r.ask("POST", "/v1/runs/"+run+"/subtasks/"+subtask+"/decision", body).status
}

// People hold up what depends on them and nothing else: no other subtask, no other
// run, and no restart changes that.
func TestPeopleAreWaitedFor(t *testing.T) {
	url, messages, answers := receiver(t)
	models := endpoint(t, simulator.Options{})
	journal := "sqlite:" + filepath.Join(t.TempDir(), "tutti.db")
	set := func(c *Config) {
		withWebhooks(c)
		c.Journal, c.MaxRuns, c.BaseURL, c.APIKey = journal, 1, models.URL(), "none"
	}
	first := launch(t, set).untilReady()
	answers <- http.StatusNoContent
	got := first.ask("POST", "/v1/runs", strings.Replace(twoGates, "URL", url, 1), "Prefer: wait=60")
	run := got.run(t)
	if want := "A succeeded, G1 waiting, G2 waiting, B pending, C pending, D succeeded"; got.status != 200 || run.Status != "waiting" || run.statuses() != want {
		t.Errorf("status %d, the run is %s: %s", got.status, run.Status, run.statuses())
	}
	if !strings.Contains(got.text, `"message":"Is A fine?"`) || !strings.Contains(got.text, `"message":"What next?"`) {
		t.Errorf("it does not show what people are asked: %s", got.text)
	}
	if m := string((<-messages).body); !strings.Contains(m, `"type":"run.waiting"`) || !strings.Contains(m, run.ID) {
		t.Errorf("the webhook is told %s", m)
	}
	first.start(threeSubtasks) // there is room for one run, and this one waits

	statuses := make(chan int, 2)
	answers <- http.StatusNoContent // it waits again for the other decision
	for range 2 {
		go func() { statuses <- first.decide(run.ID, "G1", `{"action": "approve"}`) }()
	}
	both := []int{<-statuses, <-statuses}
	if slices.Sort(both); !slices.Equal(both, []int{200, 409}) {
		t.Errorf("two who decide at once are answered %v", both)
	}
	<-messages
	if got := first.ask("GET", "/v1/runs/"+run.ID, "").run(t); got.Status != "waiting" || got.subtask(t, "B").Status != "succeeded" {
		t.Errorf("after one decision the run is %s: %s", got.Status, got.statuses())
	}
	first.stop()

	second := launch(t, set).untilReady()
	for body, want := range map[string]int{
		`{"action": "retry"}`:               422,
		`{"action": "edit"}`:                400,
		`{"action": "edit", "output": " "}`: 422,
	} {
		if got := second.decide(run.ID, "G2", body); got != want {
			t.Errorf("%s is answered %d, want %d", body, got, want)
		}
	}
	answers <- http.StatusNoContent
	if got := second.decide(run.ID, "G2", `{"action": "edit", "output": "GO EAST"}`); got != 200 {
		t.Errorf("an edit is answered %d", got)
	}
	<-messages
	if got := second.ask("GET", "/v1/runs/"+run.ID+"?wait=60", "").run(t); got.Status != "succeeded" || got.Result.Partial {
		t.Errorf("the run is %s: %s", got.Status, got.statuses())
	}
	if got := second.decide(run.ID, "G2", `{"action": "approve"}`); got != 409 {
		t.Errorf("a decision after the end is answered %d", got)
	}
	for word, want := range map[string]int{"<description>Do A": 1, "<description>Do B": 1, "<description>Do C": 1, "<description>Do D": 1, "GO EAST": 1} {
		if n := len(keys(models.Simulator, word)); n != want {
			t.Errorf("%d workers were asked with %s, want %d", n, word, want)
		}
	}
	if got := second.history(run.ID, "run.waiting"); len(got) != 2 {
		t.Errorf("it waited %d times", len(got))
	}
}

// No worker is asked before the plan is approved, whatever becomes of the process.
func TestAPlanIsReviewed(t *testing.T) {
	for action, want := range map[string]string{
		`{"action": "approve", "version": 1}`:                                                                                     "succeeded, 3 asked",
		`{"action": "reject", "version": 1, "comment": "Not like this."}`:                                                         "failed, 0 asked",
		`{"action": "edit", "version": 1, "plan": {"subtasks": [{"id": "X", "description": "Do X"}]}}`:                            "succeeded, 1 asked",
		`{"action": "edit", "version": 1, "plan": {"subtasks": [{"id": "X", "description": "Do X", "when": "Y.output == 'a'"}]}}`: "waiting, 0 asked",
		`{"action": "approve", "version": 2}`:                                                                                     "waiting, 0 asked",
	} {
		t.Run(action, func(t *testing.T) {
			models := endpoint(t, simulator.Options{})
			environ := []string{"TUTTI_JOURNAL=sqlite:" + filepath.Join(t.TempDir(), "tutti.db"), "OPENAI_BASE_URL=" + models.URL(), "OPENAI_API_KEY=none"}
			first := spawn(t, environ...)
			run := first.ask("POST", "/v1/runs", `{"task": "Say hello in three ways [[sim subtasks=3]]", "review_plan": true}`, "Prefer: wait=60").run(t)
			if run.Status != "waiting" || len(run.Plan.Subtasks) != 3 {
				t.Fatalf("the run is %s: %s", run.Status, run.statuses())
			}
			first.kill()
			second := spawn(t, environ...)
			if n := len(keys(models.Simulator, "")); n != 0 {
				t.Errorf("%d workers were asked before", n)
			}
			second.ask("POST", "/v1/runs/"+run.ID+"/plan/decision", action)
			second.kill()
			third := spawn(t, environ...)
			run = third.ask("GET", "/v1/runs/"+run.ID+"?wait=60", "").run(t)
			asked := map[string]bool{} // a call that was lost is made again under its key
			for _, key := range keys(models.Simulator, "") {
				asked[key] = true
			}
			if got := run.Status + ", " + string(rune('0'+len(asked))) + " asked"; got != want {
				t.Errorf("%s: %s, %s", got, run.statuses(), run.Error)
			}
		})
	}
}
