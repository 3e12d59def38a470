package orchestration

import (
	"fmt"
	"slices"
	"strings"
)

// replanning reports whether the plan is about to be revised: from the failure
// that asks for it until the revision is there, or given up.
func (r *Run) replanning() bool {
	p := &r.Planning
	return len(p.Wanted) > 0 || p.Version > 0 && p.Status != StatusSucceeded
}

// mayReplan reports whether a failure may have the plan revised.
func (r *Run) mayReplan(f *Failure) bool {
	return r.Planning.Replans < r.Spec.Limits.MaxReplans && r.Exhausted == nil && f.Code != CodeBudgetExceeded
}

// replan has the planner revise the plan, no sooner than the cooldown after the
// last time. What fails while the planner is being asked waits its turn.
func (d *decision) replan() {
	r := d.run
	if r.Planning.Status != StatusSucceeded {
		return // it is being asked already
	}
	if timer := r.replanTimer(); d.stopping || r.Planning.Replans > 0 && timer.At.After(d.now) {
		d.do(timer)
		return
	}
	failed := r.Subtask(r.Planning.Wanted[0])
	d.askPlanner(0, &Reason{
		Code:   failed.Failure.Code,
		Detail: fmt.Sprintf("Subtask %s failed: %s", strings.Join(r.Planning.Wanted, ", "), failed.Failure.Detail),
	})
}

// goOn goes on with the plan in force once the planner has been heard, or not:
// without what depends on a failure, unless another revision is wanted.
func (d *decision) goOn() {
	r := d.run
	for _, s := range r.Subtasks {
		if s.Status == StatusFailed && s.Dropped == 0 && !slices.Contains(r.Planning.Wanted, s.ID) {
			d.skipDependants(s)
		}
	}
	if len(r.Planning.Wanted) > 0 {
		d.replan()
		return
	}
	d.advance()
}

// revised takes an answer to the question for a revision. One that cannot be
// used leaves the plan as it is.
func (d *decision) revised(p Planned) {
	problems := p.Problems
	if p.Failure != nil {
		problems = []Problem{{Code: string(p.Failure.Code), Detail: p.Failure.Detail}}
	}
	var rev revision
	if len(problems) == 0 {
		rev = d.run.revise(p.Plan)
		problems = rev.check(d.run)
	}
	if len(problems) > 0 {
		if d.planInvalid(p, problems) {
			d.goOn()
		}
		return
	}
	if d.run.Planning.Repairing {
		d.emit(p.Attempt, &PlanRepaired{})
	}
	d.replace(rev, p.Plan.Analysis, p.Calls)
}

// replace puts a revised plan in force.
func (d *decision) replace(rev revision, analysis string, calls []Call) {
	r := d.run
	added := d.add(rev.added)
	subtasks := slices.Clone(rev.kept)
	d.emit(r.Planning.Attempt, &PlanReplaced{
		Version: r.Planning.Version + 1, Reason: *r.Planning.Reason, Analysis: analysis,
		Subtasks: append(subtasks, added...), Kept: rev.kept, Added: added, Dropped: rev.dropped, Calls: calls,
	})
	for _, id := range rev.dropped {
		s := r.Subtask(id)
		if s.Status == StatusRunning {
			d.do(Abort{Call: Work{Subtask: Subtask{ID: s.ID}, Attempt: s.Attempts}})
		} else {
			d.emitFor(s.ID, s.Attempts, &SubtaskCanceled{})
		}
	}
	d.goOn()
}

// revision returns what the planner is told of the plan in force.
func (r *Run) revision() *Revision {
	rev := &Revision{Reason: *r.Planning.Reason}
	for _, s := range r.Subtasks {
		if s.Dropped > 0 {
			continue
		}
		told := Revised{Result: s.result(), DependsOn: s.DependsOn}
		if s.Failure != nil && s.Status.Ended() {
			told.Failure = s.Failure.Detail
		}
		rev.Subtasks = append(rev.Subtasks, told)
	}
	return rev
}
