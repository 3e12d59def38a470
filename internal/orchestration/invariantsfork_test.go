package orchestration

import "pgregory.net/rapid"

// forked holds a fork of the ended run to what a plan must be.
func (w *world) forked() {
	if _, problems := w.run.Fork(nil, nil); len(problems) > 0 && w.run.Planning.Version > 0 {
		w.t.Fatalf("the run cannot be forked: %v", problems)
	}
	fork, problems := w.run.Fork(w.drawEdits())
	if len(problems) > 0 {
		return
	}
	if problems := fork.Plan.Check(w.run.rules()); len(problems) > 0 && len(fork.Plan.Subtasks) > 0 {
		w.t.Fatalf("a fork has the problems %v", problems)
	}
	if got := len(fork.Keep) + len(fork.Redo); got != len(fork.Plan.Subtasks) {
		w.t.Fatalf("a fork redoes %v and keeps %v", fork.Redo, fork.Keep)
	}
	if len(fork.Plan.Subtasks) > 0 && w.run.Spec.Fork == nil && oneIn(w.t, 3, "perform the fork") {
		w.performFork(fork)
	}
}

// drawEdits draws what a fork is asked for.
func (w *world) drawEdits() (edits map[string]Edit, from []string) {
	edits = map[string]Edit{}
	described := "do it otherwise"
	for _, s := range w.run.Subtasks {
		text := drawOutput(w.t)
		if s.Decide != nil {
			text = rapid.SampledFrom(s.Decide.Options).Draw(w.t, "option")
		}
		switch {
		case s.Parent != "" || !oneIn(w.t, 5, "edited"):
		case oneIn(w.t, 4, "described"):
			edits[s.ID] = Edit{Description: &described}
		case oneIn(w.t, 4, "from"):
			from = append(from, s.ID)
		default:
			edits[s.ID] = Edit{Output: &text}
		}
	}
	return edits, from
}

// performFork carries a fork out, and has it perform nothing that it is to keep.
func (w *world) performFork(fork Forked) {
	spec := *w.run.Spec
	spec.Plan, spec.Prepared, spec.Fork = &fork.Plan, nil, &Fork{Run: w.run.ID, Left: fork.Left}
	for _, g := range fork.Given {
		output := g.Output.Whole
		if g.Output.Seq > 0 {
			output = w.events[g.Output.Seq-1].Fact.(*SubtaskSucceeded).Output
		}
		spec.Fork.Given = append(spec.Fork.Given, Given{g.Subtask, output, g.Fallback, g.Shortened})
	}
	again := newWorld(w.t)
	again.play(&spec)
	for _, id := range fork.Keep {
		if s := again.run.Subtask(id); s.Attempts > 0 {
			w.t.Fatalf("%s was kept and is performed: %s", id, encoded(s))
		}
	}
}
