package api

import (
	"encoding/json"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// dataOfAttempt goes on with what subtasks and the synthesis have alike.
func dataOfAttempt(fact orchestration.Fact) any {
	switch f := fact.(type) {
	case *orchestration.SubtaskStarted:
		return AttemptStarted{
			Worker: f.Worker, Model: f.Model, Repeats: f.Repeats, Fallback: f.Fallback, Reserved: f.Reserved,
			Items: items(f.Items), CacheKey: f.CacheKey,
		}
	case *orchestration.SynthesisStarted:
		return AttemptStarted{Model: f.Model, Repeats: f.Repeats, Fallback: f.Fallback, Reserved: f.Reserved}
	case *orchestration.SubtaskSucceeded:
		v := attemptSucceeded(f.Output, f.Shortened, f.Calls)
		v.Cached, v.Fallback = f.Cached, f.Fallback
		return v
	case *orchestration.SynthesisSucceeded:
		return attemptSucceeded(f.Output, f.Shortened, f.Calls)
	case *orchestration.SubtaskRetrying:
		return AttemptFailed{Error: *failure(&f.Failure), Feedback: f.Feedback, RetryAt: &f.RetryAt, Fallback: f.Fallback, Calls: list(f.Calls)}
	case *orchestration.SubtaskFailed:
		return AttemptFailed{Error: *failure(&f.Failure), Replan: f.Replan, Calls: list(f.Calls)}
	case *orchestration.SynthesisFailed:
		return AttemptFailed{Error: *failure(&f.Failure), RetryAt: f.RetryAt, Fallback: f.Fallback, Calls: list(f.Calls)}
	case *orchestration.SubtaskSkipped:
		return subtaskSkipped(f)
	case *orchestration.SubtaskCanceled:
		return SubtaskCanceled{Calls: list(f.Calls)}
	}
	return dataOfDecision(fact)
}

// dataOfDecision goes on with what people and checks decide of a subtask, and
// what is undone.
func dataOfDecision(fact orchestration.Fact) any {
	switch f := fact.(type) {
	case *orchestration.SubtaskWaiting:
		v := SubtaskWaiting{Waiting: waitingFor(f.Waiting), Error: failure(f.Failure), Calls: list(f.Calls)}
		if f.Output != "" {
			v.Output = optional(cut(f.Output))
		}
		return v
	case *orchestration.SubtaskDecided:
		v := SubtaskDecided{Action: f.Action, Comment: f.Comment, Expired: f.Expired}
		if f.Output != nil {
			output := cut(*f.Output)
			v.Output = &output
		}
		return v
	case *orchestration.SubtaskCompensated:
		return SubtaskCompensated{Error: failure(f.Failure), RetryAt: f.RetryAt}
	case *orchestration.EvaluationCompleted:
		return evaluation(f)
	}
	return struct{}{} // run.started, plan.repaired: their type says it all
}

func attemptSucceeded(output string, shortened bool, calls []orchestration.Call) AttemptSucceeded {
	return AttemptSucceeded{Output: cut(output), OutputBytes: len(output), Shortened: shortened, Calls: list(calls)}
}

func subtaskSkipped(f *orchestration.SubtaskSkipped) SubtaskSkipped {
	v := SubtaskSkipped{Error: failure(&f.Failure), Calls: list(f.Calls)}
	if v.Error == nil {
		v.Detail = f.Failure.Detail
	}
	return v
}

// items counts the items of a for_each: what they are is not for everyone who
// watches a run.
func items(l json.RawMessage) int {
	var all []json.RawMessage
	_ = json.Unmarshal(l, &all) // it is none for other kinds
	return len(all)
}

func runCreated(spec *orchestration.Spec) RunCreated {
	l := spec.Limits
	v := RunCreated{
		Task: spec.Task, Context: object(spec.Context), Labels: labels(spec.Labels), Simulated: spec.Simulated,
		Workflow: spec.Workflow, Policy: spec.Policy, ReviewPlan: spec.ReviewPlan, Attachments: list(spec.Attachments),
		Limits: Limits{
			MaxConcurrency: l.MaxConcurrency, Timeout: l.Timeout.String(), SubtaskTimeout: l.SubtaskTimeout.String(),
			MaxAttempts: l.MaxAttempts, MaxSubtasks: l.MaxSubtasks, MaxOutputBytes: l.MaxOutputBytes,
			MaxReplans: l.MaxReplans, ReplanCooldown: l.ReplanCooldown.String(), MaxIterations: l.MaxIterations,
			MaxLlmCalls: l.MaxLLMCalls, MaxTokens: l.MaxTokens, MaxCostUsd: l.MaxCostUSD,
		},
	}
	if spec.Cache > 0 {
		v.Cache = time.Duration(spec.Cache).String()
	}
	if spec.Fork != nil {
		v.ForkedFrom = spec.Fork.Run
	}
	return v
}
