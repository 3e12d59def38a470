package orchestration

import (
	"fmt"
	"strings"
	"time"
)

// Outstanding returns the commands that were issued and are not yet answered,
// as they follow from the state: what a driver must start after a replay. A
// timer is outstanding until what it was set for has started. What is being
// given up, with its run or by a later plan, is aborted.
func (r *Run) Outstanding() []Command {
	var commands []Command
	switch {
	case r.Spec == nil || r.Done() || r.Status == StatusQueued:
		return nil
	case r.Ending != nil:
		for _, call := range r.inFlight() {
			commands = append(commands, Abort{Call: call})
		}
		if len(commands) == 0 {
			commands = r.undo()
		}
		return commands
	}
	commands = r.timers()
	for _, call := range r.inFlight() {
		if r.gaveUp(call) {
			commands = append(commands, Abort{Call: call})
		} else {
			commands = append(commands, r.whole(call))
		}
	}
	return commands
}

// gaveUp reports whether a decision ended the run with what it has, or a later
// plan has left out what a call in flight is for.
func (r *Run) gaveUp(call Command) bool {
	switch c := call.(type) {
	case MakePlan:
		return r.Stopped != ""
	case Work:
		return r.Stopped != "" || r.Subtask(c.Subtask.ID).Dropped > 0
	}
	return false
}

// timers returns the timers that are awaited.
func (r *Run) timers() []Command {
	var timers []Command
	if r.Status != StatusWaiting {
		timers = append(timers, r.timeoutTimer())
	}
	switch {
	case r.Planning.Status == StatusPending:
		timers = append(timers, r.planTimer())
	case r.Planning.Status != StatusRunning && len(r.Planning.Wanted) > 0:
		timers = append(timers, r.replanTimer())
	}
	for _, s := range r.Subtasks {
		if s.retrying() {
			timers = append(timers, s.timer())
		}
		if s.Status == StatusWaiting && s.Waiting.Until != nil {
			timers = append(timers, s.decisionTimer())
		}
	}
	if r.Synthesis.Status == StatusPending {
		timers = append(timers, r.synthesisTimer())
	}
	return timers
}

// inFlight returns the calls that are awaited. Of each only the parts of its key are
// set: to work out what it was given may be dear.
func (r *Run) inFlight() []Command {
	var calls []Command
	if r.Planning.Status == StatusRunning {
		calls = append(calls, MakePlan{Attempt: r.Planning.Attempt})
	}
	if r.Calling > 0 {
		for _, s := range r.Subtasks {
			if s.Calling {
				calls = append(calls, Work{Subtask: Subtask{ID: s.ID}, Attempt: s.Attempts})
			}
		}
	}
	if r.Synthesis.Status == StatusRunning {
		calls = append(calls, Synthesize{Attempt: r.Synthesis.Attempt})
	}
	return calls
}

// whole returns a call in flight as it was issued.
func (r *Run) whole(call Command) Command {
	switch c := call.(type) {
	case MakePlan:
		return r.makePlan()
	case Work:
		return r.work(r.Subtask(c.Subtask.ID))
	}
	return r.synthesize()
}

func (r *Run) makePlan() MakePlan {
	p := &r.Planning
	c := MakePlan{Attempt: p.Attempt, Call: p.Call, Model: r.plannerModel(), Reserved: p.Reserved, CacheKey: p.CacheKey}
	if p.Repairing {
		c.Repair = &Repair{Answer: p.Answer, Problems: p.Problems}
	}
	for _, id := range p.Given {
		c.Given = append(c.Given, r.Subtask(id).Subtask)
	}
	if p.Version > 0 {
		c.Revision = r.revision()
	}
	return c
}

func (r *Run) synthesize() Synthesize {
	c := Synthesize{
		Attempt:  r.Synthesis.Attempt,
		Call:     r.Synthesis.Call,
		Model:    r.synthesizerModel(),
		Reserved: r.Synthesis.Reserved,
		CacheKey: r.Synthesis.CacheKey,
		Analysis: r.Planning.Analysis,
		Results:  make([]Result, 0, len(r.Subtasks)),
	}
	for _, s := range r.Subtasks {
		if s.answers() {
			c.Results = append(c.Results, s.result())
		}
	}
	return c
}

func (s *SubtaskState) result() Result {
	return Result{ID: s.ID, Type: s.Type, Description: s.Description, Status: s.Status, Output: s.Output}
}

// counts reports whether a subtask is part of what the answer is made of: it is
// in the plan in force, and no later version made up for its failure.
func (s *SubtaskState) counts() bool { return s.Dropped == 0 && !s.Superseded }

// answers reports whether the final output is made of it: it counts, is no part
// of another one, and was not left out by a condition or for the sake of a decision,
// nor is one.
func (s *SubtaskState) answers() bool {
	return s.counts() && s.Parent == "" && s.Because == "" && s.Kind != KindDecide
}

// lost reports whether a subtask ended without success, and is missed.
func (s *SubtaskState) lost() bool {
	return s.Status.Ended() && s.Status != StatusSucceeded && s.Because == ""
}

// retrying reports whether a subtask waits for its next attempt.
func (s *SubtaskState) retrying() bool { return s.Status == StatusPending && s.Attempts > 0 }

// timeoutName names the timer of the run's own timeout.
const timeoutName = "timeout"

func (r *Run) timeoutTimer() SetTimer {
	return SetTimer{Timer: timeoutName, At: r.Deadline()}
}

// Deadline returns until when the run may take, as far as it is known now. The
// time in which it waited for people does not count.
func (r *Run) Deadline() time.Time {
	return r.StartedAt.Add(r.Spec.Limits.Timeout + r.Waited)
}

func (r *Run) planTimer() SetTimer {
	return SetTimer{Timer: fmt.Sprintf("plan/%d", r.Planning.Attempt+1), At: r.Planning.RetryAt}
}

func (r *Run) replanTimer() SetTimer {
	p := &r.Planning
	at := r.UpdatedAt
	if p.Replans > 0 {
		at = p.ReplannedAt.Add(r.Spec.Limits.ReplanCooldown)
	}
	return SetTimer{Timer: fmt.Sprintf("replan/%d", p.Replans+1), At: at}
}

func (s *SubtaskState) timer() SetTimer {
	return SetTimer{Timer: fmt.Sprintf("subtask/%s/%d", s.ID, s.Attempts+1), At: s.RetryAt}
}

func (r *Run) synthesisTimer() SetTimer {
	return SetTimer{Timer: fmt.Sprintf("synthesis/%d", r.Synthesis.Attempt+1), At: r.Synthesis.RetryAt}
}

// subjectOf returns what a timer is for, and the id of a subtask that it is about.
func subjectOf(timer string) (kind, id string) {
	kind, rest, _ := strings.Cut(timer, "/")
	return kind, rest[:max(0, strings.LastIndexByte(rest, '/'))]
}
