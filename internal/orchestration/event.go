package orchestration

import "time"

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
	RunStarted struct{}
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
		Model  string `json:"model"`
		Repair bool   `json:"repair,omitempty"`
	}
	// PlanSubtaskAdded brings a subtask's body.
	PlanSubtaskAdded struct {
		Subtask Subtask `json:"subtask"`
	}
	// PlanInvalid says that an attempt at a plan gave none that can be used.
	PlanInvalid struct {
		Failure  Failure    `json:"failure"`
		Problems []Problem  `json:"problems,omitempty"`
		Answer   string     `json:"answer,omitempty"` // what the planner answered
		RetryAt  *time.Time `json:"retry_at,omitempty"`
		Calls    []Call     `json:"calls,omitempty"`
	}
	// PlanRepaired says that the planner mended its plan.
	PlanRepaired struct{}
	// PlanCreated completes a plan: the subtasks added before it are all of it.
	PlanCreated struct {
		Version  int        `json:"version"`
		Source   PlanSource `json:"source"`
		Analysis string     `json:"analysis,omitempty"`
		Subtasks []string   `json:"subtasks"` // ids in plan order
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
	// PlanOfFallback is the task itself as the one subtask, as the planner gave no plan that could be used.
	PlanOfFallback PlanSource = "fallback"
)

// Facts about a subtask. The event names the subtask and the attempt.
type (
	// SubtaskStarted says that an attempt began.
	SubtaskStarted struct {
		Worker string `json:"worker,omitempty"` // the configured worker; empty: the default
		Model  string `json:"model"`
	}
	// SubtaskRetrying says that an attempt failed and another one will follow.
	SubtaskRetrying struct {
		Failure Failure   `json:"failure"`
		RetryAt time.Time `json:"retry_at"`
		Calls   []Call    `json:"calls,omitempty"`
	}
	// SubtaskSucceeded brings a subtask's output.
	SubtaskSucceeded struct {
		Output    string `json:"output"`
		Shortened bool   `json:"shortened,omitempty"`
		Calls     []Call `json:"calls,omitempty"`
	}
	// SubtaskFailed says that the last attempt failed.
	SubtaskFailed struct {
		Failure Failure `json:"failure"`
		Calls   []Call  `json:"calls,omitempty"`
	}
	// SubtaskSkipped says that a subtask will not be performed.
	SubtaskSkipped struct {
		Failure Failure `json:"failure"`
	}
	// SubtaskCanceled says that a subtask was given up with its run.
	SubtaskCanceled struct {
		Calls []Call `json:"calls,omitempty"`
	}
)

// Facts about the synthesis. The event's attempt counts from 1.
type (
	// SynthesisStarted says that the synthesizer is being asked.
	SynthesisStarted struct {
		Model string `json:"model"`
	}
	// SynthesisSucceeded brings the final output.
	SynthesisSucceeded struct {
		Output    string `json:"output"`
		Shortened bool   `json:"shortened,omitempty"`
		Calls     []Call `json:"calls,omitempty"`
	}
	// SynthesisFailed says that an attempt failed; another one follows at RetryAt, if set.
	SynthesisFailed struct {
		Failure Failure    `json:"failure"`
		RetryAt *time.Time `json:"retry_at,omitempty"`
		Calls   []Call     `json:"calls,omitempty"`
	}
)

// Body returns the text that an event brings, for a [Text] that refers to it:
// a subtask's or the synthesis's output, or an answer that was no plan.
func (e Event) Body() string {
	switch f := e.Fact.(type) {
	case *SubtaskSucceeded:
		return f.Output
	case *SynthesisSucceeded:
		return f.Output
	case *PlanInvalid:
		return f.Answer
	}
	return ""
}

// Calls returns the calls to models that an event reports.
func (e Event) Calls() []Call {
	switch f := e.Fact.(type) {
	case *PlanInvalid:
		return f.Calls
	case *PlanCreated:
		return f.Calls
	case *SubtaskRetrying:
		return f.Calls
	case *SubtaskSucceeded:
		return f.Calls
	case *SubtaskFailed:
		return f.Calls
	case *SubtaskCanceled:
		return f.Calls
	case *SynthesisSucceeded:
		return f.Calls
	case *SynthesisFailed:
		return f.Calls
	}
	return nil
}

// Terminal reports whether an event is the last one of its run.
func (e Event) Terminal() bool {
	switch e.Fact.(type) {
	case *RunSucceeded, *RunFailed, *RunCanceled:
		return true
	}
	return false
}
