package orchestration

import (
	"cmp"
	"fmt"
	"strings"
)

// work begins an attempt at a subtask. A call that was lost is repeated under
// the key of that attempt.
func (d *decision) work(s *SubtaskState, repeats int) {
	by, model := d.run.performer(s)
	d.emitFor(s.ID, s.Attempts+1, &SubtaskStarted{
		Worker: by.Name, Model: model, Repeats: repeats, Fallback: s.FellBack, Reserved: d.run.reserve(s),
	})
	d.do(d.run.work(s))
}

// performer returns the worker that performs a subtask, the configured one that
// it names, or that its type names, otherwise the default one; and the model that
// its next attempt asks.
func (r *Run) performer(s *SubtaskState) (by Worker, model string) {
	by, ok := r.Spec.WorkerNamed(cmp.Or(s.Worker, s.Type))
	if !ok {
		by = r.Spec.Worker
	}
	return by, r.modelOf(by.Model, r.workerFallback(by), &s.Tries)
}

func (r *Run) workerFallback(by Worker) string { return cmp.Or(by.Fallback, r.fallbackOf(by.Model)) }

// worked hears how an attempt at a subtask ended.
func (d *decision) worked(w Worked) {
	s := d.run.Subtask(w.Subtask)
	if s == nil || s.Status != StatusRunning || w.Attempt != s.Attempts {
		return
	}
	failure := d.judge(w.Failure, w.Output)
	switch {
	case s.Dropped > 0, failure != nil && d.run.Ending != nil:
		d.emitFor(s.ID, w.Attempt, &SubtaskCanceled{Calls: w.Calls})
	case failure == nil:
		d.emitFor(s.ID, w.Attempt, &SubtaskSucceeded{Output: w.Output, Shortened: w.Shortened, Calls: w.Calls})
	default:
		if d.attemptFailed(s, failure, w.Calls) {
			return
		}
	}
	d.warn()
	d.advance()
}

// attemptFailed decides what follows a failed attempt. It reports whether that
// has ended the run, or is about to.
func (d *decision) attemptFailed(s *SubtaskState, f *Failure, calls []Call) (ends bool) {
	r := d.run
	by, _ := r.performer(s)
	fallback := s.OnFailure.Do == OnFailureFallback || r.workerFallback(by) != ""
	if next, follows := d.retry(&s.Tries, f, fallback); follows {
		d.emitFor(s.ID, s.Attempts, &SubtaskRetrying{
			Failure: *f, RetryAt: next.at, Again: next.again, Fallback: next.fallback, Calls: calls,
		})
		if next.at.After(d.now) {
			d.do(s.timer())
		}
		return false
	}
	return d.subtaskFailed(s, *f, calls)
}

// judge returns what is wrong with an outcome: an answer without text, or with
// too much of it, is no result.
func (d *decision) judge(f *Failure, output string) *Failure {
	most := d.run.Spec.Limits.MaxOutputBytes
	switch {
	case f != nil:
		return f
	case strings.TrimSpace(output) == "":
		return &Failure{Code: CodeOutputInvalid, Detail: "The model's answer was empty.", Retryable: true}
	case len(output) > most:
		return &Failure{
			Code:   CodeOutputTooLarge,
			Detail: fmt.Sprintf("The model's answer has %d bytes; max_output_bytes is %d.", len(output), most),
		}
	}
	return nil
}

// subtaskFailed goes on without a subtask's output, as its on_failure says, or
// the run's. It reports whether that ends the run.
func (d *decision) subtaskFailed(s *SubtaskState, f Failure, calls []Call) (ends bool) {
	policy := s.OnFailure.Do
	if policy == "" || policy == OnFailureFallback {
		policy = d.run.Spec.OnFailure
	}
	if policy == OnFailureSkip {
		d.emitFor(s.ID, s.Attempts, &SubtaskSkipped{Failure: f, Calls: calls})
		return false
	}
	replan := policy == OnFailureReplan && d.run.mayReplan(&f)
	d.emitFor(s.ID, s.Attempts, &SubtaskFailed{Failure: f, Replan: replan, Calls: calls})
	switch {
	case f.Code == CodeBudgetExceeded:
		d.exhaust(tenantBudget)
	case replan:
		d.replan()
		return false
	}
	d.skipDependants(s)
	if policy == OnFailureFail {
		d.stop(StatusFailed, Reason{Code: f.Code, Detail: fmt.Sprintf("Subtask %s failed: %s", s.ID, f.Detail)})
		return true
	}
	return false
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
	switch s {
	case StatusSkipped:
		return "was skipped"
	case StatusCanceled:
		return "was canceled"
	}
	return "failed"
}
