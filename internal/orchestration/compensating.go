package orchestration

import (
	"encoding/json"
	"fmt"
)

// undoAttempts is how often a compensation is tried.
const undoAttempts = 3

// toUndo returns the subtask that is to be compensated next when the run fails or is
// canceled, nil when there is none left: the last one that ended, of those that had an
// effect, or may have had one, as an attempt at them began and nobody knows how far it
// got.
func (r *Run) toUndo() *SubtaskState {
	var last *SubtaskState
	for _, s := range r.Subtasks {
		if s.toUndo() && (last == nil || s.Completed > last.Completed) {
			last = s
		}
	}
	return last
}

func (s *SubtaskState) toUndo() bool {
	return s.Compensate != nil && s.Attempts > 0 && !s.Cached && (s.Undoing == nil || s.Undoing.Status == StatusPending) && !s.harmless()
}

// harmless reports whether a subtask is known to have had no effect: its tool was
// not called, as the arguments do not suit it.
func (s *SubtaskState) harmless() bool {
	return s.Kind == KindTool && s.Status == StatusFailed && s.Attempts == 1 && s.Failure.Code == CodeOutputInvalid
}

// undo returns what the next compensation waits for: its call or its timer. Nil:
// none is left.
func (r *Run) undo() []Command {
	s := r.toUndo()
	if s == nil {
		return nil
	}
	if s.Undoing != nil && s.Undoing.RetryAt.After(r.UpdatedAt) {
		return []Command{s.undoTimer()}
	}
	arguments, _ := r.undoArguments(s) // as when it was begun
	return []Command{r.undoing(s, arguments)}
}

func (r *Run) undoing(s *SubtaskState, arguments json.RawMessage) Compensate {
	return Compensate{Subtask: s.ID, Attempt: s.undone() + 1, Tool: s.Compensate.Name, Arguments: arguments}
}

// undone counts the attempts at a compensation that have ended.
func (s *SubtaskState) undone() int {
	if s.Undoing == nil {
		return 0
	}
	return s.Undoing.Attempts
}

// undoArguments evaluates the arguments of a compensation. They see the subtask's
// output, null where it has none.
func (r *Run) undoArguments(s *SubtaskState) (json.RawMessage, *Failure) {
	arguments := map[string]json.RawMessage{}
	if len(s.Compensate.Arguments) == 0 {
		return encoded(arguments), nil
	}
	v := r.variables(s).with("output", s.gave())
	v.Spent = &r.spentUndoing
	for _, name := range names(s.Compensate.Arguments) {
		value, failure := r.eval("compensate.arguments."+name, s.Compensate.Arguments[name], v)
		if failure != nil {
			return nil, failure
		}
		arguments[name] = json.RawMessage(value)
	}
	return encoded(arguments), nil
}

// compensate goes on undoing, one subtask after the other, before a run that is
// ending early ends. It reports whether there is something left to undo.
func (d *decision) compensate() bool {
	r := d.run
	for !d.undoing {
		s := r.toUndo()
		if s == nil {
			return false
		}
		if s.Undoing != nil && s.Undoing.RetryAt.After(d.now) {
			d.do(s.undoTimer())
			d.undoing = true
			break
		}
		arguments, failure := r.undoArguments(s)
		if failure != nil { // no other attempt would do better
			d.emitFor(s.ID, s.undone()+1, &SubtaskCompensated{Failure: failure})
			continue
		}
		if !d.stopping {
			d.do(r.undoing(s, arguments))
		}
		d.undoing = true
	}
	return true
}

func (s *SubtaskState) undoTimer() SetTimer {
	return SetTimer{Timer: fmt.Sprintf("compensation/%s/%d", s.ID, s.undone()+1), At: s.Undoing.RetryAt}
}

// compensated hears how a compensation ended. One that fails is reported, and the
// others are still made.
func (d *decision) compensated(c Compensated) {
	r := d.run
	s := r.Subtask(c.Subtask)
	if s == nil || r.Ending == nil || r.busy() || c.Attempt != s.undone()+1 || r.toUndo() != s {
		return
	}
	if d.stopping && c.Failure != nil && c.Failure.Code == CodeCanceled {
		return // it was cut short, and is made again
	}
	fact := &SubtaskCompensated{Failure: c.Failure}
	if c.Failure != nil && c.Failure.Retryable && c.Attempt < undoAttempts {
		at := d.now.Add(retryDelay(c.Attempt, 0, c.Failure.RetryAfter, d.random))
		fact.RetryAt = &at
	}
	d.emitFor(s.ID, c.Attempt, fact)
	d.end()
}

// busy reports whether a call that is no compensation is in flight.
func (r *Run) busy() bool {
	return r.Planning.Status == StatusRunning || r.Calling > 0 || r.Synthesis.Status == StatusRunning
}

// resumeEnd goes on with the end of a run in another process. A compensation that
// processes die of is given up.
func (d *decision) resumeEnd() {
	r := d.run
	if s := r.toUndo(); s != nil && !r.busy() {
		if r.Starts >= maxStarts {
			d.emitFor(s.ID, s.undone()+1, &SubtaskCompensated{Failure: &Failure{
				Code: CodePoisonRun, Detail: fmt.Sprintf("The server stopped %d times in a row while this was tried.", r.Starts+1),
			}})
		} else {
			d.emit(0, &RunResumed{Starts: r.Starts + 1})
		}
	}
	d.end()
}

// fail ends the run without a final output, once what it did is undone.
func (d *decision) fail(f Failure, reason *Reason) {
	r := d.run
	if r.toUndo() == nil {
		d.emit(0, &RunFailed{Failure: f, Reason: reason})
		return
	}
	d.emit(0, &RunCanceling{Status: StatusFailed, Reason: Reason{Code: f.Code, Detail: f.Detail}})
	d.end()
}
