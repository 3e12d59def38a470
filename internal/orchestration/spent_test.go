package orchestration

import (
	"fmt"
	"testing"
)

// dear are expressions of which each costs as much as it may.
type dear struct{ Expressions }

func (dear) Eval(_ string, v *Variables) (string, error) {
	*v.Spent += 5_000_000
	return "true", nil
}

// TestExpressionsAreBoundedTogether has a run stop evaluating when its expressions
// have cost too much together, and end all the same.
func TestExpressionsAreBoundedTogether(t *testing.T) {
	run := New(Funcs{Expressions: dear{StoryExpressions}})
	spec := specOf(t, []string{"max_concurrency=100"})
	spec.Plan = &Plan{}
	for range 30 {
		id := fmt.Sprint("s", len(spec.Plan.Subtasks))
		spec.Plan.Subtasks = append(spec.Plan.Subtasks, Subtask{ID: id, Description: "x", When: "task == ''"})
	}
	if _, _, err := run.Step(Input{Time: epoch, Said: Start{ID: "run_1", Spec: spec}}); err != nil {
		t.Fatal(err)
	}
	if run.Progress.Running != 11 || run.Progress.Failed != 19 {
		t.Errorf("%+v", run.Progress)
	}
}
