package orchestration

import "testing"

// What is worked out of a subtask holds until the next event, and no longer than a
// Step: it may be large.
func TestScopes(t *testing.T) {
	spec := specOf(nil, nil)
	spec.Plan = &Plan{Subtasks: []Subtask{
		{ID: "a", Description: "do it"},
		{ID: "b", Description: "do it", Input: map[string]string{"of": "a.output + '!'"}},
	}}
	run := New(storyFuncs())
	step := func(said Said) []Command {
		_, commands, err := run.Step(Input{Time: epoch, Said: said})
		if err != nil {
			t.Fatal(err)
		}
		if run.scope.of != nil || run.scope.variables != nil || run.scope.given != nil {
			t.Errorf("after %T the run holds %+v", said, run.scope)
		}
		return commands
	}
	step(Start{ID: "run_1", Spec: spec})
	b := run.Subtask("b")
	if v := run.variables(b); v != run.variables(b) || v.Subtasks[0].Output != nil {
		t.Errorf("before it ends a is seen as %+v", v.Subtasks[0])
	}
	held := run.scope
	commands := step(Worked{Subtask: "a", Attempt: 1, Output: "done"})
	if given := commands[0].(Work).Inputs; len(given) != 1 || given[0].Text.Whole != `"done!"` {
		t.Errorf("b is given %+v", given)
	}
	run.scope = held
	if v := run.variables(b); v.Subtasks[0].Output == nil || *v.Subtasks[0].Output != "done" {
		t.Errorf("after its end a is seen as it was before: %+v", v.Subtasks[0])
	}
}
