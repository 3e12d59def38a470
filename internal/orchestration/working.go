package orchestration

import (
	"fmt"
	"strings"
)

func (d *decision) startSubtask(s *SubtaskState) {
	by := d.run.performer(s.Subtask)
	d.emitFor(s.ID, s.Attempts+1, &SubtaskStarted{Worker: by.Name, Model: by.Model})
	d.do(d.run.work(s))
}

// performer returns the worker that performs a subtask: the configured one that
// it names, or that its type names, otherwise the default one.
func (r *Run) performer(s Subtask) Worker {
	if w, ok := r.Spec.WorkerNamed(orDefault(s.Worker, s.Type)); ok {
		return w
	}
	return r.Spec.Worker
}

// worked hears how an attempt at a subtask ended.
func (d *decision) worked(w Worked) {
	s := d.run.Subtask(w.Subtask)
	if s == nil || s.Status != StatusRunning || w.Attempt != s.Attempts {
		return
	}
	failure := d.failureOf(w)
	switch {
	case failure == nil:
		d.emitFor(s.ID, w.Attempt, &SubtaskSucceeded{Output: w.Output, Shortened: w.Shortened, Calls: w.Calls})
	case d.run.Ending != nil:
		d.emitFor(s.ID, w.Attempt, &SubtaskCanceled{Calls: w.Calls})
	case failure.Retryable && s.Attempts < d.run.Spec.Limits.MaxAttempts:
		at := d.now.Add(retryDelay(s.Attempts, failure.RetryAfter, d.random))
		d.emitFor(s.ID, w.Attempt, &SubtaskRetrying{Failure: *failure, RetryAt: at, Calls: w.Calls})
		d.do(s.timer())
	default:
		d.subtaskFailed(s, *failure, w.Calls)
		return
	}
	d.advance()
}

// failureOf judges an outcome: an answer without text, or with too much of it,
// is no result.
func (d *decision) failureOf(w Worked) *Failure {
	most := d.run.Spec.Limits.MaxOutputBytes
	switch {
	case w.Failure != nil:
		return w.Failure
	case strings.TrimSpace(w.Output) == "":
		return &Failure{Code: CodeOutputInvalid, Detail: "The worker's answer was empty.", Retryable: true}
	case len(w.Output) > most:
		return &Failure{
			Code:   CodeOutputTooLarge,
			Detail: fmt.Sprintf("The worker's answer has %d bytes; max_output_bytes is %d.", len(w.Output), most),
		}
	}
	return nil
}

func (d *decision) subtaskFailed(s *SubtaskState, f Failure, calls []Call) {
	d.emitFor(s.ID, s.Attempts, &SubtaskFailed{Failure: f, Calls: calls})
	d.skipDependants(s)
	if d.run.Spec.OnFailure == OnFailureFail {
		d.stop(StatusFailed, Reason{Code: f.Code, Detail: fmt.Sprintf("Subtask %s failed: %s", s.ID, f.Detail)})
		return
	}
	d.advance()
}

// skipDependants skips all that can no longer start because s did not succeed,
// however far down the plan.
func (d *decision) skipDependants(s *SubtaskState) {
	lost := []*SubtaskState{s}
	for len(lost) > 0 {
		s, lost = lost[0], lost[1:]
		for _, dependant := range d.run.node(s).awaited {
			if dependant.After != AfterSucceeded || dependant.Status != StatusPending {
				continue
			}
			d.emitFor(dependant.ID, 0, &SubtaskSkipped{Failure: Failure{
				Code:   CodeDependencyFailed,
				Detail: fmt.Sprintf("It depends on %s, which %s.", s.ID, verb(s.Status)),
			}})
			lost = append(lost, dependant.SubtaskState)
		}
	}
}

func verb(s Status) string {
	if s == StatusSkipped {
		return "was skipped"
	}
	return "failed"
}
