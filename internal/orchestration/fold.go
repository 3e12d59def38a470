package orchestration

import "time"

// Replay folds one event of the journal into the run. It decides nothing and
// cannot fail; events must come in order, from the first one on.
func (r *Run) Replay(e Event) { r.fold(e) }

// fold is the only place that changes a Run.
func (r *Run) fold(e Event) {
	r.Seq, r.UpdatedAt = e.Seq, e.Time
	calls := e.Calls()
	r.Totals.add(calls)
	if e.outcome() {
		r.Starts = 0
	}
	if s := r.Subtask(e.Subtask); s != nil {
		s.Totals.add(calls)
		r.foldSubtask(s, e)
		return
	}
	switch f := e.Fact.(type) {
	case *RunCreated:
		r.ID, r.Spec, r.Status, r.CreatedAt = e.Run, f.Spec, StatusQueued, e.Time
	case *RunStarted:
		r.Status, r.StartedAt, r.Synthesis.Share = StatusRunning, e.Time, f.Share
	case *RunResumed:
		r.Starts = f.Starts
		r.goesOn(e.Time)
	case *RunWaiting:
		r.Status, r.WaitingSince = StatusWaiting, e.Time
	case *RunCanceling:
		r.goesOn(e.Time)
		r.Status, r.Ending = StatusCanceling, f
	case *RunSucceeded:
		r.end(e, StatusSucceeded, f.Reason)
		r.Answer, r.Partial = f.Answer, f.Partial
	case *RunFailed:
		r.end(e, StatusFailed, f.Reason)
		r.Failure = &f.Failure
	case *RunCanceled:
		r.end(e, StatusCanceled, &f.Reason)
	case *BudgetWarning:
		r.Warned = true
	case *BudgetExceeded:
		r.Exhausted = f
		r.Planning.Wanted = r.Planning.Wanted[:r.Planning.Asked] // the planner is not asked any more
		r.Planning.Waiting = nil                                 // and nothing more of the plan is carried out
	default:
		r.foldPlan(e)
		r.foldSynthesis(e)
	}
}

// outcome reports whether an event tells how a call ended.
func (e Event) outcome() bool {
	switch e.Fact.(type) {
	case *PlanInvalid, *PlanCreated, *PlanReplaced,
		*SubtaskRetrying, *SubtaskSucceeded, *SubtaskFailed, *SubtaskSkipped, *SubtaskCanceled, *SubtaskWaiting, *SubtaskCompensated,
		*SynthesisSucceeded, *SynthesisFailed:
		return true
	}
	return false
}

// goesOn notes that the run does not wait for people any more.
func (r *Run) goesOn(now time.Time) {
	if r.Status == StatusWaiting {
		r.Waited += now.Sub(r.WaitingSince)
		r.Status, r.WaitingSince = StatusRunning, zeroTime
	}
}

func (r *Run) end(e Event, status Status, reason *Reason) {
	r.Status, r.EndedAt, r.Reason = status, e.Time, reason
}

// begun notes that an attempt has begun.
func (r *Run) begun(t *Tries, attempt, repeats int, reserved *Reserve) {
	r.settled(t)
	t.Call, t.Lost = attempt, 0
	if repeats > 0 {
		t.Call = repeats
	}
	t.Tried++
	t.Reserved = reserved
	r.Held.add(reserved)
}

// settled notes that no attempt is in flight: what it held back is free.
func (r *Run) settled(t *Tries) {
	r.Held.sub(t.Reserved)
	t.Reserved = nil
}

// failed notes what follows a failed attempt: the same call again, which uses up
// none, or the fallback.
func (t *Tries) failed(f *Failure, again, fallback bool) {
	if again {
		t.Lost = t.Call
		t.Tried--
	}
	switch {
	case again && f.Spared:
		t.Spared++
	case !f.Spared || fallback:
		t.Spared = 0
	}
	if fallback {
		t.FellBack, t.Tried = true, 0
	}
}

func (r *Run) foldSynthesis(e Event) {
	s := &r.Synthesis
	switch f := e.Fact.(type) {
	case *SynthesisStarted:
		s.Status, s.Attempt, s.RetryAt, s.Share, s.CacheKey = StatusRunning, e.Attempt, zeroTime, nil, f.CacheKey
		r.begun(&s.Tries, e.Attempt, f.Repeats, f.Reserved)
	case *SynthesisSucceeded:
		r.settled(&s.Tries)
		s.Status = StatusSucceeded
	case *SynthesisFailed:
		r.settled(&s.Tries)
		s.Status = StatusFailed
		if f.RetryAt != nil {
			s.Status, s.RetryAt = StatusPending, *f.RetryAt
			s.failed(&f.Failure, f.Again, f.Fallback)
		}
	}
}

// count adds n to the subtasks that are in that status.
func (p *Progress) count(status Status, n int) {
	switch status {
	case StatusRunning:
		p.Running += n
	case StatusSucceeded:
		p.Succeeded += n
	case StatusFailed:
		p.Failed += n
	case StatusSkipped:
		p.Skipped += n
	}
}
