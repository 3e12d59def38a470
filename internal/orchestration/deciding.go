package orchestration

import (
	"encoding/json"
	"slices"
	"strings"
)

// perform performs a subtask that needs neither a model nor a tool nor a person.
func (d *decision) perform(s *SubtaskState) {
	d.emitFor(s.ID, s.Attempts+1, &SubtaskStarted{})
	if s.Kind == KindDecide {
		option, failure := d.run.option(s)
		if failure != nil {
			d.subtaskFailed(s, *failure, "", nil)
			return
		}
		d.chosen(s, &SubtaskSucceeded{Output: option})
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
		switch value {
		case "true":
			return decide.Options[0], nil
		case "false":
			return decide.Options[1], nil
		}
		return TextOf(value), nil
	}
	value, failure := r.eval("decide.value", decide.Value, v)
	if failure != nil {
		return "", failure
	}
	var holds bool
	if decide.By == DecideByRegex {
		if value == "null" {
			value = "" // that there is no text is not one
		}
		pattern, err := CompilePattern(decide.Pattern)
		if err == nil {
			holds, err = pattern.Match(TextOf(value))
		}
		if err != nil {
			return "", &Failure{Code: CodeOutputInvalid, Detail: "decide.pattern cannot be used: " + err.Error() + "."}
		}
	} else {
		var number *float64
		if json.Unmarshal([]byte(TextOf(value)), &number) != nil || number == nil { // null
			return "", &Failure{Code: CodeOutputInvalid, Detail: "decide.value did not give a number."}
		}
		holds = *number >= *decide.AtLeast
	}
	if holds {
		return decide.Options[0], nil
	}
	return decide.Options[1], nil
}

// chosen takes the option of a decision, and acts on it.
func (d *decision) chosen(s *SubtaskState, f *SubtaskSucceeded) {
	r := d.run
	switch {
	case !slices.Contains(s.Decide.Options, f.Output):
		options := strings.Join(s.Decide.Options, ", ")
		failure := Failure{Code: CodeOutputInvalid, Detail: "What was chosen is none of the options: " + options + ".", Retryable: true}
		if s.calls() {
			d.attemptFailed(s, &failure, Worked{Calls: f.Calls})
		} else {
			d.subtaskFailed(s, failure, "", f.Calls)
		}
	case f.Output == OptionEscalate && !r.over():
		d.escalateDecision(s, f.Calls)
	default:
		d.decided(s, f)
	}
}

// decided acts on the option that a decision ends with.
func (d *decision) decided(s *SubtaskState, f *SubtaskSucceeded) {
	r := d.run
	f.Stop = f.Output == OptionStop && !r.over()
	f.Replan = f.Output == OptionReplan && r.mayReplan(&Failure{})
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
