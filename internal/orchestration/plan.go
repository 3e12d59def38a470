package orchestration

// A Plan is the directed acyclic graph of subtasks chosen for a run.
type Plan struct {
	Version  int       `json:"version"` // from 1; a replan makes a new one
	Analysis string    `json:"analysis,omitempty"`
	Subtasks []Subtask `json:"subtasks"`
}

// A Subtask is one node of a plan, as it was written: what becomes of it is in
// the [Run]. An id means one content for the whole run.
type Subtask struct {
	ID          string   `json:"id"`
	Kind        Kind     `json:"kind"`
	Type        string   `json:"type"`             // the style or specialism asked for, in free words
	Worker      string   `json:"worker,omitempty"` // the configured worker asked for by name
	Description string   `json:"description"`
	DependsOn   []string `json:"depends_on,omitempty"`
	After       After    `json:"after,omitempty"`

	OnFailure OnFailure `json:"on_failure,omitempty"` // empty: as the run
}

// A Kind says what performing a subtask means.
type Kind string

// KindWorker is performed by a worker model. It is the default.
const KindWorker Kind = "worker"

// After says how a subtask's dependencies must have ended for it to start.
type After string

const (
	// AfterSucceeded skips the subtask when a dependency did not succeed. It is the default.
	AfterSucceeded After = "succeeded"
	// AfterEnded starts the subtask however its dependencies ended.
	AfterEnded After = "ended"
)

// DefaultType is the type of a subtask that names none.
const DefaultType = "default"

// A Problem is one fault of a plan.
type Problem struct {
	Pointer string `json:"pointer"` // a JSON Pointer (RFC 6901) into the plan: "/subtasks/2/depends_on/0"
	Code    string `json:"code"`    // for machines: "cycle", "unknown_dependency", …
	Detail  string `json:"detail"`  // for people and models: what is wrong and how to mend it
}
