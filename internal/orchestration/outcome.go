package orchestration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tutti-run/tutti/internal/quote"
)

// finish ends a composite subtask of which nothing is left to be done.
func (d *decision) finish(s *SubtaskState) {
	r := d.run
	output, failure := r.expanded(s)
	switch {
	case r.Stopped != "" && (failure != nil || output == "null"):
		d.emitFor(s.ID, s.Attempts, skippedBecause(BecauseStopped, stoppedDetail))
	case failure == nil:
		d.succeeded(s, output, &SubtaskSucceeded{Shortened: s.Shortened})
	default:
		d.subtaskFailed(s, *failure, "", nil)
	}
}

// expanded returns what a composite subtask comes to.
func (r *Run) expanded(s *SubtaskState) (string, *Failure) {
	if s.Kind == KindForEach {
		return r.collected(s)
	}
	if failure := r.bodyFailed(s, s.Rounds); failure != nil {
		return "", failure
	}
	output := r.bodyOutput(s, s.Rounds)
	if output == nil {
		return "null", nil
	}
	return *output, nil
}

// collected makes a for_each's list of what became of each item, in order. It
// fails only when every item did.
func (r *Run) collected(s *SubtaskState) (string, *Failure) {
	var list strings.Builder
	var item []byte
	var first *Failure
	failed, items := 0, len(s.list())
	list.Grow(r.sizeOfEnds(s))
	list.WriteByte('[')
	for i := range items {
		status, output := StatusSkipped, (*string)(nil)
		if i < s.Rounds {
			if failure := r.bodyFailed(s, i+1); failure != nil {
				status, first = StatusFailed, cmp.Or(first, failure)
				failed++
			} else if gave := r.bodyOutput(s, i+1); gave != nil || !r.leftUndone(s, i+1) {
				status, output = StatusSucceeded, gave
			}
		}
		if i > 0 {
			list.WriteByte(',')
		}
		item = append(append(append(item[:0], `{"status":"`...), status...), `","output":`...)
		item = append(appendJSON(item, output), '}')
		list.Write(item)
	}
	if failed > 0 && failed == items {
		return "", &Failure{Code: first.Code, Detail: "Every item failed. " + first.Detail}
	}
	list.WriteByte(']')
	return list.String(), nil
}

// sizeOfEnds returns about how many bytes what the rounds of a for_each gave takes in
// a list.
func (r *Run) sizeOfEnds(s *SubtaskState) int {
	const around = 64
	size := around
	for child := range r.node(s).children() {
		if len(child.awaited) == 0 {
			size += child.Output.Bytes + around
		}
	}
	return size
}

// leftUndone reports whether a decision that ended the run left a round undone.
func (r *Run) leftUndone(s *SubtaskState, round int) bool {
	return slices.ContainsFunc(r.ends(s, round), func(end *SubtaskState) bool { return end.Because == BecauseStopped })
}

// ends returns the subtasks of a round that no other one depends on: what they
// give is what the body gives.
func (r *Run) ends(s *SubtaskState, round int) []*SubtaskState {
	var ends []*SubtaskState
	for _, child := range r.node(s).in(round) {
		if len(child.awaited) == 0 {
			ends = append(ends, child.SubtaskState)
		}
	}
	return ends
}

// bodyFailed returns why a round has no output: one of its ends, that is missed,
// has none. Nil: it has.
func (r *Run) bodyFailed(s *SubtaskState, round int) *Failure {
	for _, end := range r.ends(s, round) {
		if end.missing() {
			end = r.blamed(end)
			f := Failure{Code: CodeCanceled, Detail: fmt.Sprintf("%s was given up.", end.ID)}
			if end.Failure != nil {
				f = Failure{Code: end.Failure.Code, Detail: fmt.Sprintf("%s %s: %s", end.ID, verb(end.Status), end.Failure.Detail)}
			}
			return &f
		}
	}
	return nil
}

// blamed returns the subtask that one was lost for: of what it depends on, if that is
// why it was.
func (r *Run) blamed(s *SubtaskState) *SubtaskState {
	for s.Failure != nil && s.Failure.Code == CodeDependencyFailed {
		needs := r.node(s).needs
		i := slices.IndexFunc(needs, func(on *node) bool { return on.lost() })
		if i < 0 {
			break
		}
		s = needs[i].SubtaskState
	}
	return s
}

// missing reports whether what depends on a subtask cannot start.
func (s *SubtaskState) missing() bool { return s.lost() && !s.forgiven() }

// forgiven reports whether a subtask failed and its plan does without it. One that
// never began, as it depends on a failure, has not failed itself.
func (s *SubtaskState) forgiven() bool {
	return s.Status == StatusSkipped && s.OnFailure.Do == OnFailureSkip && s.Failure != nil &&
		(s.Failure.Code != CodeDependencyFailed || s.Attempts > 0) && s.Failure.Code != CodeBudgetExceeded
}

// bodyOutput returns what a round gives: the output of the one end that
// succeeded or, of several, an object of theirs by id. Nil: none did.
func (r *Run) bodyOutput(s *SubtaskState, round int) *string {
	var succeeded []*SubtaskState
	for _, end := range r.ends(s, round) {
		if end.Status == StatusSucceeded {
			succeeded = append(succeeded, end)
		}
	}
	switch len(succeeded) {
	case 0:
		return nil
	case 1:
		return succeeded[0].gave()
	}
	prefix := childID(s.ID, round, "")
	object := []byte("{")
	for i, end := range succeeded {
		if i > 0 {
			object = append(object, ',')
		}
		object = append(quote.Append(object, strings.TrimPrefix(end.ID, prefix)), ':')
		object = appendJSON(object, end.gave())
	}
	text := string(append(object, '}'))
	return &text
}

// merged makes one output of those that a merge depends on.
func (r *Run) merged(s *SubtaskState) (string, *Failure) {
	var outputs []string
	for on := range r.shown(s) {
		if on.Status == StatusSucceeded {
			outputs = append(outputs, on.whole())
		}
	}
	if len(outputs) == 0 {
		return "null", nil
	}
	switch s.Merge {
	case MergeReplace:
		return outputs[len(outputs)-1], nil
	case MergeObjects:
		return mergeObjects(outputs)
	}
	return concat(outputs), nil
}

// concat joins lists to one list, and all else with an empty line between.
func concat(outputs []string) string {
	var all []json.RawMessage
	for _, output := range outputs {
		var list []json.RawMessage
		if json.Unmarshal([]byte(output), &list) != nil || list == nil {
			return strings.Join(outputs, "\n\n")
		}
		all = append(all, list...)
	}
	if all == nil {
		all = []json.RawMessage{}
	}
	return string(encoded(all))
}

func mergeObjects(outputs []string) (string, *Failure) {
	merged := map[string]json.RawMessage{}
	for i, output := range outputs {
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(output), &object) != nil || object == nil {
			return "", &Failure{Code: CodeOutputInvalid, Detail: fmt.Sprintf("Output %d of those to be merged is no JSON object.", i+1)}
		}
		for key, value := range object {
			merged[key] = value
		}
	}
	return string(encoded(merged)), nil // keys in ascending order
}
