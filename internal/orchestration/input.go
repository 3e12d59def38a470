package orchestration

import "time"

// An Input is what the world says to a run, with the time at which it was said
// and, for jitter, a random number in [0, 1).
//
// An input that is late, doubled or about nothing that the run knows gives no
// event: the world may say a thing twice.
type Input struct {
	Time   time.Time
	Random float64
	Said   Said
	// Stopping says that the driver is about to stop: what has ended is heard,
	// and nothing new starts. The run goes on with [Resume].
	Stopping bool
}

// Said is the substance of an input: [Start], [Begin], [Resume], [Drafted], [Planned],
// [Worked], [Synthesized], [Due], [Cancel] or [Broken].
type Said interface{ said() }

// Start accepts a run. It must be the first input and comes once. The run begins
// at once, unless it has to queue: then with [Begin].
type Start struct {
	ID    string
	Spec  *Spec
	Queue bool
}

// Begin begins a run that queued.
type Begin struct{}

// Resume says that another process has taken the run up from its journal: the
// calls that were in flight are lost.
type Resume struct{}

// Drafted brings the subtasks of a plan that is still being written, as far as they
// are certain: those that came before too, so that one that is lost is made up for by
// the next.
type Drafted struct {
	Attempt  int
	Subtasks []Subtask // the first ones of the answer, not yet checked
}

// Planned is the outcome of a [MakePlan].
type Planned struct {
	Attempt  int
	Plan     Plan      // as read from the model's answer, not yet checked
	Problems []Problem // what could not be read of it
	Answer   string    // the answer's text, for the repair
	Failure  *Failure  // the call failed: there is no answer
	Cached   bool      // it comes from the cache
	Calls    []Call
}

// Worked is the outcome of a [Work].
type Worked struct {
	Subtask   string
	Attempt   int
	Output    string
	Shortened bool // dependencies were shortened to fit the model's window
	Cached    bool // it comes from the cache
	Failure   *Failure
	Calls     []Call

	Findings []Finding // of the command's checks, in their order; an evaluation that could not be made is a Failure
	Plan     *Plan     // of a plan: as read from the output, not yet checked
	Problems []Problem // of a plan: what could not be read of it
}

// Compensated is the outcome of a [Compensate].
type Compensated struct {
	Subtask string
	Attempt int
	Failure *Failure
}

// DecideSubtask is what a person decides of a subtask that waits.
type DecideSubtask struct {
	Subtask string
	Action  Action
	Output  *string // of an edit
	Comment string
}

// DecidePlan is what a person decides of a plan that waits.
type DecidePlan struct {
	Version int
	Action  Action
	Plan    *Plan // of an edit: the whole new plan
	Comment string
}

// Synthesized is the outcome of a [Synthesize].
type Synthesized struct {
	Attempt   int
	Output    string
	Shortened bool
	Cached    bool // it comes from the cache
	Failure   *Failure
	Calls     []Call
}

// Due says that the timer of a [SetTimer] has come.
type Due struct {
	Timer string
}

// Cancel is the caller's wish to end the run.
type Cancel struct {
	Detail string // why, for people; may be empty
}

// Broken says that to decide on an input panicked, which is a fault of ours. The
// run is given up, so that the process can go on with the others.
type Broken struct{}

func (Broken) said()        {}
func (Start) said()         {}
func (Begin) said()         {}
func (Resume) said()        {}
func (Drafted) said()       {}
func (Planned) said()       {}
func (Worked) said()        {}
func (Compensated) said()   {}
func (DecideSubtask) said() {}
func (DecidePlan) said()    {}
func (Synthesized) said()   {}
func (Due) said()           {}
func (Cancel) said()        {}

// A Failure is why an attempt, or a run, failed.
type Failure struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"` // for people; bounded, and free of secrets
	// Retryable says that another attempt might succeed.
	Retryable bool `json:"retryable,omitempty"`
	// Spared says that nobody was asked: the endpoint is left alone for a while, as it
	// has failed lately.
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

// A Call is the record of one request that went out to a model, refused ones
// too. It holds no text.
type Call struct {
	Role       string    `json:"role"`
	Worker     string    `json:"worker,omitempty"` // the configured worker, if one
	Model      string    `json:"model"`
	Attempt    int       `json:"attempt"`
	Queued     time.Time `json:"queued"`
	Started    time.Time `json:"started"`
	FirstToken time.Time `json:"first_token,omitzero"`
	Ended      time.Time `json:"ended"`
	Outcome    string    `json:"outcome"` // "ok", or the kind of failure
	Usage      Usage     `json:"usage"`
	CostUSD    float64   `json:"cost_usd,omitempty"`
	Hedged     bool      `json:"hedged,omitempty"`
}

// Usage counts tokens as the provider billed them. Cached ones are part of the
// prompt's, reasoning ones part of the completion's.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CachedTokens     int `json:"cached_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	ReasoningTokens  int `json:"reasoning_tokens"`
}
