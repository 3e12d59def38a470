package orchestration

import (
	"slices"
	"time"
)

// A Run is the state of one execution of a task: the fold of its events.
//
// Its fields are for reading. Only fold writes them, so that a Run that lived
// and one that was replayed from the journal are the same. It is not safe for
// concurrent use: its driver owns it.
type Run struct {
	ID        string    `json:"id"`
	Seq       int64     `json:"seq"` // of the last event folded
	Spec      *Spec     `json:"spec"`
	Status    Status    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`

	Planning  Planning        `json:"planning"`
	Subtasks  []*SubtaskState `json:"subtasks"` // in plan order; those of an unfinished plan too
	Synthesis Synthesis       `json:"synthesis"`

	// Ending is set when the run is about to end early, and how.
	Ending *RunCanceling `json:"ending,omitempty"`

	Answer   string   `json:"answer,omitempty"` // the subtask whose output is the final output
	Partial  bool     `json:"partial,omitempty"`
	Failure  *Failure `json:"failure,omitempty"` // of a failed run
	Reason   *Reason  `json:"reason,omitempty"`
	Totals   Totals   `json:"totals"`
	Progress Progress `json:"progress"`

	UpdatedAt time.Time `json:"updated_at"` // of the last event: time never goes back in a run

	index     map[string]int // place in Subtasks by id; made anew when nil
	scheduled *schedule      // of the current plan; made anew when nil
}

// Planning is how the plan comes to be.
type Planning struct {
	Status    Status     `json:"status"` // pending (between attempts), running, succeeded, failed, canceled
	Attempt   int        `json:"attempt"`
	Failures  int        `json:"failures"` // attempts that failed without an answer
	RetryAt   time.Time  `json:"retry_at,omitzero"`
	Repairing bool       `json:"repairing,omitempty"`
	Answer    Text       `json:"answer,omitzero"` // that could not be used
	Problems  []Problem  `json:"problems,omitempty"`
	Version   int        `json:"version"` // 0 until there is a plan
	Source    PlanSource `json:"source,omitempty"`
	Analysis  string     `json:"analysis,omitempty"`
}

// A SubtaskState is what has become of a subtask.
type SubtaskState struct {
	Subtask
	Status    Status    `json:"status"`
	Performer string    `json:"performer,omitempty"` // the configured worker that performs it; empty: the default
	Model     string    `json:"model,omitempty"`
	Attempts  int       `json:"attempts"`          // begun
	RetryAt   time.Time `json:"retry_at,omitzero"` // when pending for another attempt
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Output    Text      `json:"output,omitzero"`
	Shortened bool      `json:"shortened,omitempty"`
	Failure   *Failure  `json:"failure,omitempty"` // of the last attempt, or why it was skipped
	Totals    Totals    `json:"totals"`

	node *node // in the run's schedule; nil until there is one
}

// Synthesis is how the final output comes to be.
type Synthesis struct {
	Status    Status    `json:"status,omitempty"` // empty: not begun; pending (between attempts), running, succeeded, failed, canceled
	Attempt   int       `json:"attempt"`
	RetryAt   time.Time `json:"retry_at,omitzero"`
	Output    Text      `json:"output,omitzero"`
	Shortened bool      `json:"shortened,omitempty"`
	Failure   *Failure  `json:"failure,omitempty"`
}

// Totals add up calls to models.
type Totals struct {
	LLMCalls int `json:"llm_calls"` // that went out, refused ones too
	Usage
	CostUSD float64 `json:"cost_usd"`
}

// New returns a run that waits for its [Start], or for a replay.
func New() *Run { return &Run{} }

// Done reports whether the run has ended. Nothing follows from any input then.
func (r *Run) Done() bool { return r.Status.Ended() }

// Subtask returns the state of the subtask of that id, nil if there is none.
func (r *Run) Subtask(id string) *SubtaskState {
	if r.index == nil {
		r.makeRoom(0)
	}
	if i, ok := r.index[id]; ok {
		return r.Subtasks[i]
	}
	return nil
}

// makeRoom readies the run for so many more subtasks.
func (r *Run) makeRoom(n int) {
	r.Subtasks = slices.Grow(r.Subtasks, n)
	r.index = make(map[string]int, len(r.Subtasks)+n)
	for i, s := range r.Subtasks {
		r.index[s.ID] = i
	}
}

// Row returns what lists show of the run.
func (r *Run) Row() Row {
	return Row{
		ID: r.ID, Tenant: r.Spec.Tenant, Status: r.Status, Seq: r.Seq,
		Task: beginning(r.Spec.Task, MaxRowTask), Labels: r.Spec.Labels, Simulated: r.Spec.Simulated,
		Progress: r.Progress, CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, EndedAt: r.EndedAt,
	}
}

// beginning returns at most max bytes of text, cut between characters.
func beginning(text string, max int) string {
	if len(text) <= max {
		return text
	}
	cut := 0
	for i := range text {
		if i > max {
			break
		}
		cut = i
	}
	return text[:cut]
}

func (t *Totals) add(calls []Call) {
	for _, c := range calls {
		t.LLMCalls++
		t.PromptTokens += c.Usage.PromptTokens
		t.CachedTokens += c.Usage.CachedTokens
		t.CompletionTokens += c.Usage.CompletionTokens
		t.ReasoningTokens += c.Usage.ReasoningTokens
		t.CostUSD += c.CostUSD
	}
}
