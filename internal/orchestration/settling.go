package orchestration

import (
	"encoding/json"
	"fmt"
	"slices"
)

// settle performs a subtask that needs neither a model nor a tool nor a person.
func (d *decision) settle(s *SubtaskState) {
	d.emitFor(s.ID, s.Attempts+1, &SubtaskStarted{})
	if s.Kind == KindDecide {
		option, failure := d.run.option(s)
		if failure != nil {
			d.subtaskFailed(s, *failure, "", nil)
			return
		}
		d.chosen(s, option, nil)
		return
	}
	output, failure := d.run.merged(s)
	if failure != nil {
		d.subtaskFailed(s, *failure, "", nil)
		return
	}
	d.succeeded(s, output, &SubtaskSucceeded{})
}

// option makes a decision that needs no model.
func (r *Run) option(s *SubtaskState) (string, *Failure) {
	decide, v := s.Decide, r.variables(s)
	if decide.By == DecideByExpr {
		value, failure := r.eval("decide.expr", decide.Expr, v)
		if failure != nil {
			return "", failure
		}
		switch string(value) {
		case "true":
			return decide.Options[0], nil
		case "false":
			return decide.Options[1], nil
		}
		return textOf(value), nil
	}
	value, failure := r.eval("decide.value", decide.Value, v)
	if failure != nil {
		return "", failure
	}
	var holds bool
	if decide.By == DecideByRegex {
		pattern, err := CompilePattern(decide.Pattern)
		if err == nil {
			holds, err = pattern.Match(textOf(value))
		}
		if err != nil {
			return "", &Failure{Code: CodeOutputInvalid, Detail: "decide.pattern cannot be used: " + err.Error() + "."}
		}
	} else {
		var number float64
		if json.Unmarshal([]byte(textOf(value)), &number) != nil {
			return "", &Failure{Code: CodeOutputInvalid, Detail: "decide.value did not give a number."}
		}
		holds = number >= *decide.AtLeast
	}
	if holds {
		return decide.Options[0], nil
	}
	return decide.Options[1], nil
}

// chosen takes the option of a decision, and acts on it.
func (d *decision) chosen(s *SubtaskState, option string, calls []Call) {
	r := d.run
	switch {
	case !slices.Contains(s.Decide.Options, option):
		f := Failure{Code: CodeOutputInvalid, Detail: "What was chosen is none of the options.", Retryable: true}
		if s.calls() {
			d.attemptFailed(s, &f, Worked{Calls: calls})
		} else {
			d.subtaskFailed(s, f, "", calls)
		}
	case option == OptionEscalate && !r.over():
		d.escalateDecision(s, calls)
	default:
		d.decide(s, option, calls)
	}
}

// decide ends a decision with an option that it may end with.
func (d *decision) decide(s *SubtaskState, option string, calls []Call) {
	r := d.run
	f := &SubtaskSucceeded{Output: option, Calls: calls}
	f.Stop = option == OptionStop && !r.over()
	f.Replan = option == OptionReplan && r.mayReplan(&Failure{})
	d.emitFor(s.ID, s.Attempts, f)
	switch {
	case f.Stop:
		d.stopEarly()
	case f.Replan:
		d.replan()
	}
}

// stoppedDetail says, of what is left undone, why.
const stoppedDetail = "A decision ended the run with what it has."

// stopEarly leaves undone what a decision makes superfluous. What is in flight is
// aborted; the run then ends with what it has.
func (d *decision) stopEarly() {
	r := d.run
	switch r.Planning.Status {
	case StatusRunning:
		d.do(Abort{Call: MakePlan{Attempt: r.Planning.Attempt}})
	case StatusPending:
		d.emit(r.Planning.Attempt, &PlanInvalid{Failure: Failure{Code: CodeCanceled, Detail: stoppedDetail}})
	}
	for _, s := range r.Subtasks {
		switch {
		case s.Status == StatusPending:
			d.emitFor(s.ID, s.Attempts, skippedBecause(BecauseStopped, stoppedDetail))
		case s.Status == StatusWaiting:
			d.emitFor(s.ID, s.Attempts, &SubtaskCanceled{})
		case s.Calling:
			d.do(Abort{Call: Work{Subtask: Subtask{ID: s.ID}, Attempt: s.Attempts}})
		case s.Kind.Composite() && s.Status == StatusRunning:
			r.schedule().closing = append(r.schedule().closing, r.node(s))
		}
	}
}

// nested takes the plan that a planner made for a part of the run.
func (d *decision) nested(s *SubtaskState, w Worked) {
	problems := w.Problems
	var part Plan
	if w.Cached && w.Plan == nil {
		w.Plan = new(Plan)
		if json.Unmarshal([]byte(w.Output), w.Plan) != nil {
			problems = []Problem{{Code: ProblemEmpty, Detail: "The plan in the cache cannot be read."}}
		}
	}
	if len(problems) == 0 && w.Plan != nil {
		rules := d.run.rules()
		if s.Plan.MaxSubtasks > 0 {
			rules.MaxSubtasks = min(rules.MaxSubtasks, s.Plan.MaxSubtasks)
		}
		part, problems = d.run.deepened(s, d.run.styled(*w.Plan)).prepare(rules)
	}
	switch {
	case len(problems) == 0 && len(part.Subtasks) == 0:
		problems = []Problem{{"/subtasks", ProblemEmpty, "The plan has no subtasks."}}
	case len(problems) == 0:
		keepEnds(part.Subtasks)
		ids := make([]string, len(part.Subtasks))
		for i := range part.Subtasks {
			ids[i] = childID(s.ID, 1, part.Subtasks[i].ID)
		}
		if !d.expand(s, 1, part.Subtasks) {
			problems = []Problem{{"/subtasks", ProblemTooMany, "The run has too many subtasks."}}
			break
		}
		d.emitFor(s.ID, s.Attempts, &PlanCreated{
			Version: d.run.Planning.Version, Source: PlanOfPlanner, Analysis: part.Analysis, Cached: w.Cached, Subtasks: ids, Calls: w.Calls,
		})
		return
	}
	f := Failure{Code: CodePlanInvalid, Detail: firstOf(problems)}
	if s.Revisions > 0 || d.run.over() {
		d.subtaskFailed(s, f, w.Output, w.Calls)
		return
	}
	d.emitFor(s.ID, s.Attempts, &SubtaskRetrying{
		Failure: f, Output: w.Output, Feedback: listed(problems), RetryAt: d.now, Calls: w.Calls,
	})
}

// keepEnds has the run hold the outputs that the plan of a part gives: of those that
// no other one depends on.
func keepEnds(part []Subtask) {
	needed := make(map[string]bool, len(part))
	for i := range part {
		for _, id := range part[i].DependsOn {
			needed[id] = true
		}
	}
	for i := range part {
		part[i].Kept = part[i].Kept || !needed[part[i].ID]
	}
}

// planType is the type by which a planner, where it may, asks for a part to be
// planned by itself.
const planType = "plan"

// deepened has those subtasks of a nested plan that are to be planned themselves
// be so, to the depth that the plan allows.
func (r *Run) deepened(s *SubtaskState, p Plan) Plan {
	p.Subtasks = slices.Clone(p.Subtasks)
	for i := range p.Subtasks {
		if c := &p.Subtasks[i]; c.Type == planType && s.Plan.Depth > 1 {
			c.Kind, c.Type = KindPlan, ""
			c.Plan = &Nested{Task: string(encoded(c.Description)), MaxSubtasks: s.Plan.MaxSubtasks, Depth: s.Plan.Depth - 1}
		}
	}
	return p
}

// listed says what is wrong with a plan, for its planner.
func listed(problems []Problem) string {
	const most = 20
	text := ""
	for i, p := range problems {
		if i == most {
			text += fmt.Sprintf("- and %d more\n", len(problems)-most)
			break
		}
		text += "- " + p.Detail + "\n"
	}
	return text
}
