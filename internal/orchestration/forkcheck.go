package orchestration

import (
	"fmt"
	"slices"
	"strings"
)

// unforkable says what of a wish to fork cannot be done: it is about nothing that the
// plan has, or contradicts itself.
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
		at := "/edits/" + escape(id)
		refuse(id, at)
		if s := r.Subtask(id); s != nil && edits[id].Type != nil && s.Kind != KindWorker {
			problems = append(problems, Problem{at + "/type", ProblemWrongKey, fmt.Sprintf("A subtask of the kind %s has no type.", s.Kind)})
		}
		if output, s := edits[id].Output, r.Subtask(id); output != nil && s != nil {
			if detail := r.ungivable(s, *output); detail != "" {
				problems = append(problems, Problem{at + "/output", ProblemBadValue, detail})
			}
		}
	}
	for i, id := range from {
		at := fmt.Sprintf("/from/%d", i)
		refuse(id, at)
		if edits[id].Output != nil {
			problems = append(problems, Problem{at, ProblemBadValue, fmt.Sprintf("%s is not performed, since an edit gives its output.", beginning(id, 64))})
		}
	}
	return append(problems, r.unstoppable(edits, ids, from)...)
}

// unstoppable says what of a wish to fork is to be performed in spite of a decision
// that the same wish has end the run. The ids are those of the edits, in order.
func (r *Run) unstoppable(edits map[string]Edit, ids, from []string) []Problem {
	stop := r.givenStop(edits)
	if stop == "" {
		return nil
	}
	var problems []Problem
	refuse := func(pointer string) {
		problems = append(problems, Problem{pointer, ProblemBadValue, fmt.Sprintf("Nothing is performed, since %s is to end the run.", stop)})
	}
	for _, id := range ids {
		if edits[id].Output == nil {
			refuse("/edits/" + escape(id))
		}
	}
	for i := range from {
		refuse(fmt.Sprintf("/from/%d", i))
	}
	return problems
}

// givenStop returns the decision that edits have end the run with what it has, "" when
// there is none.
func (r *Run) givenStop(edits map[string]Edit) string {
	for _, s := range r.Subtasks {
		if output := edits[s.ID].Output; s.Kind == KindDecide && output != nil && *output == OptionStop {
			return s.ID
		}
	}
	return ""
}

// ungivable says why a text cannot be the output of a subtask, "" when it can.
func (r *Run) ungivable(s *SubtaskState, output string) string {
	most := r.Spec.Limits.MaxOutputBytes
	switch {
	case len(output) > most:
		return fmt.Sprintf("The output has %d bytes; the run's max_output_bytes is %d.", len(output), most)
	case s.Decide != nil:
		return s.Decide.ungivable(output)
	}
	return ""
}

// ungivable says why a text cannot be the option of a decision in a fork: it is none,
// or would have somebody else asked what follows.
func (d *Decide) ungivable(output string) string {
	asks := func(option string) bool { return option == OptionReplan || option == OptionEscalate }
	options := slices.DeleteFunc(slices.Clone(d.Options), asks)
	switch {
	case slices.Contains(options, output):
		return ""
	case slices.Contains(d.Options, output):
		return fmt.Sprintf("A fork cannot be given %q. It must be one of: %s.", output, strings.Join(options, ", "))
	}
	return fmt.Sprintf("It must be one of: %s.", strings.Join(options, ", "))
}
