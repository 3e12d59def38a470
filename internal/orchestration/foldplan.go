package orchestration

import (
	"cmp"
	"slices"
)

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
	p.Wanted = slices.DeleteFunc(p.Wanted, func(id string) bool { return r.Subtask(id).Dropped > 0 })
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
