package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// DecideSubtask takes what a person decides about a subtask that waits.
func (s *server) DecideSubtask(ctx context.Context, request DecideSubtaskRequestObject) (DecideSubtaskResponseObject, error) {
	h, err := s.undecided(ctx, request.Id)
	if err != nil {
		return nil, err
	}
	if h.run.Subtask(request.Sid) == nil {
		return nil, problem(codeNotFound, "The run has no subtask of that id.")
	}
	said := orchestration.DecideSubtask{Subtask: request.Sid, Action: request.Body.Action, Comment: request.Body.Comment}
	switch {
	case said.Action != orchestration.ActionEdit && len(request.Body.Output) > 0:
		return nil, notTaken("/output")
	case said.Action == orchestration.ActionEdit:
		output := orchestration.TextOf(string(request.Body.Output))
		if most := h.run.Spec.Limits.MaxOutputBytes; len(output) > most {
			return nil, undecidable("/output", "too_large", fmt.Sprintf("must have at most limits.max_output_bytes, %d", most))
		}
		said.Output = &output
	}
	return s.decide(ctx, h, said)
}

// DecidePlan takes what a person decides about a plan that waits.
func (s *server) DecidePlan(ctx context.Context, request DecidePlanRequestObject) (DecidePlanResponseObject, error) {
	h, err := s.undecided(ctx, request.Id)
	if err != nil {
		return nil, err
	}
	if h.run.Planning.Version != request.Body.Version {
		return nil, problem(codeConflict, fmt.Sprintf("The plan is at version %d.", h.run.Planning.Version))
	}
	said := orchestration.DecidePlan{Version: request.Body.Version, Action: request.Body.Action, Comment: request.Body.Comment}
	switch {
	case said.Action != orchestration.ActionEdit && request.Body.Plan != nil:
		return nil, notTaken("/plan")
	case said.Action == orchestration.ActionEdit:
		plan := *request.Body.Plan
		own := len(plan.Subtasks)
		named(plan.Subtasks)
		plan, _, problems := wholePlan(h.run.WithEnded(plan), s.Workflows, s.Defaults.rulesOf(h.run.Spec))
		if len(problems) > 0 {
			a := acceptance{}
			a.addAll(orchestration.CodePlanInvalid, "/plan", problems)
			return nil, a.refusal()
		}
		plan.Subtasks = plan.Subtasks[:own]
		said.Plan = &plan
	}
	return s.decide(ctx, h, said)
}

// undecided reads a run that has not ended.
func (s *server) undecided(ctx context.Context, id string) (*history, error) {
	h, err := s.history(ctx, exchangeOf(ctx).tenant, id)
	if err == nil && h.run.Done() {
		err = ended(h.run.Status)
	}
	return h, err
}

// decide carries a decision to the run, and shows the run as it is after it.
func (s *server) decide(ctx context.Context, h *history, said orchestration.Said) (reply, error) {
	err := s.Driver.Decide(ctx, h.run.ID, said)
	var refused *orchestration.DecisionError
	switch {
	case errors.Is(err, orchestration.ErrNotFound): // it has ended in the meantime
		return reply{}, orchestration.ErrNotWaiting
	case errors.As(err, &refused):
		return reply{}, undecidable(refused.Pointer, "invalid_decision", refused.Detail)
	case err != nil:
		return reply{}, err
	}
	if h, err = s.history(ctx, h.run.Spec.Tenant, h.run.ID); err != nil {
		return reply{}, err
	}
	return ok(s.shown(ctx, h)), nil
}

// notTaken refuses what only an edit takes, rather than drop it.
func notTaken(pointer string) *Problem {
	return invalid([]Fault{{Pointer: pointer, Code: "not_allowed", Detail: "must be given with the action edit alone"}})
}

func undecidable(pointer, code, detail string) *Problem {
	return invalid([]Fault{{Pointer: pointer, Code: code, Detail: detail}}).with(422)
}
