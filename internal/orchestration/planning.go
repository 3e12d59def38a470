package orchestration

import (
	"fmt"
	"slices"
	"strings"
)

func (d *decision) startPlanning() { d.askPlanner(d.run.Planning.Lost, nil) }

// askPlanner has the planner asked: for a plan, for one that mends its last
// answer or, where there is a plan and a reason to revise it, for another one.
// A call that was lost is repeated under the key of that attempt.
func (d *decision) askPlanner(repeats int, revise *Reason) {
	r := d.run
	p := &r.Planning
	model := r.plannerModel()
	if revise != nil { // it begins anew with the planner's own
		model = r.Spec.Planner.Model
	}
	fact := &PlanStarted{
		Model: model, Repair: revise == nil && len(p.Problems) > 0,
		Repeats: repeats, Reason: revise, Fallback: revise == nil && p.FellBack,
	}
	fact.Given = r.givenTo(fact.Repair)
	fact.CacheKey = r.planKey(revise, fact.Given)
	var limit string
	if fact.Reserved, limit = r.planReserved(model, fact.Given); limit != "" {
		d.planUnaffordable(limit)
		return
	}
	d.emit(p.Attempt+1, fact)
	d.do(r.makePlan())
}

func (r *Run) plannerModel() string {
	model := r.Spec.Planner.Model
	return r.modelOf(model, r.fallbackOf(model), &r.Planning.Tries)
}

// planned hears how an attempt at the plan ended.
func (d *decision) planned(p Planned) {
	planning := &d.run.Planning
	if planning.Status != StatusRunning || p.Attempt != planning.Attempt {
		return
	}
	p.Plan = d.run.styled(p.Plan)
	switch {
	case d.run.Ending != nil:
		d.emit(p.Attempt, &PlanInvalid{Failure: canceledWith(d.run.Ending), Calls: p.Calls})
		d.end()
		return
	case d.run.Stopped != "":
		d.emit(p.Attempt, &PlanInvalid{Failure: Failure{Code: CodeCanceled, Detail: stoppedDetail}, Calls: p.Calls})
		d.advance()
	case p.Failure != nil && !unusable(p.Failure):
		d.planningFailed(p)
	case p.Failure != nil && d.run.getsOn(p.Failure):
		d.planOn(p)
	case planning.Version > 0:
		d.revised(p)
	default:
		d.firstPlan(p)
	}
	d.warn()
}

// styled takes the workers that a planner names and nobody configured as styles
// of the default one.
func (r *Run) styled(p Plan) Plan {
	p.Subtasks = slices.Clone(p.Subtasks)
	for i := range p.Subtasks {
		p.Subtasks[i] = r.inStyle(p.Subtasks[i])
	}
	return p
}

func (r *Run) inStyle(s Subtask) Subtask {
	if _, known := r.Spec.WorkerNamed(s.Worker); s.Worker != "" && !known {
		s.Type, s.Worker = s.Worker, ""
	}
	return s
}

// firstPlan takes an answer to the first question.
func (d *decision) firstPlan(p Planned) {
	p.Plan = d.run.joined(p.Plan)
	plan, problems := d.read(p)
	if len(problems) > 0 {
		if d.planInvalid(p, problems) {
			plan = d.run.prepared(Plan{Subtasks: []Subtask{{ID: "T1", Description: d.run.Spec.Task}}})
			d.adopt(plan, PlanOfFallback, Planned{})
		}
		return
	}
	if d.run.Planning.Repairing {
		d.emit(p.Attempt, &PlanRepaired{})
	}
	d.adopt(plan, PlanOfPlanner, p)
}

// unusable reports whether a failure is of the answer and not of the call: the
// planner is then told what was wrong.
func unusable(f *Failure) bool {
	return f.Code == CodeOutputInvalid || f.Code == CodeTruncated
}

// read returns the plan of the planner's answer, and what is wrong with it. The planner is
// held to its own max_subtasks once; after that, to the run's limit: a plan
// that is a little long is better than none.
func (d *decision) read(p Planned) (Plan, []Problem) {
	if p.Failure != nil {
		return p.Plan, []Problem{{Code: string(p.Failure.Code), Detail: p.Failure.Detail}}
	}
	if len(p.Problems) > 0 {
		return p.Plan, p.Problems
	}
	plan, problems := p.Plan.Prepare(d.run.planRules())
	for i := range problems {
		if len(d.run.Planning.Given) > 0 {
			problems[i].Pointer = "" // the answer is but a part of that plan
		}
	}
	return plan, problems
}

// planRules returns what the planner's present answer is held to.
func (r *Run) planRules() Rules {
	rules := r.rules()
	if most := r.Spec.Planner.MaxSubtasks; most > 0 && !r.Planning.Repairing {
		rules.MaxSubtasks = min(rules.MaxSubtasks, most)
	}
	return rules
}

// planInvalid sends an answer back to the planner once. It reports whether that
// was done before, so that this was the last attempt.
func (d *decision) planInvalid(p Planned, problems []Problem) (last bool) {
	last = d.run.Planning.Repairing
	fact := &PlanInvalid{
		Failure:  Failure{Code: CodePlanInvalid, Detail: firstOf(problems)},
		Problems: problems,
		Answer:   p.Answer,
		Calls:    p.Calls,
	}
	if !last {
		fact.RetryAt = &d.now
	}
	d.emit(p.Attempt, fact)
	if !last && !d.stopping {
		d.startPlanning()
	}
	return last
}

// planningFailed hears that the planner could not be asked.
func (d *decision) planningFailed(p Planned) {
	r := d.run
	fact := &PlanInvalid{Failure: *p.Failure, Calls: p.Calls}
	next, follows := d.retry(&r.Planning.Tries, p.Failure, nil, resort{fallback: r.fallbackOf(r.Spec.Planner.Model) != ""})
	if follows {
		fact.RetryAt, fact.Again, fact.Fallback = &next.at, next.again, next.fallback
	}
	d.emit(p.Attempt, fact)
	switch {
	case follows && next.at.After(d.now):
		d.do(r.planTimer())
	case follows && !d.stopping:
		d.startPlanning()
	case follows:
	case r.Planning.Version > 0:
		d.goOn()
	case p.Failure.Code == CodeBudgetExceeded:
		d.planUnaffordable(tenantBudget)
	default:
		d.unplanned(*p.Failure, nil)
	}
}

// planUnaffordable gives up a plan, or a revision, that the budget has no room for.
func (d *decision) planUnaffordable(limit string) {
	r := d.run
	reason := r.exhaustedBy(limit)
	failure := Failure{Code: reason.Code, Detail: reason.Detail}
	if r.Planning.Version > 0 {
		d.emit(r.Planning.Attempt, &PlanInvalid{Failure: failure})
		d.goOn()
		return
	}
	if r.Exhausted == nil {
		d.emit(0, &BudgetExceeded{Limit: limit, Reason: reason})
	}
	d.unplanned(failure, &reason)
}

// prepared returns a plan that was checked before, prepared.
func (r *Run) prepared(p Plan) Plan {
	rules := r.rules()
	rules.MaxSubtasks = maxSubtasks // it was checked as it is to be
	p, _ = p.Prepare(rules)
	return p
}

// adopt makes a checked and prepared plan the run's.
func (d *decision) adopt(p Plan, source PlanSource, answer Planned) {
	ids, added, dropped := d.run.against(p)
	d.add(added)
	d.emit(d.run.Planning.Attempt, &PlanCreated{
		Version:  d.run.Planning.Version + 1,
		Source:   source,
		Analysis: p.Analysis,
		Subtasks: ids,
		Dropped:  dropped,
		Cached:   answer.Cached,
		Calls:    answer.Calls,
	})
	d.drop(dropped)
	d.take()
	d.review()
	d.goOn()
}

// add adds subtasks to the run, and returns their ids.
func (d *decision) add(subtasks []Subtask) []string {
	ids := make([]string, 0, len(subtasks))
	d.events = slices.Grow(d.events, 2*len(subtasks)+1)
	d.run.makeRoom(len(subtasks))
	for _, s := range subtasks {
		d.emitFor(s.ID, 0, &PlanSubtaskAdded{Subtask: s})
		ids = append(ids, s.ID)
	}
	return ids
}

// reasonFor says, for the result, why not all was done, or that the plan is
// not what was asked for.
func (r *Run) reasonFor() *Reason {
	if r.Exhausted != nil {
		return &r.Exhausted.Reason
	}
	if r.Planning.Source != PlanOfFallback {
		return nil
	}
	return &Reason{
		Code: CodePlanInvalid,
		Detail: fmt.Sprintf("The planner gave no plan that could be used (%s), so the task was performed as one subtask.",
			r.Planning.Fault),
	}
}

func firstOf(problems []Problem) string {
	detail := strings.TrimRight(problems[0].Detail, ".")
	if n := len(problems) - 1; n > 0 {
		return fmt.Sprintf("%s; and %d more", detail, n)
	}
	return detail
}
