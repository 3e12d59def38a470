// Package expr checks and evaluates the expressions of plans. They are in CEL
// (https://cel.dev), over these names:
//
//	task         text
//	context      an object: context.audience, context["key-features"]
//	run          {id}
//	subtasks     by id: subtasks["step-1"].output, subtasks["step-1"].status
//	T1           the same subtask as subtasks["T1"], where its id is an identifier and not [Reserved]
//	item, …      what else is given where the expression stands: item, index, iteration, previous, output
//
// An output is whatever JSON says it is, and otherwise text; a number without
// fraction and exponent that fits is an int, any other a double, and the two can
// be compared. What comes out is JSON again: bytes as base64, timestamps and
// durations as text, an empty optional as null, keys in ascending order.
//
// Beyond standard CEL with its macros there are optionals (T1.output.?rows.orValue([])),
// macros with two variables (m.transformMap(k, v, …)), cel.bind, and the functions
// strings, math, lists and sets of cel-go. Time zones are left out, as their rules
// change; messages cannot be made.
//
// The same expression over the same variables always gives the same value, or the
// same error: objects are walked in the order of their keys, and the bounds are of
// size and cost. A unit of cost is an operation, an element that it looks at or
// makes, or ten bytes of text; it is charged before the work is done, so that no
// single call can do more than a whole evaluation may.
//
// An expression has at most 10,000 bytes and is nested at most 100 deep. It reads at
// most 16 MB and a million values, counting only the names that it mentions, takes
// at most 5,000,000 units of work (about a second), and gives at most 10 MB of JSON.
package expr

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Bounds of an expression and its evaluation.
const (
	maxLength  = 10_000    // bytes of an expression
	maxDepth   = 100       // of an expression's operations in operations
	maxNodes   = 20_000    // of an expression, with what its macros stand for
	maxInput   = 16 << 20  // bytes of all that an expression reads
	maxValues  = 1_000_000 // in what it reads: of lists, objects and all within
	maxResult  = 10 << 20  // bytes of JSON
	maxNested  = 500       // lists and objects in each other of a result: SQLite reads 1,000, and the journal puts it into some more
	maxCost    = 5_000_000
	constCost  = 10_000    // of an expression that is evaluated when it is checked
	maxSources = 1_000     // expressions that are kept compiled, or twice as many
	maxBytes   = 256 << 10 // of these
	maxKept    = 8 << 20   // bytes, about, of the values that are kept of what was read lately, or twice as many
)

// Expressions implements [orchestration.Expressions]. It is safe for concurrent
// use, and keeps what it compiled.
type Expressions struct {
	language *language
	sources  *cache[*source]
	lately   *cache[read]
}

var _ orchestration.Expressions = (*Expressions)(nil)

// New returns Expressions.
func New() *Expressions {
	return &Expressions{
		language: newLanguage(),
		sources:  newCache[*source](maxSources, maxBytes),
		lately:   newCache[read](maxSources, maxKept),
	}
}

// Check implements [orchestration.Expressions]. Constant is also nil where an
// expression that reads nothing is dear to evaluate. One that reads nothing and
// fails is an error.
func (e *Expressions) Check(expression string, subtasks, locals []string) (orchestration.Reads, error) {
	p, err := e.compile(expression, names{subtasks: subtasks, locals: locals})
	if err != nil {
		return orchestration.Reads{}, err
	}
	reads := p.reads
	reads.Subtasks, reads.Compared = slices.Clone(reads.Subtasks), slices.Clone(reads.Compared)
	reads.Kind = kindOf(p.ast.OutputType())
	if !p.readsNothing() {
		return reads, nil
	}
	value, err := p.run(p.constant, new(scope), nil)
	switch {
	case isTooDear(err):
		return reads, nil
	case err != nil:
		return orchestration.Reads{}, err
	}
	reads.Constant = json.RawMessage(value)
	return reads, nil
}

// Eval implements [orchestration.Expressions].
func (e *Expressions) Eval(expression string, v *orchestration.Variables) (string, error) {
	p := e.meaning(expression, v)
	if p == nil {
		var err error
		if p, err = e.compile(expression, namesOf(v)); err != nil {
			return "", err
		}
	}
	bound, err := p.bind(v, e.lately)
	if err != nil {
		return "", err
	}
	if value, found := p.path.follow(bound, v.Spent); found {
		return written(value)
	}
	return p.run(p.program, bound, v.Spent)
}

// names are what an expression may name besides what is always there.
type names struct {
	subtasks, locals []string
}

func namesOf(v *orchestration.Variables) names {
	given := names{subtasks: make([]string, 0, len(v.Subtasks)), locals: make([]string, 0, len(v.Locals))}
	for i := range v.Subtasks {
		given.subtasks = append(given.subtasks, v.Subtasks[i].ID)
	}
	for i := range v.Locals {
		given.locals = append(given.locals, v.Locals[i].ID)
	}
	slices.Sort(given.locals) // they are listed in errors
	given.locals = slices.Compact(given.locals)
	return given
}

// list tells people what is there, not at any length.
func (n names) list() string {
	all := slices.Concat([]string{"task", "context", "run"}, n.locals)
	for _, id := range n.subtasks {
		if !named(id) {
			id = fmt.Sprintf("subtasks[%q]", id)
		}
		all = append(all, id)
	}
	const most = 20
	if len(all) > most {
		return strings.Join(all[:most], ", ") + fmt.Sprintf(" and %d more", len(all)-most)
	}
	return strings.Join(all, ", ")
}
