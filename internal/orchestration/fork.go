package orchestration

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	Given []Kept   // their outputs
}

// A Kept is an output that a fork takes over.
type Kept struct {
	Subtask string
	Output  Text // in the run that is forked, or whole
}

// Fork says what a new run comes to that performs again what the edits change
// and what is named in from, what did not succeed, and all that depends on those.
// The run must have ended. Problems point into the wish: "/edits/T2", "/from/0".
func (r *Run) Fork(edits map[string]Edit, from []string) (Forked, []Problem) {
	f := Forked{Plan: Plan{Version: 1, Analysis: r.Planning.Analysis}}
	if problems := r.unforkable(edits, from); len(problems) > 0 {
		return f, problems
	}
	redo := make(map[string]bool)
	for _, s := range r.Subtasks {
		edit := edits[s.ID]
		changed := edit.Description != nil || edit.Type != nil || slices.Contains(from, s.ID)
		redo[s.ID] = edit.Output == nil && (changed || s.Status != StatusSucceeded)
		if s.Dropped == 0 && s.Parent == "" {
			subtask := s.Subtask
			subtask.Description = *cmp.Or(edit.Description, &subtask.Description)
			subtask.Type = *cmp.Or(edit.Type, &subtask.Type)
			f.Plan.Subtasks = append(f.Plan.Subtasks, subtask)
		}
	}
	afresh := maps.Clone(redo) // whose output will be another one
	for id, edit := range edits {
		afresh[id] = afresh[id] || edit.Output != nil
	}
	for more := true; more; {
		more = false
		for _, s := range f.Plan.Subtasks {
			if !afresh[s.ID] && slices.ContainsFunc(s.DependsOn, func(on string) bool { return afresh[on] }) {
				redo[s.ID], afresh[s.ID], more = true, true, true
			}
		}
	}
	for _, s := range f.Plan.Subtasks {
		if redo[s.ID] {
			f.Redo = append(f.Redo, s.ID)
			continue
		}
		output := r.Subtask(s.ID).Output
		if given := edits[s.ID].Output; given != nil {
			output = Text{Whole: *given, Bytes: len(*given)}
		}
		f.Keep, f.Given = append(f.Keep, s.ID), append(f.Given, Kept{s.ID, output})
	}
	return f, nil
}

// unforkable says what of a wish to fork is about nothing that the plan has.
func (r *Run) unforkable(edits map[string]Edit, from []string) []Problem {
	var problems []Problem
	refuse := func(id, pointer string) {
		if s := r.Subtask(id); s == nil || s.Dropped > 0 || s.Parent != "" {
			problems = append(problems, Problem{pointer, "unknown_subtask", fmt.Sprintf("%q is no subtask of the plan.", beginning(id, 64))})
		}
	}
	if r.Planning.Version == 0 {
		return []Problem{{"", ProblemEmpty, "The run has no plan that could be forked."}}
	}
	for _, id := range slices.Sorted(maps.Keys(edits)) {
		refuse(id, "/edits/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(id))
	}
	for i, id := range from {
		refuse(id, fmt.Sprintf("/from/%d", i))
	}
	return problems
}
