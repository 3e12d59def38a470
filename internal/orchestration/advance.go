package orchestration

import (
	"fmt"
	"time"
)

// due goes on with what a timer was set for. A timer that nothing waits for
// any more is passed over.
func (d *decision) due(timer string) {
	r := d.run
	kind, id := subjectOf(timer)
	switch {
	case r.Ending != nil:
		if s := r.Subtask(id); kind == "compensation" && s != nil && s.Undoing != nil && timer == s.undoTimer().Timer {
			d.now = later(d.now, s.Undoing.RetryAt)
			d.end()
		}
	case timer == timeoutName:
		d.timedOut()
	case r.Planning.Status == StatusPending && timer == r.planTimer().Timer:
		d.startPlanning()
	case len(r.Planning.Wanted) > 0 && timer == r.replanTimer().Timer:
		d.replan()
	case r.Synthesis.Status == StatusPending && timer == r.synthesisTimer().Timer:
		d.startSynthesis()
	default:
		s := r.Subtask(id)
		switch {
		case s == nil:
		case kind == "subtask" && s.retrying() && timer == s.timer().Timer:
			n := r.node(s) // which makes the schedule, where there is none
			r.schedule().due(n)
			d.advance()
		case kind == "decision" && s.Status == StatusWaiting && s.Waiting.Until != nil && timer == s.decisionTimer().Timer:
			d.expire(s)
		}
	}
}

// timedOut ends a run that has taken too long. While it waits for people its time
// does not count.
func (d *decision) timedOut() {
	r := d.run
	switch {
	case r.Status == StatusWaiting: // the timer is set again when it goes on
	case r.Waited > 0 && d.now.Before(r.Deadline()): // it was set before the run waited
		d.do(r.timeoutTimer())
	default:
		d.stop(StatusFailed, Reason{
			Code:   CodeTimeout,
			Detail: fmt.Sprintf("The run's timeout of %s was reached.", r.Spec.Limits.Timeout),
		})
	}
}

// advance starts what can be started and concludes when all has ended.
func (d *decision) advance() {
	r := d.run
	switch {
	case r.Done():
		return
	case r.Ending != nil:
		d.end()
		return
	}
	for r.mayStart() { // it may do so no more after any of them
		if !d.next() {
			break
		}
	}
	switch {
	case r.Planning.Version == 0: // there may be more to come
	case !r.mayStart():
		d.rest() // what runs goes on, and nothing new starts
	case r.schedule().open == 0:
		d.conclude()
	default:
		d.rest()
	}
}

// mayStart reports whether the plan, or what there is of it, is to be carried out.
func (r *Run) mayStart() bool {
	return !r.Done() && r.Ending == nil && !r.replanning() && r.Planning.Waiting == nil
}

// next closes a round or begins a subtask. It reports whether there was one.
func (d *decision) next() bool {
	r := d.run
	if s := r.schedule().closed(); s != nil {
		d.closeRound(s)
		return true
	}
	if d.stopping {
		return false
	}
	s := r.schedule().next(d.now, r.Calling < r.Spec.Limits.MaxConcurrency)
	if s == nil {
		return false
	}
	drafted := r.Planning.Version == 0
	if drafted && !r.early(s) { // it comes again with the schedule of the whole plan
		return true
	}
	reserved := r.reserve(s)
	if drafted {
		reserved = r.besidePlanner(reserved)
	}
	if limit := r.unaffordable(reserved); limit != "" && s.calls() {
		if r.Calling > 0 || drafted { // what is held back may yet do
			r.schedule().wait(s.node)
			return false
		}
		d.exhaust(limit)
		return true
	}
	d.now = later(d.now, s.RetryAt) // its timer may have been a little early
	d.begin(s)
	return true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
