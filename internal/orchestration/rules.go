package orchestration

import "encoding/json"

// Rules are what a plan is checked against: what the server that is to carry it
// out knows.
type Rules struct {
	MaxSubtasks int // of the plan, bodies included
	Workers     []Worker
	Tools       []Tool
	// Model reports whether a model may be named. Nil: any may.
	Model func(name string) bool
	// Expressions checks those of the plan. Nil: the plan may have none.
	Expressions Expressions
	// Schema says what is wrong with a JSON Schema. Nil: nothing is.
	Schema func(schema json.RawMessage) error
}

// Bounds of what a plan may be.
const (
	maxDepth    = 8      // of bodies in bodies
	maxSubtasks = 10_000 // of a run, with all that composite ones expand to
	maxItems    = 1_000  // of a for_each
	maxRounds   = 100    // of a loop
)

// DefaultItems is how many items a for_each takes where it does not say.
const DefaultItems = 100

// DefaultIterations is how often a loop goes round where neither it nor the run says.
const DefaultIterations = 4

// rules returns what the run's plans are checked against.
func (r *Run) rules() Rules {
	s := r.Spec
	return Rules{
		MaxSubtasks: s.Limits.MaxSubtasks,
		Workers:     s.Workers, Tools: s.Tools, Expressions: r.funcs.Expressions,
	}
}
