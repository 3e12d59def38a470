package orchestration

import "time"

// A Failure is why an attempt, or a run, failed.
type Failure struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"` // for people; bounded, and free of secrets
	// Retryable says that another attempt might succeed.
	Retryable bool `json:"retryable,omitempty"`
	// Spared says that nobody was asked: there was no connection to the endpoint, or it
	// is left alone for a while, as it has failed lately.
	Spared bool `json:"spared,omitempty"`
	// RetryAfter is how long the provider asked us to wait, 0 when it did not.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
}

// A Code names a failure for machines. The API's problems use the same codes.
type Code string

// The codes that a run, a plan or a subtask may fail with.
const (
	CodePlanInvalid         Code = "plan_invalid"
	CodePlanRefused         Code = "plan_refused" // the planner model would not make one
	CodeUpstreamError       Code = "upstream_error"
	CodeUpstreamRateLimited Code = "upstream_rate_limited"
	CodeUpstreamTimeout     Code = "upstream_timeout"
	CodeContextTooLong      Code = "context_too_long"
	CodeTruncated           Code = "truncated"
	CodeDependencyFailed    Code = "dependency_failed"
	CodeOutputTooLarge      Code = "output_too_large"
	CodeOutputInvalid       Code = "output_invalid"
	CodeSynthesisFailed     Code = "synthesis_failed"
	CodeBudgetExceeded      Code = "budget_exceeded"
	CodeCheckFailed         Code = "check_failed"
	CodePolicyViolation     Code = "policy_violation"
	CodeRejected            Code = "rejected"
	CodeToolFailed          Code = "tool_failed"
	CodePoisonRun           Code = "poison_run"
	CodeTimeout             Code = "timeout"
	CodeCanceled            Code = "canceled"
	CodeInternal            Code = "internal"
)
