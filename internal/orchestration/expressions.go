package orchestration

import "encoding/json"

// Expressions checks and evaluates expressions in CEL. Package expr has them.
//
// The names that an expression knows: task (text), context (an object), run
// ({"id"}), subtasks (by id: {"output", "status"}) and each subtask whose id is
// an identifier by that id alone; in the body of a for_each item and index, in
// that of a loop iteration and previous; in output, check.expr and until also
// output.
type Expressions interface {
	// Check reports what an expression reads: an error says what is wrong with it.
	// Names are those of the subtasks that it may name, and locals the further
	// variables ("item", "output", …). It takes time linear in the expression.
	Check(expression string, subtasks, locals []string) (Reads, error)
	// Eval returns the value as JSON, objects with their keys in ascending order.
	// The same variables always give the same value, or the same error. It is
	// bounded by cost and by the size of what it reads and gives, never by time. An
	// error's text is for people, bounded, and quotes no value.
	Eval(expression string, v *Variables) (string, error)
	// Reserved reports whether an id would hide a word of the language itself.
	Reserved(id string) bool
}

// Reads is what an expression depends on.
type Reads struct {
	Subtasks []string // whose output or status it reads, in ascending order
	Context  []string // the keys of context that it reads by name, in ascending order
	Run      bool     // it reads which run it is of
	// Bare is set when the expression is nothing but that subtask's output, which
	// can then be passed on unseen.
	Bare string
	// Kind of the value where it is known before: "bool", "string", "number",
	// "list", "object", "null"; otherwise "".
	Kind string
	// Constant is the value of an expression that reads nothing; nil: it reads something.
	Constant json.RawMessage
	// Compared are the texts that outputs are compared to, with ==, != or in.
	Compared []Comparison
}

// A Comparison of a subtask's output with a text.
type Comparison struct {
	Subtask string
	Text    string
}

// Variables are what an expression is evaluated over.
type Variables struct {
	Task     string
	Context  json.RawMessage // a JSON object; nil: {}
	Run      string          // its id
	Subtasks []Variable
	Locals   []Variable // item, index, iteration, previous, output: each has its value as its output
	// Spent is added what the evaluation costs, in units of the implementation's, of
	// which a second has some millions. Nil: nobody asks.
	Spent *int
	// Read is what the implementation has made of the above, for the next expression
	// over the same variables.
	Read any
}

// with returns the variables with one more local, which hides any other of that
// name. Its output is nil where it has no value (null).
func (v *Variables) with(local string, output *string) *Variables {
	more := *v
	more.Locals, more.Read = append([]Variable{{ID: local, Output: output}}, v.Locals...), nil
	return &more
}

// withOutput returns the variables with an output that is not yet anybody's.
func (v *Variables) withOutput(output string) *Variables { return v.with("output", &output) }

// A Variable is a subtask, or a local, as expressions see it.
type Variable struct {
	ID     string
	Status Status
	// Output is the text as it is: where all of it is JSON it is read as such, all
	// else is a string. Nil: none (null).
	Output *string
	Plain  bool // the output is a string even where it is JSON
}
