package orchestration

import (
	"cmp"
	"slices"
	"time"
)

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

// failed notes what follows a failed attempt: the same call again, or the
// fallback.
func (t *Tries) failed(f *Failure, again, fallback bool) {
	if again {
		t.Lost = t.Call
	}
	if again && f.Spared {
		t.Tried--
		t.Spared++
	} else {
		t.Spared = 0
	}
	if fallback {
		t.FellBack, t.Tried = true, 0
	}
}

func (r *Run) foldPlan(e Event) {
	p := &r.Planning
	switch f := e.Fact.(type) {
	case *PlanStarted:
		if f.Reason != nil {
			p.Replans++
			p.ReplannedAt, p.Reason, p.Problems, p.Answer, p.Tries = e.Time, f.Reason, nil, Text{}, Tries{}
		}
		p.Status, p.Attempt, p.RetryAt, p.Repairing, p.CacheKey = StatusRunning, e.Attempt, zeroTime, f.Repair, f.CacheKey
		if p.Version > 0 { // otherwise it is told of no failure
			p.Asked = len(p.Wanted)
			for _, s := range r.Subtasks {
				s.Told = s.lost()
			}
		}
		repeats := f.Repeats
		if len(f.Given) > len(p.Given) {
			repeats = 0 // it asks something else
		}
		p.Given = f.Given
		r.begun(&p.Tries, e.Attempt, repeats, f.Reserved)
	case *PlanInvalid:
		r.foldPlanInvalid(e.Seq, f)
	case *PlanSubtaskAdded:
		r.addSubtask(f.Subtask)
	case *PlanCreated:
		r.dropped(f.Dropped, f.Version)
		p.Wanted = slices.DeleteFunc(p.Wanted, func(id string) bool { return r.Subtask(id).Dropped > 0 })
		r.inOrder(f.Subtasks)
		r.adopted(PlanVersion{f.Version, f.Source, nil, f.Analysis, f.Subtasks, e.Time})
	case *PlanReplaced:
		r.dropped(f.Dropped, f.Version)
		for _, id := range f.Looked {
			r.Subtask(id).Kept = true
		}
		for _, s := range r.Subtasks {
			s.Superseded = s.Superseded || s.Told
		}
		r.adopted(PlanVersion{f.Version, cmp.Or(f.Source, PlanOfPlanner), &f.Reason, f.Analysis, f.Subtasks, e.Time})
	case *PlanWaiting:
		p.Waiting = &f.Waiting
	case *PlanDecided:
		p.Waiting = nil
	}
}

func (r *Run) foldPlanInvalid(seq int64, f *PlanInvalid) {
	p := &r.Planning
	r.settled(&p.Tries)
	switch {
	case f.RetryAt != nil:
		p.Status, p.RetryAt = StatusPending, *f.RetryAt
		p.failed(&f.Failure, f.Again, f.Fallback)
	case p.Version > 0: // the plan as it is stays in force
		if p.Status != StatusRunning { // the planner could not be asked at all
			p.Asked = len(p.Wanted)
		}
		p.Status = StatusSucceeded
		p.answered()
	default:
		p.Status = StatusFailed
	}
	if len(f.Problems) > 0 {
		p.Problems, p.Answer, p.Tried = f.Problems, textIn(seq, f.Answer), 0
	}
}

// dropped notes which subtasks a version of the plan leaves out.
func (r *Run) dropped(ids []string, version int) {
	for _, id := range ids {
		s := r.Subtask(id)
		s.Dropped = version
		r.Progress.count(s.Status, -1) // of a composite one, a part may have ended
	}
	r.Progress.Total -= len(ids)
}

// inOrder puts the subtasks into the order of their plan, and what is no part of it
// behind them: drafts may have come in another one.
func (r *Run) inOrder(ids []string) {
	for i, id := range ids {
		if at := r.index[id]; at != i {
			s := r.Subtasks[at]
			copy(r.Subtasks[i+1:], r.Subtasks[i:at])
			r.Subtasks[i] = s
			for j := i; j <= at; j++ {
				r.index[r.Subtasks[j].ID] = j
			}
		}
	}
}

// adopted makes a version of the plan the one in force.
func (r *Run) adopted(v PlanVersion) {
	p := &r.Planning
	r.settled(&p.Tries)
	p.Status, p.Version, p.Source, p.Analysis = StatusSucceeded, v.Version, v.Source, v.Analysis
	p.Versions = append(p.Versions, v)
	if v.Source == PlanOfFallback {
		p.Fault = firstOf(p.Problems)
	}
	p.answered()
	p.Given = nil
	r.scheduled = nil
}

// stopped notes that a decision ended the run with what it has: the plan is
// neither revised nor looked at any more.
func (p *Planning) stopped() { p.Wanted, p.Waiting = p.Wanted[:p.Asked], nil }

// answered forgets the failures that the planner has been told of.
func (p *Planning) answered() {
	p.Wanted = slices.Clone(p.Wanted[p.Asked:])
	p.Asked = 0
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
