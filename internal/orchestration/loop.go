package orchestration

import (
	"cmp"
	"slices"
)

// nextIteration ends a loop whose condition holds, whose signature has not
// changed, or whose iterations are used up. Otherwise it goes round once more.
func (d *decision) nextIteration(s *SubtaskState) {
	r := d.run
	if s.Rounds > 0 {
		done, failure := r.looped(s)
		if failure == nil && r.bodyFailed(s, s.Rounds) == nil && !done && s.Rounds < cmp.Or(s.Loop.MaxIterations, r.Spec.Limits.MaxIterations, DefaultIterations) {
			d.round(s, s.Loop.Body)
			return
		}
		if failure != nil {
			d.subtaskFailed(s, *failure, "", nil)
			return
		}
		d.finish(s)
		return
	}
	d.round(s, s.Loop.Body)
}

// looped reports whether a loop's last round was to be its last.
func (r *Run) looped(s *SubtaskState) (bool, *Failure) {
	if r.bodyFailed(s, s.Rounds) != nil {
		return true, nil
	}
	if s.Loop.Until != "" {
		holds, failure := r.holds("loop.until", s.Loop.Until, r.roundVariables(s, s.Rounds))
		if failure != nil || holds {
			return true, failure
		}
	}
	if s.Loop.StopWhenUnchanged == "" || s.Rounds < 2 {
		return false, nil
	}
	now, failure := r.eval("loop.stop_when_unchanged", s.Loop.StopWhenUnchanged, r.roundVariables(s, s.Rounds))
	if failure != nil {
		return true, failure
	}
	before, failure := r.eval("loop.stop_when_unchanged", s.Loop.StopWhenUnchanged, r.roundVariables(s, s.Rounds-1))
	return failure != nil || now == before, failure
}

// roundVariables returns what a loop's conditions are evaluated over after a
// round: what the loop itself knows, and what its body gave.
func (r *Run) roundVariables(s *SubtaskState, round int) *Variables {
	v := r.variables(s).with("iteration", numeral(round)).
		with("previous", r.previous(s, round)).
		with("output", r.bodyOutput(s, round))
	v.Subtasks = slices.Clone(v.Subtasks)
	for _, child := range s.Loop.Body {
		if state := r.child(s.ID, round, child.ID); state != nil {
			v.Subtasks = slices.DeleteFunc(v.Subtasks, func(o Variable) bool { return o.ID == child.ID })
			v.Subtasks = append(v.Subtasks, state.variable(child.ID))
		}
	}
	return v
}
