package orchestration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// childID returns the id of a subtask of a body.
func childID(parent string, round int, id string) string {
	return string(appendChildID(nil, parent, round, id))
}

func appendChildID(to []byte, parent string, round int, id string) []byte {
	if parent != "" {
		to = append(append(to, parent...), '.')
		to = append(strconv.AppendInt(to, int64(round), 10), '.')
	}
	return append(to, id...)
}

// child returns the subtask of a body, nil if there is none.
func (r *Run) child(parent string, round int, id string) *SubtaskState {
	var room [128]byte
	return r.known(appendChildID(room[:0], parent, round, id))
}

// resolve returns the subtask that s knows by a name: of its own body, or of one
// further out. Nil: there is none.
func (r *Run) resolve(s *SubtaskState, name string) *SubtaskState {
	for at := s; ; at = r.Subtask(at.Parent) {
		if named := r.child(at.Parent, at.Round, name); named != nil {
			return named
		}
		if at.Parent == "" || r.Subtask(at.Parent).Kind == KindWorkflow {
			return nil
		}
	}
}

// whole returns the whole output of a subtask, as far as the run holds it.
func (s *SubtaskState) whole() string {
	if s.Value != "" {
		return s.Value
	}
	return s.Output.Whole
}

// gave returns the whole output of a subtask, nil where it has none.
func (s *SubtaskState) gave() *string {
	switch {
	case s.Status != StatusSucceeded:
		return nil
	case s.Value != "":
		return &s.Value
	}
	return &s.Output.Whole
}

// variable returns a subtask as expressions see it by that name.
func (s *SubtaskState) variable(name string) Variable {
	return Variable{ID: name, Status: s.Status, Plain: s.Kind == KindDecide, Output: s.gave()}
}

// A scope is what was worked out about a subtask that is about to begin. It holds
// until the next event.
type scope struct {
	of        *SubtaskState
	seq       int64
	variables *Variables
	given     []Value
	failure   *Failure // why there is none
	evaluated bool     // given, or why not
}

// scopeOf returns the scope of a subtask. It is asked for again and again: for a
// subtask's condition, for what it is given, and by whatever has to know its size.
func (r *Run) scopeOf(s *SubtaskState) *scope {
	if r.scope.of != s || r.scope.seq != r.Seq {
		r.scope = scope{of: s, seq: r.Seq}
	}
	return &r.scope
}

// variables returns what the expressions of a subtask are evaluated over.
func (r *Run) variables(s *SubtaskState) *Variables {
	at := r.scopeOf(s)
	if at.variables != nil {
		return at.variables
	}
	v := &Variables{Task: r.Spec.Task, Context: r.contextOf(s), Run: r.ID, Locals: r.locals(s), Spent: &r.spent}
	if len(s.Uses) > 0 {
		v.Subtasks = make([]Variable, 0, len(s.Uses))
	}
	for _, name := range s.Uses {
		if on := r.resolve(s, name); on != nil {
			v.Subtasks = append(v.Subtasks, on.variable(name))
		}
	}
	at.variables = v
	return v
}

// template returns the innermost template that a subtask is a part of, nil if it is
// of none.
func (r *Run) template(s *SubtaskState) *SubtaskState {
	for s.Parent != "" {
		if s = r.Subtask(s.Parent); s.Kind == KindWorkflow {
			return s
		}
	}
	return nil
}

// contextOf returns the context that a subtask sees.
func (r *Run) contextOf(s *SubtaskState) json.RawMessage {
	if t := r.template(s); t != nil {
		return t.Context
	}
	return r.Spec.Context
}

// locals returns what a subtask of a body knows of the round that it is in. Where
// bodies stand in bodies the inner names go first.
func (r *Run) locals(s *SubtaskState) []Variable {
	if s.Parent == "" {
		return nil
	}
	locals := make([]Variable, 0, 2)
	set := func(name string, value *string) {
		if !slices.ContainsFunc(locals, func(v Variable) bool { return v.ID == name }) {
			locals = append(locals, Variable{ID: name, Output: value})
		}
	}
	for s.Parent != "" {
		round := s.Round
		s = r.Subtask(s.Parent)
		switch s.Kind {
		case KindForEach:
			set("item", &s.list()[round-1])
			set("index", numeral(round-1))
		case KindLoop:
			set("iteration", numeral(round))
			set("previous", r.previous(s, round))
		case KindWorkflow:
			return locals
		}
	}
	return locals
}

func numeral(n int) *string {
	text := strconv.Itoa(n)
	return &text
}

// list returns the items of a for_each, each as JSON. They are read once: each of
// very many rounds asks for them.
func (s *SubtaskState) list() []string {
	if s.items == nil {
		s.items, _ = elements(s.Items)
	}
	return s.items
}

// previous returns the output of a loop's round before that one. Nil: there is none.
// It is put together once: each subtask of a wide body asks for it.
func (r *Run) previous(s *SubtaskState, round int) *string {
	if round < 2 {
		return nil
	}
	if s.before.round != round-1 {
		s.before = roundOutput{round - 1, r.bodyOutput(s, round-1)}
	}
	return s.before.output
}

// A roundOutput is what a round of a loop, that has ended, gave.
type roundOutput struct {
	round  int
	output *string
}

// maxSpent bounds what the expressions of a run may cost together in a process: a
// run's decisions are made one after the other, and hold up its own end meanwhile.
const maxSpent = 50_000_000

// eval evaluates an expression of a subtask. What is wrong is a failure of the
// subtask, since it follows from what others gave.
func (r *Run) eval(key, expression string, v *Variables) (string, *Failure) {
	if r.funcs.Expressions == nil {
		return "", &Failure{Code: CodeInternal, Detail: "This server evaluates no expressions."}
	}
	if *v.Spent > maxSpent {
		return "", &Failure{Code: CodeOutputInvalid, Detail: fmt.Sprintf("The expression in %s was not evaluated: those of the run cost too much together.", key)}
	}
	value, err := r.funcs.Expressions.Eval(expression, v)
	if err != nil {
		return "", &Failure{Code: CodeOutputInvalid, Detail: fmt.Sprintf("The expression in %s could not be evaluated: %s", key, beginning(err.Error(), 500))}
	}
	return value, nil
}

// holds evaluates a condition. One that gives neither true nor false is a failure:
// taken for false it would leave work out in silence.
func (r *Run) holds(key, expression string, v *Variables) (bool, *Failure) {
	value, failure := r.eval(key, expression, v)
	if failure == nil && value != "true" && value != "false" {
		failure = &Failure{Code: CodeOutputInvalid, Detail: fmt.Sprintf("The condition in %s gave neither true nor false.", key)}
	}
	return value == "true", failure
}
