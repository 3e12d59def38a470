package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tmaxmax/go-sse"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// A told is a run as the API shows it.
type told struct {
	ID     string
	Status string
	Plan   struct {
		Version  int
		Source   string
		Subtasks []toldSubtask
		Dropped  []toldSubtask
		Versions []struct {
			Version  int
			Source   string
			Reason   *cause
			Subtasks []string
		}
	}
	Result struct {
		WorkerResults []struct{ Result *string } `json:"worker_results"`
		FinalOutput   *string                    `json:"final_output"`
		Partial       bool
	}
	Reason, Error *cause
	Usage         struct {
		LLMCalls         int     `json:"llm_calls"`
		PromptTokens     int     `json:"prompt_tokens"`
		CachedTokens     int     `json:"cached_tokens"`
		CompletionTokens int     `json:"completion_tokens"`
		CostUSD          float64 `json:"cost_usd"`
	}
}

type toldSubtask struct {
	ID, Status, Model, Description string
	Attempts                       int
	Fallback, Cached               bool
	Output                         *string
	Error                          *cause
}

// A cause says why something is as it is: a reason, a problem, an error.
type cause struct{ Code, Detail string }

func (c *cause) String() string {
	if c == nil {
		return "none"
	}
	return c.Code + ": " + c.Detail
}

// run reads a run, of any status.
func (a answer) run(t testing.TB) told {
	t.Helper()
	var run told
	if err := json.Unmarshal([]byte(a.text), &run); err != nil || a.status/100 != 2 || run.ID == "" {
		t.Fatalf("status %d, %v: %s", a.status, err, a.text)
	}
	return run
}

// start starts a run and returns it once it has ended.
func (r *running) start(body string) told {
	r.t.Helper()
	run := r.ask("POST", "/v1/runs", body, "Prefer: wait=60").run(r.t)
	if run.Status == "running" || run.Status == "queued" {
		r.t.Fatalf("it does not end: it is %s", run.Status)
	}
	return run
}

// subtask returns the subtask of the plan in force.
func (run told) subtask(t testing.TB, id string) toldSubtask {
	t.Helper()
	i := slices.IndexFunc(run.Plan.Subtasks, func(s toldSubtask) bool { return s.ID == id })
	if i < 0 {
		t.Fatalf("the plan has no %s", id)
	}
	return run.Plan.Subtasks[i]
}

// statuses are the subtasks' of the plan in force: "A succeeded, B failed".
func (run told) statuses() string {
	var all []string
	for _, s := range run.Plan.Subtasks {
		all = append(all, s.ID+" "+s.Status)
	}
	return strings.Join(all, ", ")
}

// A toldEvent is an event as the API shows it.
type toldEvent struct {
	Seq       int
	Type      string
	SubtaskID string `json:"subtask_id"`
	Attempt   int
	Data      map[string]any
}

// history returns the run's events of a type, all if none is named.
func (r *running) history(id, kind string, headers ...string) []toldEvent {
	r.t.Helper()
	var page struct{ Data []toldEvent }
	a := r.ask("GET", "/v1/runs/"+id+"/events?limit=200", "", headers...)
	if err := json.Unmarshal([]byte(a.text), &page); err != nil || a.status != 200 {
		r.t.Fatalf("status %d, %v: %s", a.status, err, a.text)
	}
	return slices.DeleteFunc(page.Data, func(e toldEvent) bool { return kind != "" && e.Type != kind })
}

// types are those of the events, in their order.
func types(events []toldEvent) []string {
	var all []string
	for _, e := range events {
		all = append(all, e.Type)
	}
	return all
}

// planners answers the planner's calls with these plans, each as "A: description;
// B after A: description", and each later call with the last.
func planners(plans ...string) func(simulator.Request) (simulator.Reply, bool) {
	var asked atomic.Int64
	return func(r simulator.Request) (simulator.Reply, bool) {
		if r.Role != simulator.Planner {
			return simulator.Reply{}, false
		}
		n := int(asked.Add(1))
		return simulator.Reply{Text: planOf(plans[min(n, len(plans))-1])}, true
	}
}

// planOf writes a plan as JSON.
func planOf(text string) string {
	var subtasks []string
	for _, part := range strings.Split(text, "; ") {
		head, description, _ := strings.Cut(part, ": ")
		id, on, depends := strings.Cut(head, " after ")
		list := "[]"
		if depends {
			list = fmt.Sprintf("[%q]", on)
		}
		subtasks = append(subtasks, fmt.Sprintf(`{"id": %q, "type": "writer", "description": %q, "depends_on": %s}`, id, description, list))
	}
	return `{"analysis": "As it is.", "subtasks": [` + strings.Join(subtasks, ", ") + `]}`
}

// refusing has workers refuse what is described with a word, which is not worth
// another attempt.
func refusing(word string) func(simulator.Request) simulator.Fault {
	return func(r simulator.Request) simulator.Fault {
		if r.Role == simulator.Worker && strings.Contains(r.Prompt(), word) {
			return simulator.Refusal
		}
		return simulator.NoFault
	}
}

// startUntil starts a run, follows it until one of its events is as wanted, and
// returns its path.
func (r *running) startUntil(body string, wanted func(toldEvent) bool) string {
	r.t.Helper()
	stream := r.open("POST", "/v1/runs", body, "Accept: text/event-stream")
	defer func() { _ = stream.Body.Close() }()
	for f, err := range sse.Read(stream.Body, nil) {
		if err != nil {
			r.t.Fatal(err)
		}
		var e toldEvent
		if err := json.Unmarshal([]byte(f.Data), &e); err != nil {
			r.t.Fatalf("%v: %s", err, f.Data)
		}
		if wanted(e) {
			return strings.TrimSuffix(stream.Header.Get("Location"), "/events")
		}
	}
	r.t.Fatal("the stream ended before")
	return ""
}
