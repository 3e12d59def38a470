package orchestration

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Type returns the event type "run.created".
func (*RunCreated) Type() string { return "run.created" }

// Type returns the event type "run.started".
func (*RunStarted) Type() string { return "run.started" }

// Type returns the event type "run.resumed".
func (*RunResumed) Type() string { return "run.resumed" }

// Type returns the event type "run.canceling".
func (*RunCanceling) Type() string { return "run.canceling" }

// Type returns the event type "run.succeeded".
func (*RunSucceeded) Type() string { return "run.succeeded" }

// Type returns the event type "run.failed".
func (*RunFailed) Type() string { return "run.failed" }

// Type returns the event type "run.canceled".
func (*RunCanceled) Type() string { return "run.canceled" }

// Type returns the event type "plan.started".
func (*PlanStarted) Type() string { return "plan.started" }

// Type returns the event type "plan.subtask_added".
func (*PlanSubtaskAdded) Type() string { return "plan.subtask_added" }

// Type returns the event type "plan.invalid".
func (*PlanInvalid) Type() string { return "plan.invalid" }

// Type returns the event type "plan.repaired".
func (*PlanRepaired) Type() string { return "plan.repaired" }

// Type returns the event type "plan.created".
func (*PlanCreated) Type() string { return "plan.created" }

// Type returns the event type "plan.replaced".
func (*PlanReplaced) Type() string { return "plan.replaced" }

// Type returns the event type "subtask.started".
func (*SubtaskStarted) Type() string { return "subtask.started" }

// Type returns the event type "subtask.retrying".
func (*SubtaskRetrying) Type() string { return "subtask.retrying" }

// Type returns the event type "subtask.succeeded".
func (*SubtaskSucceeded) Type() string { return "subtask.succeeded" }

// Type returns the event type "subtask.failed".
func (*SubtaskFailed) Type() string { return "subtask.failed" }

// Type returns the event type "subtask.skipped".
func (*SubtaskSkipped) Type() string { return "subtask.skipped" }

// Type returns the event type "subtask.canceled".
func (*SubtaskCanceled) Type() string { return "subtask.canceled" }

// Type returns the event type "synthesis.started".
func (*SynthesisStarted) Type() string { return "synthesis.started" }

// Type returns the event type "synthesis.succeeded".
func (*SynthesisSucceeded) Type() string { return "synthesis.succeeded" }

// Type returns the event type "synthesis.failed".
func (*SynthesisFailed) Type() string { return "synthesis.failed" }

// Type returns the event type "budget.warning".
func (*BudgetWarning) Type() string { return "budget.warning" }

// Type returns the event type "budget.exceeded".
func (*BudgetExceeded) Type() string { return "budget.exceeded" }

// Type returns the event type "run.waiting".
func (*RunWaiting) Type() string { return "run.waiting" }

// Type returns the event type "plan.waiting".
func (*PlanWaiting) Type() string { return "plan.waiting" }

// Type returns the event type "plan.decided".
func (*PlanDecided) Type() string { return "plan.decided" }

// Type returns the event type "subtask.waiting".
func (*SubtaskWaiting) Type() string { return "subtask.waiting" }

// Type returns the event type "subtask.decided".
func (*SubtaskDecided) Type() string { return "subtask.decided" }

// Type returns the event type "subtask.compensated".
func (*SubtaskCompensated) Type() string { return "subtask.compensated" }

// Type returns the event type "evaluation.completed".
func (*EvaluationCompleted) Type() string { return "evaluation.completed" }

// facts makes an empty fact of each type, to read a stored one into.
var facts = map[string]func() Fact{
	"run.created":          func() Fact { return new(RunCreated) },
	"run.started":          func() Fact { return new(RunStarted) },
	"run.resumed":          func() Fact { return new(RunResumed) },
	"run.canceling":        func() Fact { return new(RunCanceling) },
	"run.succeeded":        func() Fact { return new(RunSucceeded) },
	"run.failed":           func() Fact { return new(RunFailed) },
	"run.canceled":         func() Fact { return new(RunCanceled) },
	"plan.started":         func() Fact { return new(PlanStarted) },
	"plan.subtask_added":   func() Fact { return new(PlanSubtaskAdded) },
	"plan.invalid":         func() Fact { return new(PlanInvalid) },
	"plan.repaired":        func() Fact { return new(PlanRepaired) },
	"plan.created":         func() Fact { return new(PlanCreated) },
	"plan.replaced":        func() Fact { return new(PlanReplaced) },
	"subtask.started":      func() Fact { return new(SubtaskStarted) },
	"subtask.retrying":     func() Fact { return new(SubtaskRetrying) },
	"subtask.succeeded":    func() Fact { return new(SubtaskSucceeded) },
	"subtask.failed":       func() Fact { return new(SubtaskFailed) },
	"subtask.skipped":      func() Fact { return new(SubtaskSkipped) },
	"subtask.canceled":     func() Fact { return new(SubtaskCanceled) },
	"synthesis.started":    func() Fact { return new(SynthesisStarted) },
	"synthesis.succeeded":  func() Fact { return new(SynthesisSucceeded) },
	"synthesis.failed":     func() Fact { return new(SynthesisFailed) },
	"budget.warning":       func() Fact { return new(BudgetWarning) },
	"run.waiting":          func() Fact { return new(RunWaiting) },
	"plan.waiting":         func() Fact { return new(PlanWaiting) },
	"plan.decided":         func() Fact { return new(PlanDecided) },
	"subtask.waiting":      func() Fact { return new(SubtaskWaiting) },
	"subtask.decided":      func() Fact { return new(SubtaskDecided) },
	"subtask.compensated":  func() Fact { return new(SubtaskCompensated) },
	"evaluation.completed": func() Fact { return new(EvaluationCompleted) },
	"budget.exceeded":      func() Fact { return new(BudgetExceeded) },
}

// EventTypes lists every event type, for contracts and documents.
func EventTypes() []string { return slices.Sorted(maps.Keys(facts)) }

// DecodeFact reads the fact of an event of that type, as [json.Marshal] wrote it.
func DecodeFact(eventType string, data []byte) (Fact, error) {
	make, ok := facts[eventType]
	if !ok {
		return nil, fmt.Errorf("unknown event type %q", eventType)
	}
	fact := make()
	if err := json.Unmarshal(data, fact); err != nil {
		return nil, fmt.Errorf("event of type %s: %w", eventType, err)
	}
	return fact, nil
}
