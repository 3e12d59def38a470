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

// TestWhatWasDoneIsUndoneWhateverWasSpent has a run undo what it did also when its
// expressions have cost too much together.
func TestWhatWasDoneIsUndoneWhateverWasSpent(t *testing.T) {
	run := New(Funcs{Expressions: dear{StoryExpressions}})
	spec := specOf(t, []string{"max_concurrency=100", "tool=undo"})
	spec.Plan = &Plan{Subtasks: []Subtask{{ID: "did", Description: "x", Compensate: &ToolCall{Name: "undo", Arguments: map[string]string{"of": "output"}}}}}
	for i := range 12 {
		spec.Plan.Subtasks = append(spec.Plan.Subtasks, Subtask{ID: fmt.Sprint("s", i), Description: "x", When: "task == ''", DependsOn: []string{"did"}, OnFailure: Recovery{Do: OnFailureFail}})
	}
	var last []Command
	inputs := []Said{Start{ID: "run_1", Spec: spec}, Worked{Subtask: "did", Attempt: 1, Output: "done"}}
	for i := range 11 {
		inputs = append(inputs, Worked{Subtask: fmt.Sprint("s", i), Attempt: 1, Failure: &Failure{Code: CodeCanceled}})
	}
	for _, said := range inputs {
		var err error
		if _, last, err = run.Step(Input{Time: epoch, Said: said}); err != nil {
			t.Fatal(err)
		}
	}
	if len(last) != 1 || last[0].Key() != "compensation/did/1" {
		t.Errorf("the run is %s (%v), and what is to be done is %v; of the undoing there is %+v", run.Status, run.Ending, last, run.Subtask("did").Undoing)
	}
}

// TestExpressionsAreEvaluatedOnceAfterARestart has a run begin again all that was in
// flight: what it was given is worked out once for each.
func TestExpressionsAreEvaluatedOnceAfterARestart(t *testing.T) {
	run := New(Funcs{Expressions: dear{StoryExpressions}})
	spec := specOf(t, []string{"max_concurrency=100"})
	spec.Plan = &Plan{}
	for i := range 9 {
		spec.Plan.Subtasks = append(spec.Plan.Subtasks, Subtask{ID: fmt.Sprint("s", i), Description: "x", Input: map[string]string{"of": "task"}})
	}
	events, _, err := run.Step(Input{Time: epoch, Said: Start{ID: "run_1", Spec: spec}})
	if err != nil || run.Progress.Running != 9 {
		t.Fatal(err, run.Progress)
	}
	again := New(Funcs{Expressions: dear{StoryExpressions}})
	for _, e := range events {
		again.Replay(e)
	}
	if _, _, err := again.Step(Input{Time: epoch, Said: Resume{}}); err != nil || again.Progress.Running != 9 {
		t.Errorf("%v %+v", err, again.Progress)
	}
}
