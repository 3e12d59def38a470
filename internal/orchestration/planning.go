package orchestration

import (
	"fmt"
	"slices"
	"strings"
)

func (d *decision) startPlanning() {
	r := d.run
	d.emit(r.Planning.Attempt+1, &PlanStarted{
		Model:  r.Spec.Planner.Model,
		Repair: len(r.Planning.Problems) > 0,
	})
	d.do(r.makePlan())
}

// planned hears how an attempt at the plan ended.
func (d *decision) planned(p Planned) {
	planning := &d.run.Planning
	if planning.Status != StatusRunning || p.Attempt != planning.Attempt {
		return
	}
	switch {
	case d.run.Ending != nil:
		d.emit(p.Attempt, &PlanInvalid{Failure: canceledWith(d.run.Ending), Calls: p.Calls})
		d.end()
	case p.Failure != nil && !unusable(p.Failure):
		d.planningFailed(p)
	default:
		if problems := d.problemsOf(p); len(problems) > 0 {
			d.planInvalid(p, problems)
			return
		}
		if planning.Repairing {
			d.emit(p.Attempt, &PlanRepaired{})
		}
		d.adopt(p.Plan, PlanOfPlanner, p.Calls)
	}
}

// unusable reports whether a failure is of the answer and not of the call: the
// planner is then told what was wrong.
func unusable(f *Failure) bool {
	return f.Code == CodeOutputInvalid || f.Code == CodeTruncated
}

// problemsOf returns what is wrong with the planner's answer. The planner is
// held to its own max_subtasks once; after that, to the run's limit: a plan
// that is a little long is better than none.
func (d *decision) problemsOf(p Planned) []Problem {
	spec := d.run.Spec
	if p.Failure != nil {
		return []Problem{{Code: string(p.Failure.Code), Detail: p.Failure.Detail}}
	}
	if len(p.Problems) > 0 {
		return p.Problems
	}
	most := spec.Limits.MaxSubtasks
	if !d.run.Planning.Repairing && spec.Planner.MaxSubtasks > 0 {
		most = min(most, spec.Planner.MaxSubtasks)
	}
	return p.Plan.Check(most)
}

// planInvalid sends an answer back to the planner once; after that the task
// itself is the one subtask.
func (d *decision) planInvalid(p Planned, problems []Problem) {
	again := d.run.Planning.Repairing
	fact := &PlanInvalid{
		Failure:  Failure{Code: CodePlanInvalid, Detail: firstOf(problems)},
		Problems: problems,
		Answer:   p.Answer,
		Calls:    p.Calls,
	}
	d.emit(p.Attempt, fact)
	if !again {
		d.startPlanning()
		return
	}
	d.adopt(Plan{Subtasks: []Subtask{{ID: "T1", Description: d.run.Spec.Task}}}, PlanOfFallback, nil)
}

// planningFailed hears that the planner could not be asked.
func (d *decision) planningFailed(p Planned) {
	r := d.run
	fact := &PlanInvalid{Failure: *p.Failure, Calls: p.Calls}
	if p.Failure.Retryable && r.Planning.Failures+1 < r.Spec.Limits.MaxAttempts {
		at := d.now.Add(retryDelay(r.Planning.Failures+1, p.Failure.RetryAfter, d.random))
		fact.RetryAt = &at
	}
	d.emit(p.Attempt, fact)
	if fact.RetryAt != nil {
		d.do(r.planTimer())
		return
	}
	d.emit(0, &RunFailed{Failure: *p.Failure})
}

// adopt makes a checked plan the run's.
func (d *decision) adopt(p Plan, source PlanSource, calls []Call) {
	ids := make([]string, 0, len(p.Subtasks))
	d.events = slices.Grow(d.events, 2*len(p.Subtasks)+1)
	d.run.makeRoom(len(p.Subtasks))
	for _, s := range p.Subtasks {
		s.Kind, s.After = KindWorker, orDefault(s.After, AfterSucceeded)
		s.Type = orDefault(strings.TrimSpace(s.Type), DefaultType)
		d.emitFor(s.ID, 0, &PlanSubtaskAdded{Subtask: s})
		ids = append(ids, s.ID)
	}
	d.emit(d.run.Planning.Attempt, &PlanCreated{
		Version:  d.run.Planning.Version + 1,
		Source:   source,
		Analysis: p.Analysis,
		Subtasks: ids,
		Calls:    calls,
	})
	d.advance()
}

// reasonOfPlan says, for the result, that the plan is not what was asked for.
func (r *Run) reasonOfPlan() *Reason {
	if r.Planning.Source != PlanOfFallback {
		return nil
	}
	return &Reason{
		Code: CodePlanInvalid,
		Detail: fmt.Sprintf("The planner gave no plan that could be used (%s), so the task was performed as one subtask.",
			firstOf(r.Planning.Problems)),
	}
}

func firstOf(problems []Problem) string {
	detail := strings.TrimRight(problems[0].Detail, ".")
	if n := len(problems) - 1; n > 0 {
		return fmt.Sprintf("%s; and %d more", detail, n)
	}
	return detail
}

func orDefault[T ~string](value, otherwise T) T {
	if value == "" {
		return otherwise
	}
	return value
}
