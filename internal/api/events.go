package api

import (
	"slices"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A frame is an event as the API shows it.
type frame struct {
	Seq       int64     `json:"seq"`
	Type      string    `json:"type"`
	Time      time.Time `json:"time"`
	RunID     string    `json:"run_id"`
	SubtaskID string    `json:"subtask_id,omitempty"`
	Attempt   int       `json:"attempt,omitempty"`
	Progress  Progress  `json:"progress"`
	Data      any       `json:"data"`
}

// An eventPage is the JSON form of a run's events.
type eventPage struct {
	Data      []frame `json:"data"`
	NextAfter int64   `json:"next_after"`
}

func frameOf(e orchestration.Event) frame {
	return frame{
		Seq: e.Seq, Type: e.Type(), Time: e.Time.UTC(), RunID: e.Run, SubtaskID: e.Subtask, Attempt: e.Attempt,
		Progress: e.Progress, Data: dataOf(e.Fact),
	}
}

// dataOf returns what the API tells of a fact. The stored form holds the whole
// spec, answers that were no plans, and outputs of any length: those are not
// for everyone who watches a run.
func dataOf(fact orchestration.Fact) any {
	switch f := fact.(type) {
	case *orchestration.RunCreated:
		return runCreated(f.Spec)
	case *orchestration.RunResumed:
		return RunResumed{Starts: f.Starts}
	case *orchestration.RunCanceling:
		return RunCanceling{Status: f.Status, Reason: f.Reason}
	case *orchestration.RunSucceeded:
		return RunSucceeded{Partial: f.Partial, Answer: f.Answer, Reason: f.Reason}
	case *orchestration.RunFailed:
		return RunFailed{Error: *failure(&f.Failure), Reason: f.Reason}
	case *orchestration.RunCanceled:
		return RunCanceled{Reason: f.Reason}
	case *orchestration.PlanStarted:
		return PlanStarted{
			Model: f.Model, Repair: f.Repair, Reason: f.Reason, Repeats: f.Repeats, Fallback: f.Fallback, Reserved: f.Reserved,
		}
	case *orchestration.PlanSubtaskAdded:
		return PlanSubtaskAdded{Subtask: plannedSubtask(f.Subtask)}
	case *orchestration.PlanInvalid:
		return PlanInvalid{Error: *failure(&f.Failure), Problems: list(f.Problems), RetryAt: f.RetryAt, Fallback: f.Fallback, Calls: list(f.Calls)}
	case *orchestration.PlanCreated:
		return PlanCreated{Version: f.Version, Source: f.Source, Analysis: f.Analysis, Subtasks: list(f.Subtasks), Calls: list(f.Calls)}
	case *orchestration.PlanReplaced:
		return PlanReplaced{
			Version: f.Version, Reason: f.Reason, Analysis: f.Analysis, Subtasks: list(f.Subtasks),
			Kept: list(f.Kept), Added: list(f.Added), Dropped: list(f.Dropped), Calls: list(f.Calls),
		}
	case *orchestration.BudgetWarning:
		return BudgetWarning{Limit: f.Limit}
	case *orchestration.BudgetExceeded:
		return BudgetExceeded{Limit: f.Limit, Reason: f.Reason}
	}
	return dataOfAttempt(fact)
}

// dataOfAttempt goes on with what subtasks and the synthesis have alike.
func dataOfAttempt(fact orchestration.Fact) any {
	switch f := fact.(type) {
	case *orchestration.SubtaskStarted:
		return AttemptStarted{Worker: f.Worker, Model: f.Model, Repeats: f.Repeats, Fallback: f.Fallback, Reserved: f.Reserved}
	case *orchestration.SynthesisStarted:
		return AttemptStarted{Model: f.Model, Repeats: f.Repeats, Fallback: f.Fallback, Reserved: f.Reserved}
	case *orchestration.SubtaskSucceeded:
		return attemptSucceeded(f.Output, f.Shortened, f.Calls)
	case *orchestration.SynthesisSucceeded:
		return attemptSucceeded(f.Output, f.Shortened, f.Calls)
	case *orchestration.SubtaskRetrying:
		return AttemptFailed{Error: *failure(&f.Failure), RetryAt: &f.RetryAt, Fallback: f.Fallback, Calls: list(f.Calls)}
	case *orchestration.SubtaskFailed:
		return AttemptFailed{Error: *failure(&f.Failure), Replan: f.Replan, Calls: list(f.Calls)}
	case *orchestration.SynthesisFailed:
		return AttemptFailed{Error: *failure(&f.Failure), RetryAt: f.RetryAt, Fallback: f.Fallback, Calls: list(f.Calls)}
	case *orchestration.SubtaskSkipped:
		return SubtaskSkipped{Error: *failure(&f.Failure), Calls: list(f.Calls)}
	case *orchestration.SubtaskCanceled:
		return SubtaskCanceled{Calls: list(f.Calls)}
	}
	return struct{}{} // run.started, plan.repaired: their type says it all
}

func runCreated(spec *orchestration.Spec) RunCreated {
	l := spec.Limits
	return RunCreated{
		Task: spec.Task, Context: object(spec.Context), Labels: labels(spec.Labels), Simulated: spec.Simulated,
		Attachments: list(spec.Attachments),
		Limits: Limits{
			MaxConcurrency: l.MaxConcurrency, Timeout: l.Timeout.String(), SubtaskTimeout: l.SubtaskTimeout.String(),
			MaxAttempts: l.MaxAttempts, MaxSubtasks: l.MaxSubtasks, MaxOutputBytes: l.MaxOutputBytes,
			MaxReplans: l.MaxReplans, ReplanCooldown: l.ReplanCooldown.String(),
			MaxLlmCalls: l.MaxLLMCalls, MaxTokens: l.MaxTokens, MaxCostUsd: l.MaxCostUSD,
		},
	}
}

func attemptSucceeded(output string, shortened bool, calls []orchestration.Call) AttemptSucceeded {
	return AttemptSucceeded{Output: cut(output), OutputBytes: len(output), Shortened: shortened, Calls: list(calls)}
}

// plannedSubtask spells out what the core leaves empty for its default.
func plannedSubtask(s orchestration.Subtask) PlannedSubtask {
	p := PlannedSubtask{
		Id: s.ID, Kind: s.Kind, Type: s.Type, Worker: s.Worker, Description: s.Description,
		DependsOn: list(s.DependsOn), After: s.After, OnFailure: s.OnFailure.Do,
	}
	if p.Kind == "" {
		p.Kind = orchestration.KindWorker
	}
	if p.After == "" {
		p.After = orchestration.AfterSucceeded
	}
	return p
}

// list returns l, as JSON's [] where there is nothing in it.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return slices.Clip(l)
}
