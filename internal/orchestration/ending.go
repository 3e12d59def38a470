package orchestration

import "fmt"

// conclude goes on when every subtask has ended: to the synthesis, or to the end.
func (d *decision) conclude() {
	r := d.run
	lone := len(r.Subtasks) == 1 && len(r.Spec.Synthesizer.JSONSchema) == 0
	switch {
	case r.Progress.Succeeded == 0:
		d.emit(0, &RunFailed{Failure: r.firstFailure(), Reason: r.reasonOfPlan()})
	case r.Spec.Synthesizer.Mode == SynthesizeNone:
		d.succeed("")
	case lone:
		d.succeed(r.Subtasks[0].ID)
	case r.Synthesis.Status == "":
		d.startSynthesis()
	}
}

func (d *decision) startSynthesis() {
	r := d.run
	d.emit(r.Synthesis.Attempt+1, &SynthesisStarted{Model: r.Spec.Synthesizer.Model})
	d.do(r.synthesize())
}

// synthesized hears how an attempt at the synthesis ended.
func (d *decision) synthesized(o Synthesized) {
	r := d.run
	if r.Synthesis.Status != StatusRunning || o.Attempt != r.Synthesis.Attempt {
		return
	}
	if o.Failure == nil {
		d.emit(o.Attempt, &SynthesisSucceeded{Output: o.Output, Shortened: o.Shortened, Calls: o.Calls})
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
	if o.Failure.Retryable && o.Attempt < r.Spec.Limits.MaxAttempts {
		at := d.now.Add(retryDelay(o.Attempt, o.Failure.RetryAfter, d.random))
		fact.RetryAt = &at
	}
	d.emit(o.Attempt, fact)
	if fact.RetryAt != nil {
		d.do(r.synthesisTimer())
		return true
	}
	d.emit(0, &RunFailed{
		Failure: Failure{Code: CodeSynthesisFailed, Detail: "The synthesis failed: " + o.Failure.Detail},
		Reason:  r.reasonOfPlan(),
	})
	return true
}

// succeed ends the run with what it has.
func (d *decision) succeed(answer string) {
	r := d.run
	d.emit(0, &RunSucceeded{
		Partial: r.Progress.Succeeded < r.Progress.Total,
		Answer:  answer,
		Reason:  r.reasonOfPlan(),
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
		if s.Status == StatusPending {
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
	if r.Planning.Status == StatusRunning || r.Progress.Running > 0 || r.Synthesis.Status == StatusRunning {
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

// firstFailure returns the failure of the first subtask that failed.
func (r *Run) firstFailure() Failure {
	for _, s := range r.Subtasks {
		if s.Status == StatusFailed {
			f := *s.Failure
			f.Detail = fmt.Sprintf("No subtask succeeded; %s failed: %s", s.ID, f.Detail)
			return f
		}
	}
	return Failure{Code: CodeInternal, Detail: "No subtask succeeded."}
}
