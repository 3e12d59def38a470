package orchestration

import (
	"fmt"
	"slices"
)

// conclude goes on when every subtask has ended: to the synthesis, or to the end.
func (d *decision) conclude() {
	r := d.run
	switch {
	case !r.gaveResult() && r.missed():
		d.fail(r.firstFailure(), r.reasonFor())
	case r.Spec.Synthesizer.Mode == SynthesizeNone:
		d.succeed(r.last())
	case r.lone() != nil && len(r.Spec.Synthesizer.JSONSchema) == 0:
		d.succeed(r.lone().ID)
	case r.nothing():
		d.succeed("")
	case r.Synthesis.Status == "" && !d.stopping:
		d.startSynthesis()
	}
}

// gaveResult reports whether anything succeeded that the answer is made of: what a
// decision or a part of another subtask gave is no result.
func (r *Run) gaveResult() bool {
	return slices.ContainsFunc(r.Subtasks, func(s *SubtaskState) bool { return s.answers() && s.Status == StatusSucceeded })
}

// missed reports whether a subtask ended without success that should not have.
func (r *Run) missed() bool {
	return slices.ContainsFunc(r.Subtasks, func(s *SubtaskState) bool { return s.counts() && s.lost() })
}

// nothing reports whether there is nothing to make an answer of.
func (r *Run) nothing() bool {
	return !slices.ContainsFunc(r.Subtasks, (*SubtaskState).answers)
}

// lone returns the one subtask that the answer is made of, nil when there are
// others.
func (r *Run) lone() (lone *SubtaskState) {
	for _, s := range r.Subtasks {
		switch {
		case !s.answers():
		case lone != nil:
			return nil
		default:
			lone = s
		}
	}
	if lone != nil && lone.Status != StatusSucceeded {
		return nil
	}
	return lone
}

// last returns the one subtask of a caller's plan that the others lead to, "" when
// there are several or it did not succeed: what it gives is the final output where
// no model makes one. The shape of a planner's plan is nothing to rely on.
func (r *Run) last() string {
	var last *SubtaskState
	if r.Spec.Plan == nil {
		return ""
	}
	led := r.leading()
	for _, s := range r.Subtasks {
		if !s.answers() || led[r.node(s)] {
			continue
		}
		if last != nil {
			return ""
		}
		last = s
	}
	if last == nil || last.Status != StatusSucceeded {
		return ""
	}
	return last.ID
}

// leading returns what leads to a subtask that the answer is made of, be it by way
// of others that it is not made of, such as decisions.
func (r *Run) leading() map[*node]bool {
	led := make(map[*node]bool)
	var mark func(n *node)
	mark = func(n *node) {
		for _, on := range n.needs {
			if !led[on] {
				led[on] = true
				mark(on)
			}
		}
	}
	for _, s := range r.Subtasks {
		if s.answers() {
			mark(r.node(s))
		}
	}
	return led
}

// succeed ends the run with what it has.
func (d *decision) succeed(answer string) {
	r := d.run
	d.emit(0, &RunSucceeded{
		Partial: r.Exhausted != nil || r.lacks(),
		Answer:  answer,
		Reason:  r.reasonFor(),
	})
}

// lacks reports whether something of the plan is missed. What failed in a body is
// not, where a value or a person made up for the whole.
func (r *Run) lacks() bool {
	madeUp := map[string]bool{"": false}
	for _, s := range r.Subtasks { // parents come before their children
		if s.counts() && s.lost() && !madeUp[s.Parent] {
			return true
		}
		if s.Kind.Composite() {
			madeUp[s.ID] = madeUp[s.Parent] || s.Status == StatusSucceeded && s.MadeUp
		}
	}
	return false
}

// stop ends the run early: nothing new starts, and what runs is aborted first.
func (d *decision) stop(status Status, reason Reason) {
	r := d.run
	if r.Ending != nil {
		return
	}
	ending := &RunCanceling{Status: status, Reason: reason}
	d.emit(0, ending)
	d.giveUp()
	for _, call := range r.inFlight() {
		d.do(Abort{Call: call})
	}
	d.end()
}

// giveUp cancels what is given up, with the run or by a later plan, and has no call
// in flight. A composite subtask ends after all that it expanded to.
func (d *decision) giveUp() {
	r := d.run
	for again := true; again; {
		again = false
		for _, s := range r.Subtasks {
			if (r.Ending != nil || s.Dropped > 0) && !s.Status.Ended() && !s.Calling && r.node(s).open == 0 {
				d.emitFor(s.ID, s.Attempts, &SubtaskCanceled{})
				again = again || s.Parent != "" // parents come before their children
			}
		}
	}
}

// end ends a run that is ending early, once nothing of it runs any more.
func (d *decision) end() {
	r := d.run
	if r.Done() || r.busy() {
		return
	}
	d.giveUp()
	if d.compensate() {
		return
	}
	if r.Ending.Status == StatusCanceled {
		d.emit(0, &RunCanceled{Reason: r.Ending.Reason})
		return
	}
	reason := r.Ending.Reason
	d.emit(0, &RunFailed{Failure: Failure{Code: reason.Code, Detail: reason.Detail}, Reason: &reason})
}

func canceledWith(ending *RunCanceling) Failure {
	return Failure{Code: CodeCanceled, Detail: fmt.Sprintf("Given up with the run (%s).", ending.Reason.Code)}
}

// firstFailure returns the failure of the first subtask that failed, or else of
// the first that was skipped for another reason than a dependency.
func (r *Run) firstFailure() Failure {
	for _, status := range []Status{StatusFailed, StatusSkipped} {
		for _, s := range r.Subtasks {
			if s.Status == status && s.Failure != nil && s.Failure.Code != CodeDependencyFailed {
				f := *s.Failure
				f.Detail = fmt.Sprintf("No subtask succeeded; %s %s: %s", s.ID, verb(status), f.Detail)
				return f
			}
		}
	}
	return Failure{Code: CodeInternal, Detail: "No subtask succeeded."}
}
