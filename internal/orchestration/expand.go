package orchestration

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// expand adds a round of a composite subtask's body to the run. The bodies of
// what is added were checked with the plan. It reports whether there was room.
func (d *decision) expand(s *SubtaskState, round int, body []Subtask) bool {
	if !d.run.holdsMore(len(body)) {
		return false
	}
	here := make(map[string]bool, len(body))
	for i := range body {
		here[body[i].ID] = true
	}
	name := func(id string) string {
		if here[id] {
			return childID(s.ID, round, id)
		}
		return d.run.resolve(s, id).ID
	}
	d.run.makeRoom(len(body))
	for _, child := range body {
		child.Parent, child.Round = s.ID, round
		child.DependsOn = mapped(child.DependsOn, name)
		child.Implied = mapped(child.Implied, name)
		child.ID = childID(s.ID, round, child.ID)
		d.emitFor(child.ID, 0, &PlanSubtaskAdded{Subtask: child})
	}
	return true
}

// holdsMore reports whether there is room in the run for so many more subtasks.
func (r *Run) holdsMore(n int) bool { return len(r.Subtasks)+n <= maxSubtasks }

// tooMany is why a composite subtask cannot be expanded to so many more.
func (r *Run) tooMany(n int) *Failure {
	return &Failure{Code: CodePlanInvalid, Detail: fmt.Sprintf("The run has %d subtasks; %d more are too many.", len(r.Subtasks), n)}
}

func mapped(ids []string, name func(string) string) []string {
	if len(ids) == 0 {
		return nil
	}
	to := make([]string, len(ids))
	for i, id := range ids {
		to[i] = name(id)
	}
	return to
}

// compose begins a composite subtask that needs no call.
func (d *decision) compose(s *SubtaskState) {
	started, items, failure := d.run.composed(s)
	d.emitFor(s.ID, s.Attempts+1, started)
	s.items = items
	if failure != nil {
		d.subtaskFailed(s, *failure, "", nil)
		return
	}
	d.closeRound(s)
}

// composed evaluates what a composite subtask begins with. The items of a for_each are
// those of the fact, read.
func (r *Run) composed(s *SubtaskState) (started *SubtaskStarted, items []string, failure *Failure) {
	started = new(SubtaskStarted)
	switch s.Kind {
	case KindForEach:
		value, failure := r.eval("for_each.items", s.ForEach.Items, r.variables(s))
		if failure != nil {
			return started, nil, failure
		}
		items, ok := elements([]byte(value))
		if !ok {
			return started, nil, &Failure{Code: CodeOutputInvalid, Detail: "for_each.items did not give a list."}
		}
		if most := cmp.Or(s.ForEach.MaxItems, DefaultItems); len(items) > most {
			return started, nil, &Failure{Code: CodeOutputInvalid, Detail: fmt.Sprintf("for_each.items gave %d items; max_items is %d.", len(items), most)}
		}
		if n := len(items) * len(s.ForEach.Body); !r.holdsMore(n) { // before any of it is paid for
			return started, nil, r.tooMany(n)
		}
		started.Items = json.RawMessage(value)
		return started, items, nil
	case KindWorkflow:
		given := make(map[string]json.RawMessage)
		_ = json.Unmarshal(s.Workflow.Defaults, &given) // an object, or nothing
		for _, name := range names(s.Workflow.Context) {
			value, failure := r.eval("workflow.context."+name, s.Workflow.Context[name], r.variables(s))
			if failure != nil {
				return started, nil, failure
			}
			given[name] = json.RawMessage(value)
		}
		started.Context = encoded(given)
	}
	return started, nil, nil
}

// closeRound goes on with a composite subtask when nothing of its last round, or
// of any of a for_each's rounds, is left to be done: with another round, or to
// its end.
func (d *decision) closeRound(s *SubtaskState) {
	r := d.run
	open := r.node(s).open
	switch {
	case r.over():
		if open == 0 {
			d.finish(s)
		}
	case s.Kind == KindForEach:
		d.nextItems(s, open)
	case s.Kind == KindLoop && open == 0:
		d.nextIteration(s)
	case s.Kind == KindWorkflow && s.Rounds == 0:
		d.round(s, s.Workflow.Body)
	case open == 0:
		d.finish(s)
	}
}

// over reports whether nothing new is to be done any more.
func (r *Run) over() bool { return r.Ending != nil || r.Exhausted != nil || r.Stopped != "" }

// round begins the next round of a body.
func (d *decision) round(s *SubtaskState, body []Subtask) {
	if d.expand(s, s.Rounds+1, body) {
		return
	}
	d.subtaskFailed(s, *d.run.tooMany(len(body)), "", nil)
}

// nextItems begins as many items as may be under way together.
func (d *decision) nextItems(s *SubtaskState, open int) {
	items := s.list()
	most := cmp.Or(s.ForEach.MaxConcurrency, len(items))
	for ; open < most && s.Rounds < len(items) && s.Status == StatusRunning; open++ {
		if open > 0 && !d.run.holdsMore(len(s.ForEach.Body)) {
			return // it fails once what is under way has ended
		}
		d.round(s, s.ForEach.Body)
	}
	if open == 0 && s.Status == StatusRunning {
		d.finish(s)
	}
}
