package orchestration

import "slices"

// An Edit changes a subtask in a fork. With an output the subtask is not
// performed: that is what others see of it.
type Edit struct {
	Description *string
	Type        *string
	Output      *string
}

// A Forked is what a fork of a run comes to.
type Forked struct {
	Plan  Plan     // of the new run
	Redo  []string // ids of the subtasks that are performed again, in plan order
	Keep  []string // ids of those that are not, in plan order
	Given []Kept   // the outputs of those, in plan order; one that has none is missing
	Left  []string // of those, what a decision leaves undone
}

// A Kept is an output that a fork takes over.
type Kept struct {
	Subtask   string
	Output    Text // in the run that is forked, or whole
	Fallback  bool // it was made up, or by a fallback
	Shortened bool
}

// Fork says what a new run comes to that redoes what the edits change, what is
// named in from, what did not succeed, what was undone, and all that depends on
// those. A decision that an edit has end the run leaves all that undone instead. The
// run must have ended. Problems point into the request: "/edits/T2", "/from/0".
func (r *Run) Fork(edits map[string]Edit, from []string) (Forked, []Problem) {
	f := Forked{Plan: Plan{Analysis: r.Planning.Analysis}}
	if problems := r.unforkable(edits, from); len(problems) > 0 {
		return f, problems
	}
	redo, other := map[string]bool{}, map[string]bool{} // to be performed; whose output is another one
	plan := r.forkable()
	for _, s := range plan {
		edit := edits[s.ID]
		changed := edit.Description != nil || edit.Type != nil || slices.Contains(from, s.ID)
		redo[s.ID] = edit.Output == nil && (changed || r.wasUndone(s) || s.Status != StatusSucceeded && s.Because == "")
		other[s.ID] = redo[s.ID] || edit.Output != nil
	}
	r.spread(plan, redo, other)
	stop := r.givenStop(edits)
	for _, s := range plan {
		f.add(s, edits[s.ID], redo[s.ID], stop != "")
	}
	for i := range f.Plan.Subtasks {
		s := &f.Plan.Subtasks[i]
		s.DependsOn = slices.DeleteFunc(s.DependsOn, func(id string) bool { _, there := other[id]; return !there })
	}
	return f, nil
}

// spread has what builds on another output be performed, too, however far down the
// plan, and what a decision left undone, where that may be another one.
func (r *Run) spread(plan []*SubtaskState, redo, other map[string]bool) {
	var open, left []string
	builds := make(map[string][]string, len(plan)) // by id: what builds on it
	for _, s := range plan {
		if other[s.ID] {
			open = append(open, s.ID)
		}
		for _, on := range s.DependsOn {
			builds[on] = append(builds[on], s.ID)
		}
		if s.Because == BecauseStopped {
			left = append(left, s.ID)
		}
	}
	stopper := r.stopper()
	for len(open) > 0 {
		id := open[0]
		open = open[1:]
		if s := r.Subtask(id); id == stopper || s.tookOverStop() {
			builds[id], left = append(builds[id], left...), nil
		}
		for _, next := range builds[id] {
			if !other[next] {
				redo[next], other[next] = true, true
				open = append(open, next)
			}
		}
	}
}

// tookOverStop reports whether it may have been this subtask that ended the run from
// which its output was taken over.
func (s *SubtaskState) tookOverStop() bool {
	return s.Status == StatusSucceeded && s.Cached && (s.Kind == KindDecide && s.Output.Whole == OptionStop || s.Kind.Composite() && s.mayStop())
}

// mayStop reports whether a decision of a subtask's body may end the run.
func (s *Subtask) mayStop() bool {
	body := s.body()
	return body != nil && slices.ContainsFunc(*body, func(child Subtask) bool {
		return child.Decide != nil && slices.Contains(child.Decide.Options, OptionStop) || child.mayStop()
	})
}

// forkable returns the subtasks of a fork's plan: not those that a later version has
// made up for, unless expressions of the others still read them.
func (r *Run) forkable() []*SubtaskState {
	in := map[string]bool{}
	var take func(s *SubtaskState)
	take = func(s *SubtaskState) {
		in[s.ID] = true
		for _, id := range s.DependsOn {
			if !in[id] && s.reads(id) {
				take(r.Subtask(id))
			}
		}
	}
	for _, s := range r.Subtasks {
		if s.counts() && s.Parent == "" {
			take(s)
		}
	}
	return slices.DeleteFunc(slices.Clone(r.Subtasks), func(s *SubtaskState) bool { return !in[s.ID] })
}

// reads reports whether a subtask cannot be without one that it depends on: its
// expressions, or its body, name it.
func (s *Subtask) reads(id string) bool {
	if slices.Contains(s.Uses, id) {
		return true
	}
	body := s.body()
	return body != nil && slices.ContainsFunc(*body, func(child Subtask) bool {
		return slices.Contains(child.DependsOn, id) || child.reads(id)
	})
}

// stopper returns the subtask of the plan that ended the run with what it has, or
// that the decision which did so is a part of. Empty: none did.
func (r *Run) stopper() string {
	s := r.Subtask(r.Stopped)
	for s != nil && s.Parent != "" {
		s = r.Subtask(s.Parent)
	}
	if s == nil {
		return ""
	}
	return s.ID
}

// wasUndone reports whether what a subtask did, or something of its body, was undone
// with the run, or was to be.
func (r *Run) wasUndone(s *SubtaskState) bool {
	if s.Undoing != nil {
		return true
	}
	for child := range r.node(s).children() {
		if r.wasUndone(child.SubtaskState) {
			return true
		}
	}
	return false
}

func (f *Forked) add(s *SubtaskState, edit Edit, redo, stop bool) {
	subtask := asWritten(s.Subtask)
	if edit.Description != nil {
		subtask.Description = *edit.Description
	}
	if edit.Type != nil {
		subtask.Type = *edit.Type
	}
	f.Plan.Subtasks = append(f.Plan.Subtasks, subtask)
	switch {
	case redo && !stop:
		f.Redo = append(f.Redo, s.ID)
		return
	case redo:
		f.Left = append(f.Left, s.ID)
	case edit.Output != nil:
		f.Given = append(f.Given, Kept{Subtask: s.ID, Output: Text{Whole: *edit.Output, Bytes: len(*edit.Output)}})
	case s.Status == StatusSucceeded:
		f.Given = append(f.Given, Kept{s.ID, s.Output, s.FellBack, s.Shortened})
	case s.Because == BecauseStopped:
		f.Left = append(f.Left, s.ID)
	}
	f.Keep = append(f.Keep, s.ID)
}

// asWritten returns a subtask, with its body, without what was understood when its
// plan was taken.
func asWritten(s Subtask) Subtask {
	return rewritten(s, func(s *Subtask) {
		s.DependsOn = slices.DeleteFunc(slices.Clone(s.DependsOn), func(id string) bool { return slices.Contains(s.Implied, id) })
		s.Implied, s.Uses, s.Passes, s.Kept = nil, nil, nil, false
	})
}

// rewritten returns a subtask of which it and every one of its body were changed.
func rewritten(s Subtask, change func(*Subtask)) Subtask {
	change(&s)
	if s.body() == nil {
		return s
	}
	switch s.Kind {
	case KindForEach:
		s.ForEach = copied(s.ForEach)
	case KindLoop:
		s.Loop = copied(s.Loop)
	case KindWorkflow:
		s.Workflow = copied(s.Workflow)
	}
	body := slices.Clone(*s.body())
	for i := range body {
		body[i] = rewritten(body[i], change)
	}
	*s.body() = body
	return s
}
