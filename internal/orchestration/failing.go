package orchestration

import (
	"cmp"
	"fmt"
)

// subtaskFailed goes on without a subtask's output, as its on_failure says, or
// the run's. The output is one that was refused, if there is one.
func (d *decision) subtaskFailed(s *SubtaskState, f Failure, output string, calls []Call) {
	r := d.run
	do := r.onFailure(s)
	switch {
	case r.over() || f.Code == CodeBudgetExceeded:
	case s.OnFailure.Fallback != nil && s.OnFailure.Fallback.Value != nil:
		d.fallBack(s, calls)
		return
	case do == OnFailureEscalate && f.Code != CodeRejected:
		d.escalate(s, f, output, calls)
		return
	}
	if do == OnFailureSkip && f.Code != CodeBudgetExceeded {
		d.emitFor(s.ID, s.Attempts, &SubtaskSkipped{Failure: f, Calls: calls})
		return
	}
	replan := do == OnFailureReplan && s.Parent == "" && r.mayReplan(&f)
	d.emitFor(s.ID, s.Attempts, &SubtaskFailed{Failure: f, Output: output, Replan: replan, Calls: calls})
	switch {
	case f.Code == CodeBudgetExceeded:
		d.exhaust(tenantBudget)
	case replan:
		d.replan()
		return
	}
	d.skipDependants(s)
	if do == OnFailureFail && r.Stopped == "" {
		d.stop(StatusFailed, Reason{Code: f.Code, Detail: fmt.Sprintf("Subtask %s failed: %s", s.ID, f.Detail)})
	}
}

// onFailure returns what becomes of the run when a subtask has failed. What is
// part of a body has no say over the run unless it says so itself; a replan is
// asked for by the subtask of the plan that it is a part of.
func (r *Run) onFailure(s *SubtaskState) OnFailure {
	do := s.OnFailure.Do
	if do == OnFailureFallback {
		do = ""
	}
	if do == "" && s.Kind.Composite() && r.wantsReplan(s) {
		return OnFailureReplan
	}
	if s.Parent != "" {
		return cmp.Or(do, OnFailurePartial)
	}
	return cmp.Or(do, r.Spec.OnFailure)
}

// wantsReplan reports whether something of a body failed that asks for a replan.
func (r *Run) wantsReplan(s *SubtaskState) bool {
	for child := range r.node(s).children() {
		if child.Status == StatusFailed && r.onFailure(child.SubtaskState) == OnFailureReplan {
			return true
		}
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
			d.skipDependant(dependant.SubtaskState, s)
			lost = append(lost, dependant.SubtaskState)
		}
	}
}

func (d *decision) skipDependant(s, on *SubtaskState) {
	d.emitFor(s.ID, 0, &SubtaskSkipped{Failure: Failure{
		Code:   CodeDependencyFailed,
		Detail: fmt.Sprintf("It depends on %s, which %s.", on.ID, verb(on.Status)),
	}})
}

// skippedBecause tells of a subtask that is left out and not missed.
func skippedBecause(because Because, detail string) *SubtaskSkipped {
	return &SubtaskSkipped{Because: because, Failure: Failure{Detail: detail}}
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

// fallBack ends a subtask that failed with its fallback value, of a decision one of
// its options.
func (d *decision) fallBack(s *SubtaskState, calls []Call) {
	f := &SubtaskSucceeded{Output: TextOf(string(s.OnFailure.Fallback.Value)), Fallback: true, Calls: calls}
	if s.Kind == KindDecide {
		d.decided(s, f)
		return
	}
	d.emitFor(s.ID, s.Attempts, f)
}
