package orchestration

import (
	"fmt"
	"strings"
)

// Outstanding returns the commands that were issued and are not yet answered,
// as they follow from the state: what a driver must start after a replay. A
// timer is outstanding until what it was set for has started. Of a run that is
// ending early they are the aborts.
func (r *Run) Outstanding() []Command {
	var commands []Command
	switch {
	case r.Spec == nil || r.Done():
		return nil
	case r.Ending != nil:
		for _, call := range r.inFlight() {
			commands = append(commands, Abort{Call: call})
		}
		return commands
	}
	commands = append(commands, r.timeoutTimer())
	commands = append(commands, r.inFlight()...)
	if r.Planning.Status == StatusPending {
		commands = append(commands, r.planTimer())
	}
	for _, s := range r.Subtasks {
		if s.retrying() {
			commands = append(commands, s.timer())
		}
	}
	if r.Synthesis.Status == StatusPending {
		commands = append(commands, r.synthesisTimer())
	}
	return commands
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
	p := r.Planning
	c := MakePlan{Attempt: p.Attempt}
	if p.Repairing {
		c.Repair = &Repair{Answer: p.Answer, Problems: p.Problems}
	}
	return c
}

func (r *Run) work(s *SubtaskState) Work {
	c := Work{
		Subtask:  s.Subtask,
		Attempt:  s.Attempts,
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
		Analysis: r.Planning.Analysis,
		Results:  make([]Result, 0, len(r.Subtasks)),
	}
	for _, s := range r.Subtasks {
		c.Results = append(c.Results, s.result())
	}
	return c
}

func (s *SubtaskState) result() Result {
	return Result{ID: s.ID, Type: s.Type, Description: s.Description, Status: s.Status, Output: s.Output}
}

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
