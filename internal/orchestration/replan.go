package orchestration

import (
	"cmp"
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
	return r.Planning.Replans < r.Spec.Limits.MaxReplans && !r.over() && f.Code != CodeBudgetExceeded
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
	d.askPlanner(0, r.replanReason())
}

// replanReason says what asks for a replan.
func (r *Run) replanReason() *Reason {
	who := strings.Join(r.Planning.Wanted, ", ")
	first := r.Subtask(r.Planning.Wanted[0])
	if first.Failure == nil {
		return &Reason{Code: CodeRejected, Detail: fmt.Sprintf("The decision %s asks for another plan.", who)}
	}
	return &Reason{Code: first.Failure.Code, Detail: fmt.Sprintf("Subtask %s failed: %s", who, first.Failure.Detail)}
}

// goOn goes on with the plan in force once the planner has been heard, or not:
// without what depends on a failure, unless another revision is wanted.
func (d *decision) goOn() {
	r := d.run
	for _, s := range r.Subtasks {
		if s.missing() && s.Dropped == 0 && !slices.Contains(r.Planning.Wanted, s.ID) {
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
		problems = append(p.Plan.contradictions(), rev.check(d.run)...)
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
	for i := range rev.added {
		rev.added[i] = completed(rev.added[i])
	}
	d.put(rev, PlanReplaced{Reason: *d.run.Planning.Reason, Analysis: analysis, Calls: calls})
	d.review()
	d.goOn()
}

// put puts another version of the plan in the place of the one in force.
func (d *decision) put(rev revision, f PlanReplaced) {
	r := d.run
	added := d.add(rev.added)
	f.Version = r.Planning.Version + 1
	f.Kept, f.Added, f.Dropped, f.Looked = rev.kept, added, rev.dropped, rev.looked
	f.Subtasks = append(slices.Clone(rev.kept), added...)
	d.emit(r.Planning.Attempt, &f)
	d.drop(rev.dropped)
}

// revision returns what the planner is told of the plan in force.
func (r *Run) revision() *Revision {
	rev := &Revision{Reason: *r.Planning.Reason}
	for _, s := range r.Subtasks {
		if s.Dropped > 0 || s.Parent != "" {
			continue
		}
		told := Revised{Result: s.result(), DependsOn: s.DependsOn}
		told.Description = cmp.Or(told.Description, string(s.Kind))
		if s.Failure != nil && s.Status.Ended() {
			told.Failure = s.Failure.Detail
		}
		rev.Subtasks = append(rev.Subtasks, told)
	}
	return rev
}
