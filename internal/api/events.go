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
	case *orchestration.RunWaiting:
		return RunWaiting{Waiting: waitingFor(f.Waiting)}
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
			Model: f.Model, Repair: f.Repair, Reason: f.Reason, Repeats: f.Repeats, Given: f.Given, Fallback: f.Fallback, Reserved: f.Reserved,
		}
	case *orchestration.PlanSubtaskAdded:
		return PlanSubtaskAdded{Subtask: planned(f.Subtask)}
	case *orchestration.PlanInvalid:
		return PlanInvalid{Error: *failure(&f.Failure), Problems: list(f.Problems), RetryAt: f.RetryAt, Fallback: f.Fallback, Calls: list(f.Calls)}
	case *orchestration.PlanCreated:
		return PlanCreated{
			Version: f.Version, Source: f.Source, Analysis: f.Analysis, Subtasks: list(f.Subtasks), Dropped: f.Dropped, Calls: list(f.Calls),
		}
	case *orchestration.PlanReplaced:
		return PlanReplaced{
			Version: f.Version, Reason: f.Reason, Analysis: f.Analysis, Subtasks: list(f.Subtasks),
			Kept: list(f.Kept), Added: list(f.Added), Dropped: list(f.Dropped), Calls: list(f.Calls),
		}
	case *orchestration.PlanWaiting:
		return PlanWaiting{Version: f.Version, Waiting: waitingFor(f.Waiting)}
	case *orchestration.PlanDecided:
		return PlanDecided{Version: f.Version, Action: f.Action, Comment: f.Comment}
	case *orchestration.BudgetWarning:
		return BudgetWarning{Limit: f.Limit}
	case *orchestration.BudgetExceeded:
		return BudgetExceeded{Limit: f.Limit, Reason: f.Reason}
	}
	return dataOfAttempt(fact)
}

// list returns l, as JSON's [] where there is nothing in it.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return slices.Clip(l)
}
