package orchestration

import (
	"fmt"
	"slices"
)

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
}

// A Kept is an output that a fork takes over.
type Kept struct {
	Subtask string
	Output  Text // in the run that is forked, or whole
}

// Fork says what a new run comes to that redoes what the edits change, what is
// named in from, what did not succeed, what was undone, and all that depends on
// those. The run must have ended. Problems point into the request: "/edits/T2", "/from/0".
func (r *Run) Fork(edits map[string]Edit, from []string) (Forked, []Problem) {
	f := Forked{Plan: Plan{Analysis: r.Planning.Analysis}}
	if problems := r.unforkable(edits, from); len(problems) > 0 {
		return f, problems
	}
	redo, other := map[string]bool{}, map[string]bool{} // to be performed; whose output is another one
	var plan []*SubtaskState
	for _, s := range r.Subtasks {
		if !s.counts() || s.Parent != "" { // a later version has made up for it
			continue
		}
		plan = append(plan, s)
		edit := edits[s.ID]
		changed := edit.Description != nil || edit.Type != nil || slices.Contains(from, s.ID)
		redo[s.ID] = edit.Output == nil && (changed || r.wasUndone(s) || s.Status != StatusSucceeded && s.Because != BecauseCondition)
		other[s.ID] = redo[s.ID] || edit.Output != nil
	}
	for more := true; more; {
		more = false
		for _, s := range plan {
			if !other[s.ID] && slices.ContainsFunc(s.DependsOn, func(on string) bool { return other[on] }) {
				redo[s.ID], other[s.ID], more = true, true, true
			}
		}
	}
	for _, s := range plan {
		f.add(s, edits[s.ID], redo[s.ID])
	}
	for i := range f.Plan.Subtasks {
		s := &f.Plan.Subtasks[i]
		s.DependsOn = slices.DeleteFunc(s.DependsOn, func(id string) bool { _, there := other[id]; return !there })
	}
	return f, nil
}

// wasUndone reports whether what a subtask did, or something of its body, was undone
// with the run, or was to be.
func (r *Run) wasUndone(s *SubtaskState) bool {
	return s.Undoing != nil || slices.ContainsFunc(r.node(s).children, func(child *node) bool { return r.wasUndone(child.SubtaskState) })
}

func (f *Forked) add(s *SubtaskState, edit Edit, redo bool) {
	subtask := asWritten(s.Subtask)
	if edit.Description != nil {
		subtask.Description = *edit.Description
	}
	if edit.Type != nil {
		subtask.Type = *edit.Type
	}
	f.Plan.Subtasks = append(f.Plan.Subtasks, subtask)
	switch {
	case redo:
		f.Redo = append(f.Redo, s.ID)
		return
	case edit.Output != nil:
		f.Given = append(f.Given, Kept{s.ID, Text{Whole: *edit.Output, Bytes: len(*edit.Output)}})
	case s.Status == StatusSucceeded:
		f.Given = append(f.Given, Kept{s.ID, s.Output})
	}
	f.Keep = append(f.Keep, s.ID)
}

// asWritten returns a subtask, with its body, without what was understood when its
// plan was taken.
func asWritten(s Subtask) Subtask {
	implied := s.Implied
	s.DependsOn = slices.DeleteFunc(slices.Clone(s.DependsOn), func(id string) bool { return slices.Contains(implied, id) })
	s.Implied, s.Uses, s.Passes, s.Kept = nil, nil, nil, false
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
		body[i] = asWritten(body[i])
	}
	*s.body() = body
	return s
}

// unforkable says what of a wish to fork is about nothing that the plan has.
func (r *Run) unforkable(edits map[string]Edit, from []string) []Problem {
	if r.Planning.Version == 0 {
		return []Problem{{"", ProblemEmpty, "The run has no plan that could be forked."}}
	}
	var problems []Problem
	refuse := func(id, pointer string) {
		if s := r.Subtask(id); s == nil || !s.counts() || s.Parent != "" {
			problems = append(problems, Problem{pointer, ProblemUnknownSubtask, fmt.Sprintf("%q is no subtask of the plan.", beginning(id, 64))})
		}
	}
	ids := make([]string, 0, len(edits))
	for id := range edits {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		refuse(id, "/edits/"+escape(id))
	}
	for i, id := range from {
		refuse(id, fmt.Sprintf("/from/%d", i))
	}
	return problems
}
