package orchestration

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ended tells a story of a run, and returns the run.
func ended(t *testing.T, story ...string) *Run {
	te := &teller{t: t, run: New(storyFuncs()), now: epoch, depth: map[string]int{}}
	for _, line := range story {
		if plan, ok := strings.CutPrefix(line, "| "); ok {
			te.text += plan + "\n"
			continue
		}
		te.hear(line)
	}
	if !te.run.Done() {
		t.Fatalf("the run has not ended:\n%s", te.out.String())
	}
	return te.run
}

func TestFork(t *testing.T) {
	run := ended(
		t,
		"| subtasks:",
		"|   - {id: a, description: x}",
		"|   - {id: b, description: x, input: {o: a.output}}",
		"|   - {id: c, description: x, depends_on: [b]}",
		"|   - {id: d, description: x}",
		"|   - {id: e, description: x, when: 'size(d.output) > 9'}",
		"|   - {id: f, description: x}",
		"start max_attempts=1 synthesizer=none",
		"worked a#1 A", "worked d#1 D", "worked f#1 failed upstream_error", "worked b#1 B", "worked c#1 C",
	)
	text := "text"
	for name, test := range map[string]struct {
		edits            map[string]Edit
		from             []string
		redo, keep, give []string
	}{
		"what failed":   {nil, nil, []string{"f"}, []string{"a", "b", "c", "d", "e"}, []string{"a=A", "b=B", "c=C", "d=D"}},
		"a description": {map[string]Edit{"b": {Description: &text}}, nil, []string{"b", "c", "f"}, []string{"a", "d", "e"}, []string{"a=A", "d=D"}},
		"an output":     {map[string]Edit{"a": {Output: &text}}, nil, []string{"b", "c", "f"}, []string{"a", "d", "e"}, []string{"a=text", "d=D"}},
		"from":          {nil, []string{"d"}, []string{"d", "e", "f"}, []string{"a", "b", "c"}, []string{"a=A", "b=B", "c=C"}},
	} {
		t.Run(name, func(t *testing.T) {
			forked, problems := run.Fork(test.edits, test.from)
			if problems != nil {
				t.Fatal(problems)
			}
			var given []string
			for _, g := range forked.Given {
				given = append(given, g.Subtask+"="+g.Output.Whole)
			}
			if diff := cmp.Diff([][]string{test.redo, test.keep, test.give}, [][]string{forked.Redo, forked.Keep, given}); diff != "" {
				t.Error(diff)
			}
			if problems := forked.Plan.Check(run.rules()); problems != nil {
				t.Error(problems)
			}
			for i, s := range forked.Plan.Subtasks {
				if s.Implied != nil || s.Kept || len(s.DependsOn) != len(run.Subtasks[i].DependsOn)-len(run.Subtasks[i].Implied) {
					t.Errorf("%s is not as it was written: %+v", s.ID, s)
				}
			}
		})
	}
	if _, problems := run.Fork(map[string]Edit{"z/1": {Output: &text}}, []string{"y"}); len(problems) != 2 || problems[0].Pointer != "/edits/z~11" {
		t.Errorf("unknown subtasks give %v", problems)
	}
	if _, problems := run.Fork(map[string]Edit{"a": {Output: &text}}, []string{"d", "a"}); len(problems) != 1 || problems[0].Pointer != "/from/1" {
		t.Errorf("one that is given and to be performed gives %v", problems)
	}
	long := strings.Repeat("x", run.Spec.Limits.MaxOutputBytes+1)
	if _, problems := run.Fork(map[string]Edit{"a": {Output: &long}}, nil); len(problems) != 1 || problems[0].Pointer != "/edits/a/output" {
		t.Errorf("too long an output gives %v", problems)
	}
}

// What is known of an output goes with it, but not to what an edit gives in its place.
func TestForkTellsHowOutputsWereMade(t *testing.T) {
	run := ended(
		t,
		"| subtasks:",
		"|   - {id: a, description: x, on_failure: {fallback: {value: 1}}}",
		"|   - {id: b, description: x}",
		"|   - {id: c, description: x, on_failure: {fallback: {value: 1}}}",
		"start max_attempts=1 synthesizer=none",
		"worked a#1 failed upstream_error", "worked b#1 B", "worked c#1 failed upstream_error",
	)
	run.Subtask("b").Shortened = true
	text := "text"
	forked, problems := run.Fork(map[string]Edit{"c": {Output: &text}}, nil)
	if problems != nil {
		t.Fatal(problems)
	}
	want := []Kept{
		{Subtask: "a", Output: Text{Whole: "1", Bytes: 1}, Fallback: true},
		{Subtask: "b", Output: Text{Whole: "B", Bytes: 1}, Shortened: true},
		{Subtask: "c", Output: Text{Whole: "text", Bytes: 4}},
	}
	if diff := cmp.Diff(want, forked.Given); diff != "" {
		t.Error(diff)
	}
	fork, _ := forkedFrom(t, run, forked)
	if a, b, c := fork.Subtask("a"), fork.Subtask("b"), fork.Subtask("c"); !a.FellBack || a.Shortened || !b.Shortened || b.FellBack || c.FellBack || c.Shortened {
		t.Errorf("%+v, %+v, %+v", a, b, c)
	}
}

// TestForkRefusesWhatNoPlanMayHave refuses a type where a subtask of its kind has none:
// the fork's plan would be refused otherwise, which is nobody's to mend.
func TestForkRefusesWhatNoPlanMayHave(t *testing.T) {
	run := ended(
		t,
		"| subtasks:",
		"|   - {id: a, description: x}",
		"|   - {id: m, kind: merge, merge: concat, depends_on: [a]}",
		"start synthesizer=none",
		"worked a#1 A",
	)
	kind := "poet"
	if _, problems := run.Fork(map[string]Edit{"a": {Type: &kind}, "m": {Type: &kind}}, nil); len(problems) != 1 || problems[0].Pointer != "/edits/m/type" {
		t.Errorf("a type of a merge gives %v", problems)
	}
}

// TestForkOfAStoppedRun keeps undone what a decision left undone, as long as it
// stands, and what depends on that.
func TestForkOfAStoppedRun(t *testing.T) {
	run := ended(
		t,
		"| subtasks:",
		"|   - {id: a, description: x}",
		"|   - {id: l, kind: loop, depends_on: [a], loop: {max_iterations: 2, body: [{id: v, kind: decide, decide: {by: expr, expr: 'true', options: [stop, go]}}]}}",
		"|   - {id: b, description: x, depends_on: [l]}",
		"|   - {id: c, description: x, depends_on: [b]}",
		"|   - {id: d, description: x}",
		"start max_attempts=1 synthesizer=none max_concurrency=1",
		"worked a#1 A",
	)
	text := "text"
	for name, test := range map[string]struct {
		edits            map[string]Edit
		from             []string
		redo, keep, left []string
	}{
		"nothing":         {nil, nil, nil, []string{"a", "l", "b", "c", "d"}, []string{"b", "c", "d"}},
		"the decision":    {nil, []string{"l"}, []string{"l", "b", "c", "d"}, []string{"a"}, nil},
		"what it goes by": {map[string]Edit{"a": {Type: &text}}, nil, []string{"a", "l", "b", "c", "d"}, nil, nil},
		"its output":      {map[string]Edit{"l": {Output: &text}}, nil, []string{"b", "c", "d"}, []string{"a", "l"}, nil},
		"what it left":    {nil, []string{"b"}, []string{"b", "c"}, []string{"a", "l", "d"}, []string{"d"}},
	} {
		forked, problems := run.Fork(test.edits, test.from)
		if diff := cmp.Diff([][]string{test.redo, test.keep, test.left}, [][]string{forked.Redo, forked.Keep, forked.Left}); diff != "" || problems != nil {
			t.Errorf("%s: %v %s", name, problems, diff)
		}
	}
}

// TestForkOfAForkOfAStoppedRun knows which decision it was that left something undone.
func TestForkOfAForkOfAStoppedRun(t *testing.T) {
	run := ended(
		t,
		"| subtasks:",
		"|   - {id: a, description: x}",
		"|   - {id: ask, kind: decide, depends_on: [a], decide: {by: expr, expr: 'true', options: [go, stop]}}",
		"|   - {id: l, kind: loop, depends_on: [a], loop: {max_iterations: 2, body: [{id: v, kind: decide, decide: {by: expr, expr: 'true', options: [stop, go]}}]}}",
		"|   - {id: d, description: x}",
		"start max_attempts=1 synthesizer=none max_concurrency=1",
		"worked a#1 A",
	)
	forked, problems := run.Fork(nil, nil)
	if problems != nil {
		t.Fatal(problems)
	}
	run, _ = forkedFrom(t, run, forked)
	for name, test := range map[string]struct{ from, redo []string }{
		"nothing":          {nil, nil},
		"another decision": {[]string{"ask"}, []string{"ask"}},
		"the decision":     {[]string{"l"}, []string{"l", "d"}},
	} {
		forked, problems := run.Fork(nil, test.from)
		if diff := cmp.Diff(test.redo, forked.Redo); diff != "" || problems != nil {
			t.Errorf("%s: %v %s", name, problems, diff)
		}
	}
}

// forkedFrom begins a fork, and returns its run with what that does.
func forkedFrom(t *testing.T, run *Run, forked Forked) (*Run, []Command) {
	t.Helper()
	spec := *run.Spec
	spec.Plan, spec.Fork = &forked.Plan, &Fork{Run: run.ID, Left: forked.Left}
	for _, g := range forked.Given {
		spec.Fork.Given = append(spec.Fork.Given, Given{g.Subtask, g.Output.Whole, g.Fallback, g.Shortened})
	}
	fork := New(storyFuncs())
	_, commands, err := fork.Step(Input{Time: epoch, Said: Start{ID: "run_2", Spec: &spec}})
	if err != nil {
		t.Fatal(err)
	}
	return fork, commands
}

// What was undone with a run is done anew by its fork, also where it was a part of a
// body, and so is what depends on it.
func TestForkRedoesWhatWasUndone(t *testing.T) {
	run := ended(
		t,
		"| subtasks:",
		"|   - {id: a, description: x}",
		"|   - id: each",
		"|     kind: for_each",
		"|     depends_on: [a]",
		"|     for_each: {items: '[1]', body: [{id: save, kind: tool, tool: {name: create}, compensate: {name: remove}}]}",
		"|   - {id: b, description: x, depends_on: [each]}",
		"|   - {id: c, description: x, depends_on: [a, b], on_failure: fail}",
		"start tool=create tool=remove max_attempts=1",
		"worked a#1 A", "worked each.1.save#1 saved", "worked b#1 B", "worked c#1 failed upstream_error", "compensated each.1.save#1",
	)
	forked, problems := run.Fork(nil, nil)
	if problems != nil {
		t.Fatal(problems)
	}
	if diff := cmp.Diff([][]string{{"each", "b", "c"}, {"a"}}, [][]string{forked.Redo, forked.Keep}); diff != "" {
		t.Error(diff)
	}
}

// TestForkOfAReplannedRun begins with what the run had become, be it more than plans
// may begin with.
func TestForkOfAReplannedRun(t *testing.T) {
	run := ended(
		t,
		"| subtasks:",
		"|   - {id: l, kind: loop, loop: {max_iterations: 1, body: [{id: x, description: x}, {id: y, description: x}]}}",
		"|   - {id: a, description: x, depends_on: [l]}",
		"start max_attempts=1 synthesizer=none on_failure=replan max_replans=1 most_subtasks=4",
		"worked l.1.x#1 X", "worked l.1.y#1 Y", "worked a#1 failed upstream_error",
		"planned 1 b c", "worked b#1 B", "worked c#1 failed upstream_error",
	)
	forked, problems := run.Fork(nil, nil)
	if problems != nil {
		t.Fatal(problems)
	}
	spec := *run.Spec
	spec.Plan, spec.Fork = &forked.Plan, &Fork{Run: run.ID}
	for _, queue := range []bool{false, true} {
		again := New(storyFuncs())
		if _, _, err := again.Step(Input{Time: epoch, Said: Start{ID: "run_2", Spec: &spec, Queue: queue}}); err != nil {
			t.Errorf("queued %v: %v", queue, err)
		}
	}
}

// TestForkIntoAStop has a decision that is given heeded like one that is made: "stop"
// leaves undone all that would be performed.
func TestForkIntoAStop(t *testing.T) {
	run := ended(
		t,
		"| subtasks:",
		"|   - {id: a, description: x}",
		"|   - {id: gate, kind: decide, decide: {by: expr, expr: 'a.output == \"enough\"', options: [stop, go]}}",
		"|   - {id: b, description: x, depends_on: [gate]}",
		"|   - {id: c, description: x, depends_on: [b]}",
		"|   - {id: d, description: x}",
		"|   - {id: e, description: x}",
		"start max_attempts=1 synthesizer=none",
		"worked a#1 A", "worked d#1 failed upstream_error", "worked e#1 E", "worked b#1 B", "worked c#1 C",
	)
	stop, text := "stop", "text"
	edits := map[string]Edit{"gate": {Output: &stop}, "e": {Output: &text}}
	forked, problems := run.Fork(edits, nil)
	if problems != nil {
		t.Fatal(problems)
	}
	if diff := cmp.Diff([][]string{nil, {"a", "gate", "b", "c", "d", "e"}, {"b", "c", "d"}}, [][]string{forked.Redo, forked.Keep, forked.Left}); diff != "" {
		t.Error(diff)
	}
	if again, commands := forkedFrom(t, run, forked); !again.Done() || len(commands) != 1 { // its timer
		t.Errorf("the fork is %s and does %v", again.Status, commands)
	}

	edits["b"], edits["d"] = Edit{Description: &text}, Edit{Type: &text}
	_, problems = run.Fork(edits, []string{"a"})
	var at []string
	for _, p := range problems {
		at = append(at, p.Pointer)
	}
	if diff := cmp.Diff([]string{"/edits/b", "/edits/d", "/from/0"}, at); diff != "" {
		t.Errorf("what is to be performed in spite of a stop gives %v", problems)
	}
}

// TestForkGivesNoQuestion refuses the options by which a decision asks somebody else.
func TestForkGivesNoQuestion(t *testing.T) {
	run := ended(
		t,
		"| subtasks:",
		"|   - {id: gate, kind: decide, decide: {by: expr, expr: '\"go\"', options: [go, replan, escalate]}}",
		"|   - {id: a, description: x, depends_on: [gate]}",
		"start synthesizer=none",
		"worked a#1 A",
	)
	for option, want := range map[string]bool{"go": true, "replan": false, "escalate": false, "else": false} {
		_, problems := run.Fork(map[string]Edit{"gate": {Output: &option}}, nil)
		switch {
		case want && problems == nil:
		case !want && len(problems) == 1 && problems[0].Pointer == "/edits/gate/output" && strings.HasSuffix(problems[0].Detail, "It must be one of: go."):
		default:
			t.Errorf("%s gives %v", option, problems)
		}
	}
}
