package orchestration

import (
	"cmp"
	"fmt"
	"strings"
)

// begin begins a subtask whose turn has come, or skips it as its condition says or
// as it depends on what had failed before it was added.
func (d *decision) begin(s *SubtaskState) {
	if s.Attempts == 0 && s.After == AfterSucceeded {
		for _, on := range d.run.node(s).needs {
			if on.missing() {
				d.skipDependant(s, on.SubtaskState)
				return
			}
		}
	}
	if s.Attempts == 0 && s.When != "" {
		holds, failure := d.run.holds("when", s.When, d.run.variables(s))
		switch {
		case failure != nil:
			d.subtaskFailed(s, *failure, "", nil)
			return
		case !holds:
			d.emitFor(s.ID, s.Attempts, skippedBecause(BecauseCondition, "Its condition is false."))
			return
		}
	}
	switch {
	case s.calls():
		d.work(s, s.Lost)
	case s.Kind.Composite():
		d.compose(s)
	case s.Kind == KindApproval:
		d.askApproval(s)
	default:
		d.perform(s)
	}
}

// calls reports whether an attempt at a subtask is a call, of a model or a tool.
func (s *Subtask) calls() bool {
	switch s.Kind {
	case KindMerge, KindApproval, KindForEach, KindLoop, KindWorkflow:
		return false
	case KindDecide:
		return s.Decide.By == DecideByModel
	}
	return true
}

// work begins an attempt at a subtask. A call that was lost is repeated under
// the key of that attempt.
func (d *decision) work(s *SubtaskState, repeats int) {
	r := d.run
	given, failure := r.given(s)
	if failure != nil {
		d.subtaskFailed(s, *failure, "", nil)
		return
	}
	by, _, model := r.whom(s)
	d.emitFor(s.ID, s.Attempts+1, &SubtaskStarted{
		Worker: by.Name, Model: model, Repeats: repeats, Fallback: s.FellBack,
		CacheKey: r.subtaskKey(s), Reserved: r.reserve(s),
	})
	d.do(r.workWith(s, given))
}

// whom returns whom a subtask's next attempt asks: of a worker's own, the worker; the
// role with what its prompts say, and the model, "" where a tool is called.
func (r *Run) whom(s *SubtaskState) (by Worker, role *Role, model string) {
	switch s.Kind {
	case KindTool:
		return by, &r.Spec.Worker.Role, ""
	case KindPlan:
		role, model = &r.Spec.Planner.Role, r.Spec.Planner.Model
	case KindDecide:
		role, model = &r.Spec.Evaluator, r.evaluatorModel()
	default:
		by, model = r.performer(s)
		return by, &r.Spec.Worker.Role, model
	}
	return by, role, r.modelOf(model, r.fallbackOf(model), &s.Tries)
}

// performer returns the worker that performs a subtask, the configured one that
// it names, or that its type names, otherwise the default one; and the model that
// its next attempt asks.
func (r *Run) performer(s *SubtaskState) (by Worker, model string) {
	by, ok := r.Spec.WorkerNamed(cmp.Or(s.Worker, s.Type))
	if !ok {
		by = r.Spec.Worker
	}
	return by, r.modelOf(by.Model, r.workerFallback(s, by), &s.Tries)
}

func (r *Run) workerFallback(s *SubtaskState, by Worker) string {
	own := ""
	if s.OnFailure.Fallback != nil {
		own = s.OnFailure.Fallback.Model
	}
	return cmp.Or(own, by.Fallback, r.fallbackOf(by.Model))
}

func (r *Run) evaluatorModel() string { return cmp.Or(r.Spec.Evaluator.Model, r.Spec.Worker.Model) }

// worked hears how an attempt at a subtask ended.
func (d *decision) worked(w Worked) {
	r := d.run
	s := r.Subtask(w.Subtask)
	if s == nil || !s.Calling || w.Attempt != s.Attempts {
		return
	}
	w.Shortened = w.Shortened || s.Judge != nil && s.Shortened // it is the output of that attempt
	failure := d.judge(w.Failure, w.Output, s.Kind)
	if w.Failure == nil && failure != nil {
		w.Output = "" // it is none, so that there is nothing to be judged
	}
	givenUp := r.Ending != nil || r.Stopped != ""
	switch {
	case s.Dropped > 0, givenUp && (failure != nil || s.Kind == KindPlan):
		d.emitFor(s.ID, w.Attempt, &SubtaskCanceled{Calls: w.Calls})
		d.giveUp()
	case failure != nil:
		d.attemptFailed(s, failure, w)
	case s.Kind == KindPlan:
		d.nested(s, w)
	case s.Kind == KindDecide:
		d.chosen(s, &SubtaskSucceeded{Output: w.Output, Shortened: w.Shortened, Cached: w.Cached, Calls: w.Calls})
	default:
		d.evaluate(s, w)
	}
	d.warn()
	d.advance()
}

// attemptFailed decides what follows a failed attempt. Where only the output
// could not be judged, the next one has only that to do.
func (d *decision) attemptFailed(s *SubtaskState, f *Failure, w Worked) {
	if next, follows := d.retry(&s.Tries, f, s.Retry, d.run.resortOf(s)); follows {
		d.emitFor(s.ID, s.Attempts, &SubtaskRetrying{
			Failure: *f, Output: w.Output, Shortened: w.Shortened && w.Output != "", RetryAt: next.at, Again: next.again, Fallback: next.fallback, Calls: w.Calls,
		})
		if next.at.After(d.now) {
			d.do(s.timer())
		}
		return
	}
	d.subtaskFailed(s, *f, w.Output, w.Calls)
}

// resortOf returns what there is to turn to where an attempt at a subtask fails.
func (r *Run) resortOf(s *SubtaskState) resort {
	own := s.OnFailure.Fallback
	return resort{fallback: r.mayFallBack(s), value: own != nil && own.Value != nil}
}

// mayFallBack reports whether there is another prompt or model to try.
func (r *Run) mayFallBack(s *SubtaskState) bool {
	switch s.Kind {
	case KindPlan:
		return r.fallbackOf(r.Spec.Planner.Model) != ""
	case KindDecide:
		return r.fallbackOf(r.evaluatorModel()) != ""
	case KindWorker:
		by, _ := r.performer(s)
		own := s.OnFailure.Fallback
		return s.OnFailure.Do == OnFailureFallback && (own == nil || own.Value == nil || own.Prompt != "") || r.workerFallback(s, by) != ""
	}
	return false
}

// judge returns what is wrong with an outcome: an answer without text, where one was
// asked for, or with too much of it, is no result. A plan is no output.
func (d *decision) judge(f *Failure, output string, kind Kind) *Failure {
	most := d.run.Spec.Limits.MaxOutputBytes
	switch {
	case f != nil:
		return f
	case strings.TrimSpace(output) == "" && kind != KindTool:
		return &Failure{Code: CodeOutputInvalid, Detail: "The model's answer was empty.", Retryable: true}
	case len(output) > most && kind != KindPlan:
		return &Failure{
			Code:   CodeOutputTooLarge,
			Detail: fmt.Sprintf("The model's answer has %d bytes; max_output_bytes is %d.", len(output), most),
		}
	}
	return nil
}

// succeeded ends a subtask with its output or, where its output expression says
// so, with what that makes of it.
func (d *decision) succeeded(s *SubtaskState, output string, f *SubtaskSucceeded) {
	f.Output = output
	if s.Gives != "" && !f.Cached {
		value, failure := d.run.eval("output", s.Gives, d.run.variables(s).withOutput(output))
		if failure != nil {
			if s.Kind == KindTool {
				failure.Code = CodeToolFailed // it was called, so there may be something to undo
			}
			d.subtaskFailed(s, *failure, output, f.Calls)
			return
		}
		f.Output = TextOf(value)
	}
	if most := d.run.Spec.Limits.MaxOutputBytes; len(f.Output) > most {
		d.subtaskFailed(s, Failure{
			Code: CodeOutputTooLarge, Detail: fmt.Sprintf("The output has %d bytes; max_output_bytes is %d.", len(f.Output), most),
		}, "", f.Calls)
		return
	}
	d.emitFor(s.ID, s.Attempts, f)
}
