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
	case decides(in.Said):
		return nil, nil, ErrNotWaiting
	case r.Done():
	default:
		d.hear(in.Said)
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
}

// emit makes a fact about the run an event.
func (d *decision) emit(attempt int, f Fact) { d.emitFor("", attempt, f) }

// emitFor makes a fact about a subtask an event.
func (d *decision) emitFor(subtask string, attempt int, f Fact) {
	r := d.run
	e := Event{Seq: r.Seq + 1, Time: d.now, Run: r.ID, Subtask: subtask, Attempt: attempt, Fact: f}
	r.fold(e)
	e.Progress = r.Progress
	d.events = append(d.events, e)
}

func (d *decision) do(c Command) { d.commands = append(d.commands, c) }

func (d *decision) start(s Start) error {
	if s.Spec.Plan != nil {
		if problems := s.Spec.Plan.Check(Rules{MaxSubtasks: s.Spec.Limits.MaxSubtasks}); len(problems) > 0 {
			return fmt.Errorf("the plan is invalid: %s", problems[0].Detail)
		}
	}
	d.run.ID = s.ID
	d.emit(0, &RunCreated{Spec: s.Spec})
	if !s.Queue {
		d.begin()
	}
	return nil
}

// begin begins a run that was accepted.
func (d *decision) begin() {
	r := d.run
	if r.Status != StatusQueued {
		return
	}
	d.emit(0, &RunStarted{Share: r.share()})
	d.do(r.timeoutTimer())
	if r.Spec.Plan == nil {
		d.startPlanning()
		return
	}
	d.adopt(*r.Spec.Plan, PlanOfCaller, nil)
}

func (d *decision) hear(said Said) {
	switch s := said.(type) {
	case Begin:
		d.begin()
	case Resume:
		d.resume()
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
	}
}

// due goes on with what a timer was set for. A timer that nothing waits for
// any more is passed over.
func (d *decision) due(timer string) {
	r := d.run
	switch {
	case r.Ending != nil:
	case timer == timeoutName:
		d.stop(StatusFailed, Reason{
			Code:   CodeTimeout,
			Detail: fmt.Sprintf("The run's timeout of %s was reached.", r.Spec.Limits.Timeout),
		})
	case r.Planning.Status == StatusPending && timer == r.planTimer().Timer:
		d.startPlanning()
	case len(r.Planning.Wanted) > 0 && timer == r.replanTimer().Timer:
		d.replan()
	case r.Synthesis.Status == StatusPending && timer == r.synthesisTimer().Timer:
		d.startSynthesis()
	default:
		if s := r.Subtask(subtaskOfTimer(timer)); s != nil && s.retrying() && timer == s.timer().Timer {
			d.now = later(d.now, s.RetryAt) // a timer may be a little early
			d.advance()
		}
	}
}

// advance starts what can be started and concludes when all has ended.
func (d *decision) advance() {
	r := d.run
	if r.Ending != nil {
		d.end()
		return
	}
	if r.Done() || r.Planning.Version == 0 || r.replanning() {
		return // what runs goes on, and nothing new starts
	}
	for !d.stopping && r.Progress.Running < r.Spec.Limits.MaxConcurrency {
		s := r.schedule().next(d.now)
		if s == nil {
			break
		}
		if limit := r.unaffordable(r.reserve(s)); limit != "" {
			r.schedule().enqueue(s.node)
			if r.Progress.Running == 0 { // otherwise what those hold back may yet do
				d.exhaust(limit)
			}
			break
		}
		d.work(s, s.Lost)
	}
	if r.schedule().open == 0 {
		d.conclude()
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
