package orchestration

import (
	"fmt"
	"slices"
)

// conclude goes on when every subtask has ended: to the synthesis, or to the end.
func (d *decision) conclude() {
	r := d.run
	switch {
	case r.failed():
		d.fail(r.firstFailure(), r.reasonFor())
	case r.Spec.Synthesizer.Mode == SynthesizeNone:
		d.succeed(r.last())
	case r.lone() != nil && len(r.Spec.Synthesizer.JSONSchema) == 0:
		d.succeed(r.lone().ID)
	case r.nothing():
		d.succeed("")
	case r.Synthesis.Status == "" && !d.stopping:
		d.startSynthesis()
	}
}

// failed reports whether nothing of the plan succeeded, and something is missed. Parts
// of what failed are no success.
func (r *Run) failed() bool {
	return r.missed() && !slices.ContainsFunc(r.Subtasks, func(s *SubtaskState) bool {
		return s.Parent == "" && s.Dropped == 0 && s.Status == StatusSucceeded
	})
}

// missed reports whether a subtask ended without success that should not have.
func (r *Run) missed() bool {
	return slices.ContainsFunc(r.Subtasks, func(s *SubtaskState) bool { return s.counts() && s.lost() })
}

// nothing reports whether there is nothing to make an answer of.
func (r *Run) nothing() bool {
	return !slices.ContainsFunc(r.Subtasks, (*SubtaskState).answers)
}

// lone returns the one subtask that the answer is made of, nil when there are
// others.
func (r *Run) lone() (lone *SubtaskState) {
	for _, s := range r.Subtasks {
		switch {
		case !s.answers():
		case lone != nil:
			return nil
		default:
			lone = s
		}
	}
	if lone != nil && lone.Status != StatusSucceeded {
		return nil
	}
	return lone
}

// last returns the one subtask of a caller's plan that the others lead to, "" when
// there are several or it did not succeed: what it gives is the final output where
// no model makes one. The shape of a planner's plan is nothing to rely on.
func (r *Run) last() string {
	var last *SubtaskState
	if r.Spec.Plan == nil {
		return ""
	}
	for _, s := range r.Subtasks {
		if !s.answers() || slices.ContainsFunc(r.node(s).awaited, func(n *node) bool { return n.answers() }) {
			continue
		}
		if last != nil {
			return ""
		}
		last = s
	}
	if last == nil || last.Status != StatusSucceeded || r.Progress.Total == 1 {
		return ""
	}
	return last.ID
}

func (d *decision) startSynthesis() { d.askSynthesizer(d.run.Synthesis.Lost) }

// askSynthesizer has the synthesizer asked with what is left of the budget. Where
// that is nothing, the run ends with what it has.
func (d *decision) askSynthesizer(repeats int) {
	r := d.run
	reserved, limit := r.synthesisReserve()
	if limit != "" {
		if r.Exhausted == nil {
			d.emit(0, &BudgetExceeded{Limit: limit, Reason: r.exhaustedBy(limit)})
		}
		d.succeed("")
		return
	}
	d.emit(r.Synthesis.Attempt+1, &SynthesisStarted{
		Model: r.synthesizerModel(), Repeats: repeats, Fallback: r.Synthesis.FellBack, Reserved: reserved,
		CacheKey: r.synthesisKey(),
	})
	d.do(r.synthesize())
}

func (r *Run) synthesizerModel() string {
	model := r.Spec.Synthesizer.Model
	return r.modelOf(model, r.fallbackOf(model), &r.Synthesis.Tries)
}

// synthesized hears how an attempt at the synthesis ended.
func (d *decision) synthesized(o Synthesized) {
	r := d.run
	if r.Synthesis.Status != StatusRunning || o.Attempt != r.Synthesis.Attempt {
		return
	}
	if o.Failure = d.judge(o.Failure, o.Output); o.Failure == nil {
		d.emit(o.Attempt, &SynthesisSucceeded{Output: o.Output, Shortened: o.Shortened, Cached: o.Cached, Calls: o.Calls})
	} else if d.synthesisFailed(o) {
		return
	}
	if r.Ending != nil {
		d.end()
		return
	}
	d.succeed("")
}

// synthesisFailed reports whether there is nothing more to decide.
func (d *decision) synthesisFailed(o Synthesized) bool {
	r := d.run
	fact := &SynthesisFailed{Failure: *o.Failure, Calls: o.Calls}
	if r.Ending != nil {
		fact.Failure = canceledWith(r.Ending)
		d.emit(o.Attempt, fact)
		return false
	}
	next, follows := d.retry(&r.Synthesis.Tries, o.Failure, nil, r.fallbackOf(r.Spec.Synthesizer.Model) != "")
	if follows {
		fact.RetryAt, fact.Again, fact.Fallback = &next.at, next.again, next.fallback
	}
	d.emit(o.Attempt, fact)
	switch {
	case follows && next.at.After(d.now):
		d.do(r.synthesisTimer())
	case follows && !d.stopping:
		d.startSynthesis()
	case follows:
	case o.Failure.Code == CodeBudgetExceeded:
		d.exhaust(tenantBudget)
		d.succeed("")
	default:
		d.fail(Failure{Code: CodeSynthesisFailed, Detail: "The synthesis failed: " + o.Failure.Detail}, r.reasonFor())
	}
	return true
}

// succeed ends the run with what it has.
func (d *decision) succeed(answer string) {
	r := d.run
	partial := r.Exhausted != nil
	for _, s := range r.Subtasks {
		partial = partial || s.counts() && s.lost()
	}
	d.emit(0, &RunSucceeded{
		Partial: partial,
		Answer:  answer,
		Reason:  r.reasonFor(),
	})
}

// stop ends the run early: nothing new starts, and what runs is aborted first.
func (d *decision) stop(status Status, reason Reason) {
	r := d.run
	if r.Ending != nil {
		return
	}
	ending := &RunCanceling{Status: status, Reason: reason}
	d.emit(0, ending)
	for _, s := range r.Subtasks {
		if !s.Status.Ended() && !s.Calling {
			d.emitFor(s.ID, s.Attempts, &SubtaskCanceled{})
		}
	}
	for _, call := range r.inFlight() {
		d.do(Abort{Call: call})
	}
	d.end()
}

// end ends a run that is ending early, once nothing of it runs any more.
func (d *decision) end() {
	r := d.run
	if r.Done() || r.busy() || d.compensate() {
		return
	}
	if r.Ending.Status == StatusCanceled {
		d.emit(0, &RunCanceled{Reason: r.Ending.Reason})
		return
	}
	reason := r.Ending.Reason
	d.emit(0, &RunFailed{Failure: Failure{Code: reason.Code, Detail: reason.Detail}, Reason: &reason})
}

func canceledWith(ending *RunCanceling) Failure {
	return Failure{Code: CodeCanceled, Detail: fmt.Sprintf("Given up with the run (%s).", ending.Reason.Code)}
}

// firstFailure returns the failure of the first subtask that failed, or else of
// the first that was skipped for another reason than a dependency.
func (r *Run) firstFailure() Failure {
	for _, status := range []Status{StatusFailed, StatusSkipped} {
		for _, s := range r.Subtasks {
			if s.Status == status && s.Failure.Code != CodeDependencyFailed {
				f := *s.Failure
				f.Detail = fmt.Sprintf("No subtask succeeded; %s %s: %s", s.ID, verb(status), f.Detail)
				return f
			}
		}
	}
	return Failure{Code: CodeInternal, Detail: "No subtask succeeded."}
}
