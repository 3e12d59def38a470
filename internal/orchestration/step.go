package orchestration

import (
	"errors"
	"fmt"
	"time"
)

var zeroTime time.Time

// Errors of Step. Each refuses the input and leaves no trace.
var (
	// ErrNotStarted refuses any input but Start for a run that has no events.
	ErrNotStarted = errors.New("the run has not been started")
	// ErrStarted refuses a second Start.
	ErrStarted = errors.New("the run was started before")
	// ErrNotWaiting refuses a decision about what does not wait for one.
	ErrNotWaiting = errors.New("it does not wait for a decision")
)

// A DecisionError refuses a decision that cannot be taken as it is. Its text
// tells people what to mend.
type DecisionError struct {
	Pointer string // into the decision, a JSON Pointer: "/action"
	Detail  string
}

func (e *DecisionError) Error() string { return e.Pointer + ": " + e.Detail }

// Step decides what follows from an input: the events, which are folded into
// the run already, and the commands to start once the events are durable.
//
// An error refuses the input and leaves no trace. When the events cannot be
// made durable, the run must be dropped and replayed from the journal.
func (r *Run) Step(in Input) ([]Event, []Command, error) {
	d := &decision{run: r, now: later(in.Time, r.UpdatedAt), random: in.Random, stopping: in.Stopping}
	defer func() { r.scope = scope{} }() // it may hold much
	start, starting := in.Said.(Start)
	switch {
	case starting && r.Spec != nil:
		return nil, nil, ErrStarted
	case !starting && r.Spec == nil:
		return nil, nil, ErrNotStarted
	case starting:
		if err := d.start(start); err != nil {
			return nil, nil, err
		}
	case r.Done() && decides(in.Said):
		return nil, nil, ErrNotWaiting
	case r.Done():
	default:
		if err := d.hear(in.Said); err != nil {
			return nil, nil, err
		}
	}
	return d.events, d.commands, nil
}

// decides reports whether it is a person's decision.
func decides(said Said) bool {
	switch said.(type) {
	case DecideSubtask, DecidePlan:
		return true
	}
	return false
}

// A decision is one Step in the making.
type decision struct {
	run      *Run
	now      time.Time
	random   float64
	stopping bool
	events   []Event
	commands []Command
	undoing  bool // the next compensation has been asked for
}

// emit makes a fact about the run an event.
func (d *decision) emit(attempt int, f Fact) { d.emitFor("", attempt, f) }

// emitFor makes a fact about a subtask an event.
func (d *decision) emitFor(subtask string, attempt int, f Fact) {
	r := d.run
	e := Event{Seq: r.Seq + 1, Time: d.now, Run: r.ID, Subtask: subtask, Attempt: attempt, Fact: f}
	r.fold(e)
	e.Progress = r.Progress
	if d.events == nil {
		d.events = make([]Event, 0, 4) // as many as an outcome comes to: it ends one subtask and begins others
	}
	d.events = append(d.events, e)
}

func (d *decision) do(c Command) { d.commands = append(d.commands, c) }

func (d *decision) start(s Start) error {
	var plan Plan
	switch {
	case s.Spec.Prepared != nil:
		plan, s.Spec.Prepared = *s.Spec.Prepared, nil
	case s.Spec.Plan != nil:
		var problems []Problem
		rules := Rules{MaxSubtasks: s.Spec.Limits.MaxSubtasks, Workers: s.Spec.Workers, Tools: s.Spec.Tools, Expressions: d.run.funcs.Expressions}
		if s.Spec.Fork != nil {
			rules.MaxSubtasks = maxSubtasks // it is what the run that it was forked from had become
		}
		if plan, problems = s.Spec.Plan.Prepare(rules); len(problems) > 0 {
			return fmt.Errorf("the plan is invalid: %s", problems[0].Detail)
		}
	}
	d.run.ID = s.ID
	d.emit(0, &RunCreated{Spec: s.Spec})
	if !s.Queue {
		d.beginRun(plan)
	}
	return nil
}

// beginQueued begins a run that was accepted and had to queue.
func (d *decision) beginQueued() {
	if d.run.Status != StatusQueued {
		return
	}
	var plan Plan
	if own := d.run.Spec.Plan; own != nil {
		plan = d.run.prepared(*own)
	}
	d.beginRun(plan)
}

// beginRun begins a run, with its own plan, if it has one, prepared.
func (d *decision) beginRun(plan Plan) {
	r := d.run
	d.emit(0, &RunStarted{Share: r.share()})
	d.do(r.timeoutTimer())
	switch {
	case r.Spec.Plan == nil:
		d.startPlanning()
	case r.Spec.Fork != nil:
		d.adopt(plan, PlanOfFork, Planned{})
	case r.Spec.Workflow != nil:
		d.adopt(plan, PlanOfWorkflow, Planned{})
	default:
		d.adopt(plan, PlanOfCaller, Planned{})
	}
}

func (d *decision) hear(said Said) error {
	switch s := said.(type) {
	case Begin:
		d.beginQueued()
	case Resume:
		d.resume()
	case Drafted:
		d.drafted(s)
	case Planned:
		d.planned(s)
	case Worked:
		d.worked(s)
	case Synthesized:
		d.synthesized(s)
	case Due:
		d.due(s.Timer)
	case Broken:
		d.stop(StatusFailed, Reason{Code: CodeInternal, Detail: "The server met a fault of its own in this run. Its log knows more."})
	case Cancel:
		d.stop(StatusCanceled, Reason{Code: CodeCanceled, Detail: s.Detail})
	case Compensated:
		d.compensated(s)
	case DecideSubtask:
		if d.run.Ending != nil {
			return ErrNotWaiting
		}
		return d.decideSubtask(s, false)
	case DecidePlan:
		return d.decidePlan(s)
	}
	return nil
}
