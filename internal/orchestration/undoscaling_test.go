package orchestration

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestManyCompensations has what there is to undo be undone at a cost that goes by how
// much it is: the next one is looked for, not all of them put into order each time.
func TestManyCompensations(t *testing.T) {
	undone := func(n int) float64 { return allocated(func() { undoneRun(t, n) }) / float64(n) }
	if few, many := undone(100), undone(900); many > 1.5*few {
		t.Errorf("%.0f bytes each where there are 100, and %.0f where there are 900", few, many)
	}
}

// undoneRun carries out a run of n items that is canceled, and undoes them.
func undoneRun(t *testing.T, n int) {
	spec := specOf(t, []string{"tool=undo", "max_concurrency=1000"})
	plan := fmt.Sprintf(`{"subtasks": [{"id": "each", "kind": "for_each", "for_each": {"max_items": %d, "items": "lists.range(%d)", "body": [
		{"id": "do", "description": "do it", "compensate": {"name": "undo"}}]}}, {"id": "last", "description": "never ends"}]}`, n, n)
	if err := json.Unmarshal([]byte(plan), &spec.Plan); err != nil {
		t.Fatal(err)
	}
	run := New(storyFuncs())
	inputs := []Said{Start{ID: "run_1", Spec: spec}}
	for undone := 0; !run.Done(); {
		if len(inputs) == 0 {
			inputs = []Said{Cancel{}, Worked{Subtask: "last", Attempt: 1, Failure: &Failure{Code: CodeCanceled}}}
		}
		_, commands, err := run.Step(Input{Time: epoch, Said: inputs[0]})
		if err != nil {
			t.Fatal(err)
		}
		inputs = inputs[1:]
		for _, c := range commands {
			switch c := c.(type) {
			case Work:
				if c.Subtask.ID != "last" {
					inputs = append(inputs, Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Output: "done"})
				}
			case Compensate:
				if want := fmt.Sprintf("each.%d.do", n-undone); c.Subtask != want {
					t.Fatalf("%s is undone, want %s", c.Subtask, want)
				}
				undone++
				inputs = append(inputs, Compensated{Subtask: c.Subtask, Attempt: c.Attempt})
			}
		}
	}
	if run.Status != StatusCanceled {
		t.Fatal(run.Status)
	}
}
