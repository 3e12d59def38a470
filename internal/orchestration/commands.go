package orchestration

import (
	"fmt"
	"strings"
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
		return commands
	}
	commands = r.timers()
	for _, call := range r.inFlight() {
		if r.gaveUp(call) {
			call = Abort{Call: call}
		}
		commands = append(commands, call)
	}
	return commands
}

// gaveUp reports whether a later plan has left out what a call in flight is for.
func (r *Run) gaveUp(call Command) bool {
	w, ok := call.(Work)
	return ok && r.Subtask(w.Subtask.ID).Dropped > 0
}

// timers returns the timers that are awaited.
func (r *Run) timers() []Command {
	timers := []Command{r.timeoutTimer()}
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
	}
	if r.Synthesis.Status == StatusPending {
		timers = append(timers, r.synthesisTimer())
	}
	return timers
}

// inFlight returns the calls that are awaited.
func (r *Run) inFlight() []Command {
	var calls []Command
	if r.Planning.Status == StatusRunning {
		calls = append(calls, r.makePlan())
	}
	if r.Progress.Running > 0 {
		for _, s := range r.Subtasks {
			if s.Status == StatusRunning {
				calls = append(calls, r.work(s))
			}
		}
	}
	if r.Synthesis.Status == StatusRunning {
		calls = append(calls, r.synthesize())
	}
	return calls
}

func (r *Run) makePlan() MakePlan {
	p := &r.Planning
	c := MakePlan{Attempt: p.Attempt, Call: p.Call, Model: r.plannerModel(), Reserved: p.Reserved}
	if p.Repairing {
		c.Repair = &Repair{Answer: p.Answer, Problems: p.Problems}
	}
	if p.Version > 0 {
		c.Revision = r.revision()
	}
	return c
}

func (r *Run) work(s *SubtaskState) Work {
	c := Work{
		Subtask:  s.Subtask,
		Attempt:  s.Attempts,
		Call:     s.Call,
		Model:    s.Model,
		Fallback: s.FellBack,
		Reserved: s.Reserved,
		Worker:   s.Performer,
		Priority: r.node(s).path,
	}
	if len(s.DependsOn) > 0 {
		c.Dependencies = make([]Result, 0, len(s.DependsOn))
	}
	for _, on := range r.node(s).needs {
		c.Dependencies = append(c.Dependencies, on.result())
	}
	return c
}

func (r *Run) synthesize() Synthesize {
	c := Synthesize{
		Attempt:  r.Synthesis.Attempt,
		Call:     r.Synthesis.Call,
		Model:    r.synthesizerModel(),
		Reserved: r.Synthesis.Reserved,
		Analysis: r.Planning.Analysis,
		Results:  make([]Result, 0, len(r.Subtasks)),
	}
	for _, s := range r.Subtasks {
		if s.counts() {
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

// lost reports whether a subtask ended without success.
func (s *SubtaskState) lost() bool { return s.Status.Ended() && s.Status != StatusSucceeded }

// retrying reports whether a subtask waits for its next attempt.
func (s *SubtaskState) retrying() bool { return s.Status == StatusPending && s.Attempts > 0 }

// timeoutName names the timer of the run's own timeout.
const timeoutName = "timeout"

func (r *Run) timeoutTimer() SetTimer {
	return SetTimer{Timer: timeoutName, At: r.StartedAt.Add(r.Spec.Limits.Timeout)}
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

// subtaskOfTimer returns the id in a subtask's timer's name, "" in any other.
func subtaskOfTimer(timer string) string {
	id, found := strings.CutPrefix(timer, "subtask/")
	if !found {
		return ""
	}
	return id[:max(0, strings.LastIndexByte(id, '/'))]
}
