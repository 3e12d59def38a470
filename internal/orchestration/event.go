package orchestration

import (
	"encoding/json"
	"time"
)

// An Event is a fact about a run.
type Event struct {
	Seq      int64 // from 1, without gaps
	Time     time.Time
	Run      string
	Subtask  string // the subtask it is about, if one
	Attempt  int    // the attempt it is about, if one
	Progress Progress
	Fact     Fact
}

// Type returns the event's type, such as "subtask.started".
func (e Event) Type() string { return e.Fact.Type() }

// Progress counts the subtasks of a run's plan, as they are after an event.
type Progress struct {
	Total     int `json:"total"`
	Running   int `json:"running"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Skipped   int `json:"skipped"`
}

// A Fact is the substance of an event. The set is closed: see facts.
type Fact interface{ Type() string }

// Facts about a run as a whole.
type (
	// RunCreated is the first event of every run.
	RunCreated struct {
		Spec *Spec `json:"spec"`
	}
	// RunStarted says that the run's time has begun to count.
	RunStarted struct {
		// Share of the budget that is kept for the synthesis.
		Share *Reserve `json:"share,omitempty"`
	}
	// RunResumed says that a process has taken the run up from its journal, with
	// calls in flight that are lost and made again; or, without starts, that a run
	// that waited for a person goes on.
	RunResumed struct {
		Starts int `json:"starts,omitempty"` // in a row without an outcome: the process may have died of this run
	}
	// RunWaiting says that nothing of the run can go on until a person decides.
	// The time until it goes on ([RunResumed]) is no part of its timeout.
	RunWaiting struct {
		Waiting Waiting `json:"waiting"` // the first of those that wait, in plan order
	}
	// RunCanceling says that the run is about to end early: nothing new starts,
	// and the calls in flight are being aborted.
	RunCanceling struct {
		Status Status `json:"status"` // that it will end in
		Reason Reason `json:"reason"`
	}
	// RunSucceeded ends a run that has a result.
	RunSucceeded struct {
		Partial bool    `json:"partial,omitempty"` // something of the plan is missing in it
		Answer  string  `json:"answer,omitempty"`  // the subtask whose output is the final output; empty: the synthesis, if there was one
		Reason  *Reason `json:"reason,omitempty"`
	}
	// RunFailed ends a run that has no final output.
	RunFailed struct {
		Failure Failure `json:"failure"`
		Reason  *Reason `json:"reason,omitempty"`
	}
	// RunCanceled ends a run that the caller gave up.
	RunCanceled struct {
		Reason Reason `json:"reason"`
	}
)

// A Reason says why a run took the course that it took.
type Reason struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail,omitempty"`
}

// Facts about the plan.
type (
	// PlanStarted says that the planner is being asked. The event's attempt
	// counts its calls: retries and repairs alike.
	PlanStarted struct {
		Model   string `json:"model"`
		Repair  bool   `json:"repair,omitempty"`
		Repeats int    `json:"repeats,omitempty"` // the attempt whose call was lost: it is made again, under its key if it asks the same
		// Given are the ids of subtasks of answers that broke off, which the planner is
		// told of. With more of them than the last attempt had, it asks something else.
		Given []string `json:"given,omitempty"`
		// Reason is set where a replan begins: what it is for.
		Reason   *Reason  `json:"reason,omitempty"`
		Fallback bool     `json:"fallback,omitempty"`
		CacheKey string   `json:"cache_key,omitempty"` // under which a plan may be found, and is kept
		Reserved *Reserve `json:"reserved,omitempty"`
	}
	// PlanSubtaskAdded brings a subtask's body. What is added before there is a plan is a
	// draft: a part of a planner's answer that is still being written.
	PlanSubtaskAdded struct {
		Subtask Subtask `json:"subtask"`
	}
	// PlanInvalid says that an attempt at a plan gave none that can be used.
	PlanInvalid struct {
		Failure  Failure    `json:"failure"`
		Problems []Problem  `json:"problems,omitempty"`
		Answer   string     `json:"answer,omitempty"`   // what the planner answered
		RetryAt  *time.Time `json:"retry_at,omitempty"` // when another attempt follows; nil: none does
		Again    bool       `json:"again,omitempty"`    // which makes the same call again
		Fallback bool       `json:"fallback,omitempty"` // which asks the fallback model
		Calls    []Call     `json:"calls,omitempty"`
	}
	// PlanRepaired says that the planner mended its plan.
	PlanRepaired struct{}
	// PlanCreated completes a plan: the subtasks added before it are all of it, but for
	// those drafts that it drops. One about a subtask tells of the part of the plan
	// that a planner made there.
	PlanCreated struct {
		Version   int        `json:"version"`
		Cached    bool       `json:"cached,omitempty"` // it was found in the cache
		Source    PlanSource `json:"source"`
		Analysis  string     `json:"analysis,omitempty"`
		Subtasks  []string   `json:"subtasks"`            // ids in plan order
		Dropped   []string   `json:"dropped,omitempty"`   // drafts that it does not have, or has otherwise
		Shortened bool       `json:"shortened,omitempty"` // of a part: what its planner was shown was
		Calls     []Call     `json:"calls,omitempty"`
	}
	// PlanReplaced puts a revised plan in the place of the one before it. What of
	// it is new was added before.
	PlanReplaced struct {
		Version  int        `json:"version"`
		Source   PlanSource `json:"source,omitempty"` // empty: the planner
		Reason   Reason     `json:"reason"`
		Analysis string     `json:"analysis,omitempty"`
		Subtasks []string   `json:"subtasks"` // ids in plan order
		Kept     []string   `json:"kept"`
		Added    []string   `json:"added"`
		Dropped  []string   `json:"dropped"`          // with what they expanded to
		Looked   []string   `json:"looked,omitempty"` // of Kept: expressions look into their outputs from now on
		Calls    []Call     `json:"calls,omitempty"`
	}
)

// A PlanSource says who made a plan.
type PlanSource string

const (
	// PlanOfPlanner was made by the planner model.
	PlanOfPlanner PlanSource = "planner"
	// PlanOfCaller came with the request.
	PlanOfCaller PlanSource = "caller"
	// PlanOfWorkflow is that of a template.
	PlanOfWorkflow PlanSource = "workflow"
	// PlanOfFork is that of the run it was forked from.
	PlanOfFork PlanSource = "fork"
	// PlanOfFallback is the task itself as the one subtask, as the planner gave no plan that could be used.
	PlanOfFallback PlanSource = "fallback"
)

// Facts about a subtask. The event names the subtask and the attempt.
type (
	// SubtaskStarted says that an attempt began. A composite subtask has one
	// attempt, which lasts until all that it expands to has ended.
	SubtaskStarted struct {
		Items    json.RawMessage `json:"items,omitempty"`     // of a for_each: a list
		Context  json.RawMessage `json:"context,omitempty"`   // of a workflow: what its body sees as context
		CacheKey string          `json:"cache_key,omitempty"` // under which its output may be found, and is kept
		Worker   string          `json:"worker,omitempty"`    // the configured worker; empty: the default
		Model    string          `json:"model,omitempty"`     // empty: no model is asked
		Repeats  int             `json:"repeats,omitempty"`   // the attempt whose call was lost: it is made again under its key
		// Fallback says that the prompt is a simpler one, and the model the
		// fallback, if there is one.
		Fallback bool     `json:"fallback,omitempty"`
		Reserved *Reserve `json:"reserved,omitempty"`
	}
	// SubtaskRetrying says that an attempt failed and another one will follow.
	SubtaskRetrying struct {
		Failure   Failure   `json:"failure"`
		Output    string    `json:"output,omitempty"`    // that was refused, to be revised
		Feedback  string    `json:"feedback,omitempty"`  // what is to be mended in it
		Shortened bool      `json:"shortened,omitempty"` // of an output that is still to be judged
		RetryAt   time.Time `json:"retry_at"`
		Again     bool      `json:"again,omitempty"`    // it makes the same call again
		Fallback  bool      `json:"fallback,omitempty"` // it falls back
		Calls     []Call    `json:"calls,omitempty"`
	}
	// SubtaskSucceeded brings a subtask's output.
	SubtaskSucceeded struct {
		Output    string `json:"output"`
		Shortened bool   `json:"shortened,omitempty"`
		Cached    bool   `json:"cached,omitempty"`   // it was found in the cache, or in the run forked from
		Stop      bool   `json:"stop,omitempty"`     // a decision: the run ends with what it has
		Replan    bool   `json:"replan,omitempty"`   // a decision: the plan is revised
		Fallback  bool   `json:"fallback,omitempty"` // it is the subtask's fallback value
		Calls     []Call `json:"calls,omitempty"`
	}
	// SubtaskFailed says that the last attempt failed.
	SubtaskFailed struct {
		Failure Failure `json:"failure"`
		Output  string  `json:"output,omitempty"` // that was refused, if there is one
		Replan  bool    `json:"replan,omitempty"` // the plan is to be revised because of it
		Calls   []Call  `json:"calls,omitempty"`
	}
	// SubtaskSkipped says that a subtask will not be performed, or that the run
	// does without it.
	SubtaskSkipped struct {
		Because Because `json:"because,omitempty"` // it is not missed, and has not failed: Failure says why in its detail alone
		Failure Failure `json:"failure"`
		Calls   []Call  `json:"calls,omitempty"`
	}
	// SubtaskCanceled says that a subtask was given up with its run, or by a
	// later plan.
	SubtaskCanceled struct {
		Calls []Call `json:"calls,omitempty"`
	}
)

// Facts about the synthesis. The event's attempt counts from 1.
type (
	// SynthesisStarted says that the synthesizer is being asked.
	SynthesisStarted struct {
		Model    string   `json:"model"`
		Repeats  int      `json:"repeats,omitempty"` // the attempt whose call was lost: it is made again under its key
		Fallback bool     `json:"fallback,omitempty"`
		CacheKey string   `json:"cache_key,omitempty"` // under which an answer may be found, and is kept
		Reserved *Reserve `json:"reserved,omitempty"`
	}
	// SynthesisSucceeded brings the final output.
	SynthesisSucceeded struct {
		Output    string `json:"output"`
		Shortened bool   `json:"shortened,omitempty"`
		Cached    bool   `json:"cached,omitempty"` // it was found in the cache
		Calls     []Call `json:"calls,omitempty"`
	}
	// SynthesisFailed says that an attempt failed; another one follows at RetryAt, if set.
	SynthesisFailed struct {
		Failure  Failure    `json:"failure"`
		RetryAt  *time.Time `json:"retry_at,omitempty"`
		Again    bool       `json:"again,omitempty"`    // it makes the same call again
		Fallback bool       `json:"fallback,omitempty"` // it asks the fallback model
		Calls    []Call     `json:"calls,omitempty"`
	}
)

// Facts about the run's budget.
type (
	// BudgetWarning says that most of a limit is spent.
	BudgetWarning struct {
		Limit string `json:"limit"` // as in the request: "max_tokens", …
	}
	// BudgetExceeded says that nothing more is affordable.
	BudgetExceeded struct {
		Limit  string `json:"limit"`
		Reason Reason `json:"reason"`
	}
)
