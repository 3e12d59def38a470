package orchestration

// A Plan is the directed acyclic graph of subtasks chosen for a run.
type Plan struct {
	Version  int       `json:"version"` // from 1; a replan makes a new one
	Analysis string    `json:"analysis,omitempty"`
	Order    Order     `json:"order,omitempty"`
	Subtasks []Subtask `json:"subtasks"`
}

// A Subtask is one node of a plan, as it was written: what becomes of it is in
// the [Run]. An id means one content for the whole run.
//
// Its JSON is the plan language, for callers' plans and workflow templates
// alike. Expressions are in CEL; see [Expressions] for the names they know.
type Subtask struct {
	ID          string   `json:"id"`
	Kind        Kind     `json:"kind,omitempty"`
	Type        string   `json:"type,omitempty"`   // the style or specialism asked for, in free words
	Worker      string   `json:"worker,omitempty"` // the configured worker asked for by name
	Description string   `json:"description,omitempty"`
	DependsOn   []string `json:"depends_on,omitempty"`
	After       After    `json:"after,omitempty"`

	When  string            `json:"when,omitempty"`   // an expression; false: skipped
	Input map[string]string `json:"input,omitempty"`  // expressions by the names that the prompt knows their values by
	Gives string            `json:"output,omitempty"` // an expression: what others see instead of the raw output

	// Of the kind of the same name.
	Tool     *ToolCall  `json:"tool,omitempty"`
	Decide   *Decide    `json:"decide,omitempty"`
	ForEach  *ForEach   `json:"for_each,omitempty"`
	Loop     *Loop      `json:"loop,omitempty"`
	Plan     *Nested    `json:"plan,omitempty"`
	Approval *Approval  `json:"approval,omitempty"`
	Workflow *Inlined   `json:"workflow,omitempty"`
	Merge    MergeStyle `json:"merge,omitempty"`

	Check      *Check    `json:"check,omitempty"`
	Retry      *Retry    `json:"retry,omitempty"`
	Timeout    Duration  `json:"timeout,omitempty"` // of an attempt; 0: the run's subtask_timeout
	Cache      Duration  `json:"cache,omitempty"`   // how long its output may be used again; 0: as the run
	Compensate *ToolCall `json:"compensate,omitempty"`
	OnFailure  Recovery  `json:"on_failure,omitzero"`

	// What follows is never written by anybody, but understood when the plan is
	// taken, and kept with it.

	Implied []string `json:"implied,omitempty"` // of DependsOn: those that only expressions name; a worker does not see them
	Uses    []string `json:"uses,omitempty"`    // what its own expressions read, by the names that they know it by
	// Passes says which inputs or arguments are nothing but the output of a
	// subtask, by the names of both: it is passed on unseen.
	Passes map[string]string `json:"passes,omitempty"`
	Kept   bool              `json:"kept,omitempty"` // expressions look into its output, so that the run holds all of it
	// Of a subtask that a composite one expanded to. Its id is
	// <parent>.<round>.<id in the body>.
	Parent string `json:"parent,omitempty"`
	Round  int    `json:"round,omitempty"` // of the parent: the item or the iteration, from 1
}

// Bodies returns what the subtask may expand to, as far as it is known before it
// does.
func (s *Subtask) Bodies() [][]Subtask {
	var all [][]Subtask
	if s.ForEach != nil {
		all = append(all, s.ForEach.Body)
	}
	if s.Loop != nil {
		all = append(all, s.Loop.Body)
	}
	if s.Workflow != nil {
		all = append(all, s.Workflow.Body)
	}
	return all
}

// Every calls do with each subtask, and with each of their bodies.
func Every(subtasks []Subtask, do func(*Subtask)) {
	for i := range subtasks {
		do(&subtasks[i])
		for _, body := range subtasks[i].Bodies() {
			Every(body, do)
		}
	}
}

// After says how a subtask's dependencies must have ended for it to start.
type After string

const (
	// AfterSucceeded skips the subtask when a dependency did not succeed. It is the
	// default. A dependency that its own condition skipped counts as succeeded, with
	// no output.
	AfterSucceeded After = "succeeded"
	// AfterEnded starts the subtask however its dependencies ended.
	AfterEnded After = "ended"
)

// Order says whether the subtasks of a plan or body wait for each other.
type Order string

const (
	// OrderParallel has a subtask wait for its dependencies alone. It is the default.
	OrderParallel Order = "parallel"
	// OrderSequential has each depend on the one before it.
	OrderSequential Order = "sequential"
)

// DefaultType is the type of a subtask that names none.
const DefaultType = "default"

// A Problem is one fault of a plan, or of what a run was asked for.
type Problem struct {
	Pointer string `json:"pointer"` // a JSON Pointer (RFC 6901) into it: "/subtasks/2/depends_on/0"
	Code    string `json:"code"`    // for machines: "cycle", "unknown_dependency", …
	Detail  string `json:"detail"`  // for people and models: what is wrong and how to mend it
}
