package orchestration

import "time"

// EvaluationCompleted says how an attempt's output was judged. What follows from
// it is the next event.
type EvaluationCompleted struct {
	Verdict  Verdict   `json:"verdict"`
	Findings []Finding `json:"findings"` // one for each check that was made
	Revision int       `json:"revision"` // how many revisions the output has had
}

// A Verdict sums up the findings of an evaluation.
type Verdict string

// The verdicts.
const (
	VerdictSatisfied           Verdict = "satisfied"
	VerdictNeedsRevision       Verdict = "needs_revision"        // the worker is asked to mend it
	VerdictMaxRevisionsReached Verdict = "max_revisions_reached" // it was, as often as it may
	VerdictFailed              Verdict = "failed"                // and may not be, or the policy is violated
)

// A Finding is the result of one check of an output.
type Finding struct {
	Check  string `json:"check"`            // "json_schema", "regex", "expr" or "rubric"
	Policy bool   `json:"policy,omitempty"` // of the request's policy
	Passed bool   `json:"passed"`
	Detail string `json:"detail,omitempty"` // what is to be mended
}

// SubtaskCompensated says how an attempt to undo a subtask ended.
type SubtaskCompensated struct {
	Failure *Failure   `json:"failure,omitempty"`  // nil: it is undone
	RetryAt *time.Time `json:"retry_at,omitempty"` // when another attempt follows; nil: none does
}

// Because says why a subtask is skipped that is not missed.
type Because string

// The reasons to skip a subtask that is not missed.
const (
	BecauseCondition Because = "condition" // its when was false
	BecauseStopped   Because = "stopped"   // a decision ended the run with what it has
)
