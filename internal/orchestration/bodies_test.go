package orchestration

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// Bodies whose cost must not grow with how often they are expanded, or how wide they are.
var manyBodies = map[string]struct {
	few, many int
	plan      func(n int) string
}{
	"items": {100, 900, func(n int) string {
		return fmt.Sprintf(`{"id": "each", "kind": "for_each", "for_each": {"max_items": %d, "max_concurrency": 10,
			"items": "listed.output.rows", "body": [{"id": "look", "description": "look at it", "when": "listed.output.complete",
			"input": {"name": "item.name", "place": "index + 1"}, "output": "{'name': item.name, 'text': output}"}]}}`, n)
	}},
	"rounds": {10, 100, func(n int) string {
		return fmt.Sprintf(`{"id": "again", "kind": "loop", "depends_on": ["listed"], "loop": {"max_iterations": 100, "until": "iteration == %d", "body": [
			{"id": "draft", "description": "write it", "input": {"before": "previous", "of": "listed.output.complete"}},
			{"id": "look", "description": "look at it", "depends_on": ["draft"]}]}}`, n)
	}},
	"width": {10, 90, func(n int) string {
		body := make([]string, n)
		for i := range body {
			body[i] = fmt.Sprintf(`{"id": "part-%d", "description": "write it", "input": {"n": "iteration"}}`, i)
		}
		return `{"id": "again", "kind": "loop", "loop": {"max_iterations": 3, "body": [` + strings.Join(body, ", ") + `]}}`
	}},
}

// A subtask that is expanded often takes as much memory a time as one that seldom is.
func TestBodiesScale(t *testing.T) {
	for name, body := range manyBodies {
		a := allocated(func() { expandedRun(t, body.few, body.plan(body.few)) }) / float64(body.few)
		b := allocated(func() { expandedRun(t, body.many, body.plan(body.many)) }) / float64(body.many)
		if b > 1.5*a {
			t.Errorf("%s: %.0f bytes each where there are %d, and %.0f where there are %d", name, a, body.few, b, body.many)
		}
	}
}

func allocated(f func()) float64 {
	f() // expressions are compiled then
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc - before.TotalAlloc)
}

// expandedRun carries a run from its start to its end, whose first subtask lists n rows.
func expandedRun(t *testing.T, n int, composite string) {
	rows := make([]string, n)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"name": "machine-%d", "cpu": %d, "tags": ["eu", "web"]}`, i, i)
	}
	listed := `{"complete": true, "rows": [` + strings.Join(rows, ", ") + `]}`
	spec := specOf(nil, nil)
	spec.Plan = new(Plan)
	if err := json.Unmarshal([]byte(`{"subtasks": [{"id": "listed", "description": "list them"}, `+composite+`]}`), spec.Plan); err != nil {
		t.Fatal(err)
	}
	run := New(storyFuncs())
	inputs := []Said{Start{ID: "run_1", Spec: spec}}
	for !run.Done() {
		_, commands, err := run.Step(Input{Time: epoch, Said: inputs[0]})
		if err != nil {
			t.Fatal(err)
		}
		inputs = inputs[1:]
		for _, c := range commands {
			switch c := c.(type) {
			case Work:
				output := strings.Repeat("word ", 100)
				if c.Subtask.ID == "listed" {
					output = listed
				}
				inputs = append(inputs, Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Output: output})
			case Synthesize:
				inputs = append(inputs, Synthesized{Attempt: c.Attempt, Output: "all"})
			}
		}
	}
	if run.Status != StatusSucceeded || run.Progress.Total <= n {
		t.Fatal(run.Status, run.Progress, run.Failure)
	}
}
