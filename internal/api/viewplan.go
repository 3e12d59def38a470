package api

import (
	"cmp"
	"fmt"

	"github.com/tutti-run/tutti/internal/orchestration"
)

func (h *history) plan() *Plan {
	p := h.run.Planning
	plan := &Plan{
		Version: p.Version, Source: cmp.Or(p.Source, orchestration.PlanOfPlanner), Analysis: p.Analysis, Subtasks: make([]Subtask, 0, len(h.run.Subtasks)),
		Versions: make([]PlanVersion, len(p.Versions)), Dropped: []Subtask{},
	}
	for i, v := range p.Versions {
		plan.Versions[i] = PlanVersion{
			Version: v.Version, Source: v.Source, Reason: v.Reason, Analysis: v.Analysis, Subtasks: list(v.Subtasks), CreatedAt: v.CreatedAt.UTC(),
		}
	}
	for _, s := range h.run.Subtasks {
		if s.Dropped > 0 {
			plan.Dropped = append(plan.Dropped, h.subtask(s))
		} else {
			plan.Subtasks = append(plan.Subtasks, h.subtask(s))
		}
	}
	return plan
}

func (h *history) subtask(s *orchestration.SubtaskState) Subtask {
	n := h.noteOf(s.ID)
	return Subtask{
		Id: s.ID, Kind: cmp.Or(s.Kind, orchestration.KindWorker), Type: s.Type, Worker: optional(s.Performer), Model: optional(s.Model),
		Parent: optional(s.Parent), Description: s.Description, DependsOn: list(s.DependsOn), After: cmp.Or(s.After, orchestration.AfterSucceeded),
		Status: s.Status, Attempts: s.Attempts, Cached: n.cached, Fallback: s.FellBack || n.fallback, Shortened: s.Shortened,
		StartedAt: moment(s.StartedAt), EndedAt: moment(s.EndedAt),
		Output: h.output(s), OutputBytes: s.Output.Bytes, Usage: s.Totals, Error: failureOf(s),
		Detail: optional(n.detail), Evaluation: n.evaluation, Waiting: n.waiting, Compensation: n.compensation,
	}
}

// output returns as much of a subtask's output as is shown, nil if it has none.
func (h *history) output(s *orchestration.SubtaskState) *string {
	if s.Status != orchestration.StatusSucceeded {
		return nil
	}
	if text, long := h.shown[s.ID]; long {
		return &text
	}
	return &s.Output.Whole
}

// result tells what exists, whatever the run's end.
func (h *history) result() *Result {
	r := h.run
	v := &Result{
		Analysis: r.Planning.Analysis, Partial: r.Partial, FinalOutput: h.finalOutput(),
		WorkerResults: make([]WorkerResult, 0, len(r.Subtasks)),
	}
	for _, s := range r.Subtasks {
		if s.Dropped > 0 || s.Parent != "" {
			continue
		}
		v.WorkerResults = append(v.WorkerResults, WorkerResult{
			Id: s.ID, Type: s.Type, Description: s.Description, Result: h.output(s), Error: failureOf(s),
		})
	}
	return v
}

// failureOf says why a subtask has no output, or none yet.
func failureOf(s *orchestration.SubtaskState) *Failure {
	switch {
	case s.Failure == nil && s.Dropped > 0:
		return &Failure{Code: orchestration.CodeCanceled, Detail: fmt.Sprintf("Left out by version %d of the plan.", s.Dropped)}
	case s.Failure == nil && s.Status == orchestration.StatusCanceled:
		return &Failure{Code: orchestration.CodeCanceled, Detail: "Given up with the run."}
	}
	return failure(s.Failure)
}
