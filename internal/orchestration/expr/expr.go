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

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

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
	value, err := p.run(p.constant, bindings{}, nil)
	switch {
	case isTooDear(err):
		return reads, nil
	case err != nil:
		return orchestration.Reads{}, err
	}
	reads.Constant = value
	return reads, nil
}

// Eval implements [orchestration.Expressions].
func (e *Expressions) Eval(expression string, v orchestration.Variables) (json.RawMessage, error) {
	given := names{subtasks: make([]string, 0, len(v.Subtasks)), locals: make([]string, 0, len(v.Locals))}
	for i := range v.Subtasks {
		given.subtasks = append(given.subtasks, v.Subtasks[i].ID)
	}
	for name := range v.Locals {
		given.locals = append(given.locals, name)
	}
	slices.Sort(given.locals) // they are listed in errors
	p, err := e.compile(expression, given)
	if err != nil {
		return nil, err
	}
	bound, err := p.bind(v, e.lately)
	if err != nil {
		return nil, err
	}
	return p.run(p.program, bound, v.Spent)
}

// bindings are the values of the names that a program reads. They implement
// [interpreter.Activation].
type bindings []binding

type binding struct {
	name  string
	value ref.Val
}

func (b *bindings) add(name string, value ref.Val) { *b = append(*b, binding{name, value}) }

// ResolveName implements interpreter.Activation.
func (b bindings) ResolveName(name string) (any, bool) {
	for i := range b {
		if b[i].name == name {
			return b[i].value, true
		}
	}
	return nil, false
}

// Parent implements interpreter.Activation.
func (b bindings) Parent() interpreter.Activation { return nil }

// bind returns the values of the names that the program reads, and of no others.
func (p *program) bind(v orchestration.Variables, lately *cache[read]) (bindings, error) {
	if p.input(v) > maxInput {
		return nil, fmt.Errorf("what it reads is larger than %d MB", maxInput>>20)
	}
	in := &reader{lately: lately}
	bound := make(bindings, 0, 4)
	if p.uses["task"] {
		bound.add("task", types.String(v.Task))
	}
	if p.uses["run"] {
		bound.add("run", newObject(map[ref.Val]ref.Val{types.String("id"): types.String(v.Run)}))
	}
	if p.uses["context"] {
		given := v.Context
		if len(given) == 0 {
			given = json.RawMessage(`{}`)
		}
		value, err := in.json(given, "context")
		if err != nil {
			return nil, err
		}
		bound.add("context", value)
	}
	for _, name := range p.locals {
		value, err := in.json(v.Locals[name], name)
		if err != nil {
			return nil, err
		}
		bound.add(name, value)
	}
	var byID map[ref.Val]ref.Val
	if len(p.ids) > 0 {
		byID = make(map[ref.Val]ref.Val, len(p.ids))
	}
	for i := range v.Subtasks {
		s := &v.Subtasks[i]
		if _, read := slices.BinarySearch(p.reads.Subtasks, s.ID); !read {
			continue
		}
		value := in.subtask(s, p.outputs[s.ID])
		if p.byName[s.ID] {
			bound.add(s.ID, value)
		}
		if byID != nil {
			byID[types.String(s.ID)] = value
		}
	}
	if byID != nil {
		bound.add("subtasks", newObject(byID))
	}
	if in.values > maxValues {
		return nil, fmt.Errorf("what it reads has more than %d values", maxValues)
	}
	return bound, nil
}

// input returns how many bytes the program reads.
func (p *program) input(v orchestration.Variables) int {
	size := 0
	if p.uses["task"] {
		size += len(v.Task)
	}
	if p.uses["context"] {
		size += len(v.Context)
	}
	for _, name := range p.locals {
		size += len(v.Locals[name])
	}
	for i := range v.Subtasks {
		if s := &v.Subtasks[i]; s.Output != nil && p.outputs[s.ID] {
			size += len(*s.Output)
		}
	}
	return size
}

// names are what an expression may name besides what is always there.
type names struct {
	subtasks, locals []string
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
