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

// A revision is what becomes of a plan: which subtasks are kept and which are
// dropped, by id in plan order, and what is new.
type revision struct {
	kept, dropped []string
	added         []Subtask
}

// revise holds a planner's new plan against the one in force. What has
// succeeded is kept and cannot be defined anew; what is the same under the same
// id is kept as it is; all else is new, under a new id where its own is taken.
// What was not done and is not named any more is dropped.
func (r *Run) revise(p Plan) revision {
	same := r.unchanged(p)
	names := make(map[string]string, len(p.Subtasks)) // the planner's ids, as they will be
	taken := make(map[string]bool, len(p.Subtasks))
	for _, s := range p.Subtasks {
		names[s.ID], taken[s.ID] = s.ID, true
	}
	var rev revision
	for _, s := range p.Subtasks {
		if same[s.ID] {
			continue
		}
		if r.Subtask(s.ID) != nil && names[s.ID] == s.ID {
			names[s.ID] = r.freshID(s.ID, taken)
			taken[names[s.ID]] = true
		}
		rev.added = append(rev.added, s)
	}
	for i := range rev.added {
		s := &rev.added[i]
		s.ID, s.DependsOn = names[s.ID], slices.Clone(s.DependsOn)
		for j, id := range s.DependsOn {
			if name, ok := names[id]; ok {
				s.DependsOn[j] = name
			}
		}
	}
	for _, s := range r.Subtasks {
		switch {
		case s.Dropped > 0:
		case s.Status.Ended() || same[s.ID]:
			rev.kept = append(rev.kept, s.ID)
		default:
			rev.dropped = append(rev.dropped, s.ID)
		}
	}
	return rev
}

// unchanged tells of each id of p whether it means what it means already. A
// subtask that has not started is another one when a dependency of it is.
func (r *Run) unchanged(p Plan) map[string]bool {
	same := make(map[string]bool, len(p.Subtasks))
	for _, s := range p.Subtasks {
		was := r.Subtask(s.ID)
		same[s.ID] = was != nil && was.Dropped == 0 && (was.Status == StatusSucceeded || sameContent(was.Subtask, completed(s)))
	}
	stays := func(id string) bool {
		unchanged, named := same[id]
		was := r.Subtask(id) // none, where an id is named twice and not all of it is the same
		return unchanged || !named && was != nil && was.Status.Ended()
	}
	for again := true; again; {
		again = false
		for _, s := range p.Subtasks {
			if same[s.ID] && r.Subtask(s.ID).Status == StatusPending && !all(s.DependsOn, stays) {
				same[s.ID], again = false, true
			}
		}
	}
	return same
}

func all(ids []string, hold func(id string) bool) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !hold(id) })
}

func sameContent(a, b Subtask) bool {
	return a.Type == b.Type && strings.TrimSpace(a.Description) == strings.TrimSpace(b.Description) && slices.Equal(a.DependsOn, b.DependsOn)
}

// freshID returns an id like that one that means nothing yet.
func (r *Run) freshID(id string, taken map[string]bool) string {
	const room = 56 // of the 64 that an id may have
	base := beginning(id, room)
	for n := 2; ; n++ {
		if fresh := fmt.Sprintf("%s-%d", base, n); r.Subtask(fresh) == nil && !taken[fresh] {
			return fresh
		}
	}
}

// check returns what is wrong with the plan as it would be. What has ended is
// beyond criticism. The problems have no pointers: the planner's answer looks
// otherwise than the plan that it makes.
func (rev *revision) check(r *Run) []Problem {
	whole := Plan{Subtasks: slices.Clone(rev.added)}
	for _, id := range rev.kept {
		s := r.Subtask(id).Subtask
		if r.Subtask(id).Status.Ended() {
			s.DependsOn = nil
		}
		whole.Subtasks = append(whole.Subtasks, s)
	}
	problems := whole.Check(r.Spec.Limits.MaxSubtasks)
	for i := range problems {
		problems[i].Pointer = ""
	}
	for _, s := range rev.added {
		for _, id := range s.DependsOn {
			if on := r.Subtask(id); on != nil && on.lost() && s.After != AfterEnded {
				problems = append(problems, Problem{Code: ProblemFailedDependency, Detail: fmt.Sprintf(
					"Subtask %s depends on %s, which %s: plan what is to be done in its place.", s.ID, id, verb(on.Status))})
			}
		}
	}
	return problems
}
