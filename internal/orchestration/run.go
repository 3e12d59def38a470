package orchestration

import (
	"encoding/json"
	"slices"
	"time"
	"unicode/utf8"
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
	// Exhausted is set when the budget allows nothing more, and why.
	Exhausted *BudgetExceeded `json:"exhausted,omitempty"`
	Warned    bool            `json:"warned,omitempty"` // that the budget is nearly spent
	Held      Reserve         `json:"held"`             // of the budget, by the attempts in flight

	Starts int `json:"starts,omitempty"` // of processes, in a row without an outcome

	// Calling counts the attempts at subtasks that are in flight.
	Calling      int           `json:"calling,omitempty"`
	Caching      bool          `json:"caching,omitempty"`      // a subtask asks for its output to be cached
	WaitingSince time.Time     `json:"waiting_since,omitzero"` // since when nothing goes on without people
	Waited       time.Duration `json:"waited,omitempty"`       // until it went on: no part of the timeout
	Stopped      string        `json:"stopped,omitempty"`      // the decision that ended the run with what it has

	Answer   string   `json:"answer,omitempty"` // the subtask whose output is the final output
	Partial  bool     `json:"partial,omitempty"`
	Failure  *Failure `json:"failure,omitempty"` // of a failed run
	Reason   *Reason  `json:"reason,omitempty"`
	Totals   Totals   `json:"totals"`
	Progress Progress `json:"progress"`

	UpdatedAt time.Time `json:"updated_at"` // of the last event: time never goes back in a run

	funcs Funcs
	spent int // on expressions, since the run was taken up
	// spentUndoing is that on those of compensations: what was done is undone whatever
	// the others have cost.
	spentUndoing int
	room         []SubtaskState // for those that are about to be added
	index        map[string]int // place in Subtasks by id; made anew when nil
	scheduled    *schedule      // of the current plan; made anew when nil
	scope        scope          // of the subtask that is being begun; empty between Steps
}

// Planning is how the plan comes to be.
type Planning struct {
	Status    Status     `json:"status"` // pending (between attempts), running, succeeded, failed, canceled
	Attempt   int        `json:"attempt"`
	RetryAt   time.Time  `json:"retry_at,omitzero"`
	Repairing bool       `json:"repairing,omitempty"`
	Given     []string   `json:"given,omitempty"` // ids of the drafts that its present question tells of
	Answer    Text       `json:"answer,omitzero"` // that could not be used
	Problems  []Problem  `json:"problems,omitempty"`
	Fault     string     `json:"fault,omitempty"` // of the answers in whose place the fallback plan is; a later question does not clear it
	Version   int        `json:"version"`         // 0 until there is a plan
	Source    PlanSource `json:"source,omitempty"`
	Analysis  string     `json:"analysis,omitempty"`
	Tries

	Replans     int           `json:"replans"`
	ReplannedAt time.Time     `json:"replanned_at,omitzero"` // when the last one began
	Wanted      []string      `json:"wanted,omitempty"`      // subtasks whose failures ask for a replan
	Asked       int           `json:"asked,omitempty"`       // how many of them the planner has been told of
	Reason      *Reason       `json:"reason,omitempty"`      // of the replan under way
	Waiting     *Waiting      `json:"waiting,omitempty"`     // a person is to look at the plan in force
	CacheKey    string        `json:"cache_key,omitempty"`   // of the present attempt
	Versions    []PlanVersion `json:"versions,omitempty"`    // in order
}

// A PlanVersion is one of the plans that a run has had.
type PlanVersion struct {
	Version   int        `json:"version"`
	Source    PlanSource `json:"source"`
	Reason    *Reason    `json:"reason,omitempty"` // why it replaced the one before it
	Analysis  string     `json:"analysis,omitempty"`
	Subtasks  []string   `json:"subtasks"` // ids in plan order
	CreatedAt time.Time  `json:"created_at"`
}

// Tries are what attempts of any kind have in common.
type Tries struct {
	Call     int      `json:"call,omitempty"`      // the attempt that the present call is known by
	Lost     int      `json:"lost,omitempty"`      // the attempt whose call is to be made again
	Tried    int      `json:"tried,omitempty"`     // attempts begun with the present model, without those made again
	Spared   int      `json:"spared,omitempty"`    // attempts in a row for which nobody was asked, up to mostSpared
	FellBack bool     `json:"fell_back,omitempty"` // the present model or prompt is the fallback
	Reserved *Reserve `json:"reserved,omitempty"`  // of the budget, while an attempt is in flight
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
	Output    Text      `json:"result,omitzero"` // as others see it
	Shortened bool      `json:"shortened,omitempty"`
	Failure   *Failure  `json:"failure,omitempty"` // of the last attempt, or why it was skipped
	Totals    Totals    `json:"totals"`
	Tries

	Calling   bool            `json:"calling,omitempty"`   // an attempt is in flight
	Because   Because         `json:"because,omitempty"`   // of one that is skipped and not missed
	Value     string          `json:"value,omitempty"`     // of a kept one: the output, where it is longer than Output has it
	Hash      string          `json:"hash,omitempty"`      // of the output: SHA-256 in hex, where something may be cached
	CacheKey  string          `json:"cache_key,omitempty"` // of the present attempt
	Cached    bool            `json:"cached,omitempty"`    // the output was not made by this run
	MadeUp    bool            `json:"made_up,omitempty"`   // a value or a person gave the output
	Completed int64           `json:"completed,omitempty"` // the seq of its end
	Context   json.RawMessage `json:"scope,omitempty"`     // of a workflow: what its body sees as context
	Items     json.RawMessage `json:"items,omitempty"`     // of a for_each
	Rounds    int             `json:"rounds,omitempty"`    // of its body that have begun

	Waiting   *Waiting `json:"waiting,omitempty"`   // what a person is asked
	Rework    *Rework  `json:"rework,omitempty"`    // what the next attempt is told of an output that was refused
	Judge     *Text    `json:"judge,omitempty"`     // an output that the next attempt has only to judge
	Revisions int      `json:"revisions,omitempty"` // that were asked for
	Undoing   *Undoing `json:"undoing,omitempty"`   // its compensation, once that was tried

	Dropped    int  `json:"dropped,omitempty"`    // the version of the plan that left it out
	Told       bool `json:"told,omitempty"`       // the planner knew, when last asked, that it did not succeed
	Superseded bool `json:"superseded,omitempty"` // it did not succeed, and a later version made up for that

	node   *node       // in the run's schedule; nil until there is one
	due    bool        // the timer of the next attempt has come; it is set again after a replay
	items  []string    // of Items; read when they are first asked for
	before roundOutput // of a loop: what the round gave that was last asked for
}

// An Undoing is what has become of a subtask's compensation.
type Undoing struct {
	Status   Status    `json:"status"`   // pending (for another attempt), succeeded, failed
	Attempts int       `json:"attempts"` // that have ended
	RetryAt  time.Time `json:"retry_at,omitzero"`
}

// Synthesis is how the final output comes to be.
type Synthesis struct {
	Status   Status    `json:"status,omitempty"` // empty: not begun; pending (between attempts), running, succeeded, failed, canceled
	Attempt  int       `json:"attempt"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
	Share    *Reserve  `json:"share,omitempty"`     // of the budget, kept for it until it begins
	CacheKey string    `json:"cache_key,omitempty"` // of the present attempt
	Tries
}

// Funcs are pure functions that the core is handed in. What only folds a run
// needs none.
type Funcs struct {
	// Expressions checks and evaluates those of plans. Nil: a plan may have none.
	Expressions Expressions
	// Tokens estimates how many tokens a model makes of a text, from above. Nil
	// takes a byte for a token.
	Tokens func(text string) int
}

// New returns a run that waits for its [Start], or for a replay.
func New(f Funcs) *Run {
	if f.Tokens == nil {
		f.Tokens = func(text string) int { return len(text) }
	}
	return &Run{funcs: f}
}

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

// known returns the subtask of an id that nobody keeps.
func (r *Run) known(id []byte) *SubtaskState {
	if r.index == nil {
		r.makeRoom(0)
	}
	if i, ok := r.index[string(id)]; ok {
		return r.Subtasks[i]
	}
	return nil
}

// makeRoom readies the run for so many more subtasks.
func (r *Run) makeRoom(n int) {
	r.Subtasks, r.room = slices.Grow(r.Subtasks, n), make([]SubtaskState, n)
	if r.index != nil {
		return // it grows by itself
	}
	r.index = make(map[string]int, len(r.Subtasks)+n)
	for i, s := range r.Subtasks {
		r.index[s.ID] = i
	}
}

// Row returns what lists show of the run.
func (r *Run) Row() Row {
	return Row{
		ID: r.ID, Tenant: r.Spec.Tenant, Status: r.Status, Seq: r.Seq,
		Task: beginning(r.Spec.Task, maxRowTask), Labels: r.Spec.Labels, Simulated: r.Spec.Simulated,
		Workflow: r.Spec.workflow(), Progress: r.Progress, CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, EndedAt: r.EndedAt,
	}
}

// beginning returns at most max bytes of text, cut between characters.
func beginning(text string, max int) string {
	if len(text) <= max {
		return text
	}
	for max > 0 && !utf8.RuneStart(text[max]) {
		max--
	}
	return text[:max]
}
