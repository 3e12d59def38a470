package orchestration

import "encoding/json"

// A Kind says what performing a subtask means.
type Kind string

// The kinds. Composite ones expand to subtasks of the same graph.
const (
	KindWorker   Kind = "worker"   // performed by a worker model; the default
	KindTool     Kind = "tool"     // a call of a configured tool
	KindDecide   Kind = "decide"   // chooses one of some options
	KindMerge    Kind = "merge"    // makes one output of those it depends on
	KindApproval Kind = "approval" // waits for a person
	KindPlan     Kind = "plan"     // composite: a planner adds subtasks
	KindForEach  Kind = "for_each" // composite: the body once for every item
	KindLoop     Kind = "loop"     // composite: the body again and again
	KindWorkflow Kind = "workflow" // composite: the body of a template
)

// Composite reports whether subtasks of the kind expand.
func (k Kind) Composite() bool {
	switch k {
	case KindPlan, KindForEach, KindLoop, KindWorkflow:
		return true
	}
	return false
}

// A ToolCall names a configured tool, and an expression for each argument.
type ToolCall struct {
	Name      string            `json:"name"`
	Arguments map[string]string `json:"arguments,omitempty"`
}

// A Decide chooses one of its options, which is then the output. The options
// "stop", "replan" and "escalate" are acted on.
type Decide struct {
	By      DecideBy `json:"by"`
	Prompt  string   `json:"prompt,omitempty"`   // by model: what is to be decided
	Pattern string   `json:"pattern,omitempty"`  // by regex (RE2): the first option where it matches, otherwise the second
	Value   string   `json:"value,omitempty"`    // an expression: of regex the text, of threshold the number
	AtLeast *float64 `json:"at_least,omitempty"` // by threshold: from it on the first option, below it the second
	Expr    string   `json:"expr,omitempty"`     // by expr: gives the option, or true for the first and false for the second
	Options []string `json:"options"`
}

// DecideBy says how a decision is made.
type DecideBy string

// The ways to decide.
const (
	DecideByModel     DecideBy = "model"
	DecideByRegex     DecideBy = "regex"
	DecideByThreshold DecideBy = "threshold"
	DecideByExpr      DecideBy = "expr"
)

// Options of a decision that the run acts on.
const (
	OptionStop     = "stop"     // ends the run with what it has
	OptionReplan   = "replan"   // has the plan revised
	OptionEscalate = "escalate" // asks a person to choose among the other options
)

// A ForEach performs its body for every item of a list. The output is a list of
// {"status", "output"}, one an item, in order.
type ForEach struct {
	Items          string    `json:"items"` // an expression that gives a list
	Body           []Subtask `json:"body"`  // sees item and index (from 0)
	Order          Order     `json:"order,omitempty"`
	MaxItems       int       `json:"max_items,omitempty"`       // 0: 100; a longer list fails
	MaxConcurrency int       `json:"max_concurrency,omitempty"` // items at a time; 0: all
}

// A Loop performs its body until its condition holds, nothing changes any more,
// or the iterations are used up. The output is the last iteration's.
type Loop struct {
	Body              []Subtask `json:"body"` // sees iteration (from 1) and previous, the output of the one before
	Order             Order     `json:"order,omitempty"`
	Until             string    `json:"until,omitempty"`               // sees the body's subtasks, output, iteration and previous
	MaxIterations     int       `json:"max_iterations,omitempty"`      // 0: the run's
	StopWhenUnchanged string    `json:"stop_when_unchanged,omitempty"` // the same value twice in a row ends the loop
}

// A Nested has a planner plan a part of the run.
type Nested struct {
	Task        string `json:"task"`                   // an expression
	MaxSubtasks int    `json:"max_subtasks,omitempty"` // 0: the planner's
	Depth       int    `json:"depth,omitempty"`        // how deep its subtasks may themselves be plans; 0: 1, not at all
}

// An Approval waits for a person.
type Approval struct {
	Message string   `json:"message"`
	Timeout Duration `json:"timeout,omitempty"` // 0: for ever
	Default Action   `json:"default,omitempty"` // approve or reject when it is over; empty: reject
}

// An Inlined is the body of a workflow template, put in its place when the run
// was accepted.
type Inlined struct {
	Name    string            `json:"name"`              // as the plan asks for it: "name" or "name@version"
	Context map[string]string `json:"context,omitempty"` // expressions: what the body sees as context
	// Set by the inlining.
	Defaults json.RawMessage `json:"defaults,omitempty"` // a JSON object: context that is not given
	Body     []Subtask       `json:"body,omitempty"`
}

// MergeStyle says how a merge makes one output of several, in the order of
// depends_on. Those that have no output are left out.
type MergeStyle string

// The ways to merge.
const (
	MergeConcat  MergeStyle = "concat"  // texts, with an empty line between; lists to one list
	MergeObjects MergeStyle = "merge"   // objects; of a key that is there twice the last one
	MergeReplace MergeStyle = "replace" // the last one
)

// A Check is what an output must satisfy. An output that does not is sent back
// to the worker, with what is to be mended.
type Check struct {
	JSONSchema   json.RawMessage `json:"json_schema,omitempty"`
	Regex        string          `json:"regex,omitempty"`         // RE2; must match somewhere
	Expr         string          `json:"expr,omitempty"`          // must be true; sees output
	Rubric       string          `json:"rubric,omitempty"`        // judged by an evaluator model
	MaxRevisions *int            `json:"max_revisions,omitempty"` // nil: DefaultRevisions
}

// compact returns the check with its schema as the journal gives it back.
func (c *Check) compact() *Check {
	if c == nil || len(c.JSONSchema) == 0 {
		return c
	}
	c = copied(c)
	c.JSONSchema = encoded(c.JSONSchema)
	return c
}

// DefaultRevisions is how often an output is revised where a check does not say.
const DefaultRevisions = 2

// A Retry overrides how a subtask is tried again.
type Retry struct {
	MaxAttempts int      `json:"max_attempts,omitempty"` // 0: the run's
	Backoff     Duration `json:"backoff,omitempty"`      // before the second attempt, then doubled; 0: half a second
}
