package orchestration

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// review has the run wait until a person has looked at the plan, where the
// request asks for that.
func (d *decision) review() {
	r := d.run
	if !r.Spec.ReviewPlan || r.over() {
		return
	}
	d.emit(0, &PlanWaiting{Version: r.Planning.Version, Waiting: Waiting{
		For:     WaitingForPlanReview,
		Message: fmt.Sprintf("Version %d of the plan is to be approved before it is carried out.", r.Planning.Version),
		Options: []Action{ActionApprove, ActionEdit, ActionReject},
	}})
}

// decidePlan hears what a person decides of the plan.
func (d *decision) decidePlan(in DecidePlan) error {
	r := d.run
	p := &r.Planning
	if r.Ending != nil || p.Waiting == nil || in.Version != p.Version || r.replanning() {
		return ErrNotWaiting
	}
	var edited revision
	switch in.Action {
	case ActionApprove, ActionReject:
	case ActionEdit:
		var err error
		if edited, err = r.edited(in.Plan); err != nil {
			return err
		}
	default:
		return &DecisionError{"/action", fmt.Sprintf("It can be decided by %s.", joined(p.Waiting.Options))}
	}
	d.resumed()
	d.emit(0, &PlanDecided{Version: p.Version, Action: in.Action, Comment: in.Comment})
	switch in.Action {
	case ActionReject:
		d.stop(StatusFailed, Reason{Code: CodeRejected, Detail: "The plan: " + rejection(DecideSubtask{Comment: in.Comment}, false)})
	case ActionEdit:
		d.put(edited, PlanReplaced{
			Source: PlanOfCaller, Analysis: cmp.Or(in.Plan.Analysis, p.Analysis),
			Reason: Reason{Code: CodeRejected, Detail: "A person edited the plan."},
		})
		d.goOn()
	default:
		d.advance()
	}
	return nil
}

// edited holds a person's plan against the one that waits. What has ended stays,
// and need not be named; what is named as it was is kept; an id that is taken can
// mean nothing else.
func (r *Run) edited(plan *Plan) (revision, error) {
	if plan == nil || len(plan.Subtasks) == 0 {
		return revision{}, &DecisionError{"/plan", "An edit needs a plan."}
	}
	var rev revision
	whole, problems := r.WithEnded(*plan).Prepare(r.rules())
	if len(problems) > 0 {
		return revision{}, &DecisionError{"/plan" + problems[0].Pointer, firstOf(problems)}
	}
	for _, s := range whole.Subtasks {
		was := r.Subtask(s.ID)
		switch {
		case was == nil || !s.Kept || was.Kept:
		case was.Output.Seq > 0:
			return revision{}, &DecisionError{"/plan", fmt.Sprintf("The output of %s is too long for an expression to look into it now: depend on it instead.", s.ID)}
		default:
			rev.looked = append(rev.looked, s.ID)
		}
	}
	kept := map[string]bool{}
	for i, s := range whole.Subtasks[:len(plan.Subtasks)] {
		was := r.Subtask(s.ID)
		switch {
		case was == nil:
			rev.added = append(rev.added, s)
		case was.Dropped > 0 || !same(was.Subtask, s):
			return revision{}, &DecisionError{fmt.Sprintf("/plan/subtasks/%d/id", i), fmt.Sprintf("The id %s means something else already: give what is new an id of its own.", s.ID)}
		default:
			kept[s.ID] = true
		}
	}
	for _, s := range r.Subtasks {
		switch {
		case s.Dropped > 0 || s.Parent != "":
		case kept[s.ID] || s.Status.Ended():
			rev.kept = append(rev.kept, s.ID)
		default:
			rev.dropped = append(rev.dropped, s.ID)
		}
	}
	rev.dropped = r.withChildren(rev.dropped)
	return rev, nil
}

// WithEnded returns a person's plan as it is to be checked: behind its own subtasks
// with what has ended of the run, which it may build on and need not name.
func (r *Run) WithEnded(plan Plan) Plan {
	named := make(map[string]bool, len(plan.Subtasks))
	for i := range plan.Subtasks {
		named[plan.Subtasks[i].ID] = true
	}
	plan.Subtasks = slices.Clone(plan.Subtasks)
	for _, s := range r.Subtasks {
		if s.Status.Ended() && s.counts() && s.Parent == "" && !named[s.ID] {
			plan.Subtasks = append(plan.Subtasks, done(s))
		}
	}
	return plan
}

// done stands for a subtask that has ended, where a plan is checked that goes on
// from it.
func done(s *SubtaskState) Subtask {
	return Subtask{ID: s.ID, Kind: KindWorker, Description: cmp.Or(s.Description, s.ID)}
}

// same reports whether two subtasks say the same. A person may write down the
// dependencies that expressions imply, as they are shown.
func same(a, b Subtask) bool {
	plainly := func(s *Subtask) { s.Implied, s.Kept = nil, false } // others' expressions have a say in what is kept
	x, errX := json.Marshal(rewritten(a, plainly))
	y, errY := json.Marshal(rewritten(b, plainly))
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// withChildren returns the ids with those of all that they expanded to.
func (r *Run) withChildren(ids []string) []string {
	all := map[string]bool{}
	for _, id := range ids {
		all[id] = true
	}
	for _, s := range r.Subtasks { // parents come before their children
		if s.Parent != "" && all[s.Parent] && !all[s.ID] {
			all[s.ID] = true
			ids = append(ids, s.ID)
		}
	}
	return ids
}
