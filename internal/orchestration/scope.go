package orchestration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// childID returns the id of a subtask of a body.
func childID(parent string, round int, id string) string {
	if parent == "" {
		return id
	}
	return parent + "." + strconv.Itoa(round) + "." + id
}

// resolve returns the subtask that s knows by a name: of its own body, or of one
// further out. Nil: there is none.
func (r *Run) resolve(s *SubtaskState, name string) *SubtaskState {
	for at := s; ; at = r.Subtask(at.Parent) {
		if named := r.Subtask(childID(at.Parent, at.Round, name)); named != nil {
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

// variable returns a subtask as expressions see it by that name.
func (s *SubtaskState) variable(name string) Variable {
	v := Variable{ID: name, Status: s.Status, Plain: s.Kind == KindDecide}
	if s.Status == StatusSucceeded {
		output := s.whole()
		v.Output = &output
	}
	return v
}

// variables returns what the expressions of a subtask are evaluated over.
func (r *Run) variables(s *SubtaskState) Variables {
	v := Variables{Task: r.Spec.Task, Context: r.contextOf(s), Run: r.ID, Locals: r.locals(s)}
	for _, name := range s.Uses {
		if on := r.resolve(s, name); on != nil {
			v.Subtasks = append(v.Subtasks, on.variable(name))
		}
	}
	return v
}

// contextOf returns the context that a subtask sees: that of the innermost
// template that it is a part of.
func (r *Run) contextOf(s *SubtaskState) json.RawMessage {
	for s.Parent != "" {
		s = r.Subtask(s.Parent)
		if s.Kind == KindWorkflow {
			return s.Context
		}
	}
	return r.Spec.Context
}

// locals returns what a subtask of a body knows of the round that it is in. Where
// bodies stand in bodies the inner names go first.
func (r *Run) locals(s *SubtaskState) map[string]json.RawMessage {
	locals := map[string]json.RawMessage{}
	set := func(name string, value json.RawMessage) {
		if _, hidden := locals[name]; !hidden {
			locals[name] = value
		}
	}
	for s.Parent != "" {
		round := s.Round
		s = r.Subtask(s.Parent)
		switch s.Kind {
		case KindForEach:
			set("item", s.list()[round-1])
			set("index", json.RawMessage(strconv.Itoa(round-1)))
		case KindLoop:
			set("iteration", json.RawMessage(strconv.Itoa(round)))
			set("previous", r.previous(s, round))
		case KindWorkflow:
			return locals
		}
	}
	return locals
}

// list returns the items of a for_each. They are read once: each of very many
// rounds asks for them.
func (s *SubtaskState) list() []json.RawMessage {
	if s.items == nil {
		_ = json.Unmarshal(s.Items, &s.items) // a list
	}
	return s.items
}

// previous returns the output of a loop's round before that one, as JSON.
func (r *Run) previous(s *SubtaskState, round int) json.RawMessage {
	if round < 2 {
		return json.RawMessage("null")
	}
	return jsonOf(r.bodyOutput(s, round-1))
}

// maxSpent bounds what the expressions of a run may cost together in a process: a
// run's decisions are made one after the other, and hold up its own end meanwhile.
const maxSpent = 50_000_000

// eval evaluates an expression of a subtask. What is wrong is a failure of the
// subtask, since it follows from what others gave.
func (r *Run) eval(key, expression string, v Variables) (json.RawMessage, *Failure) {
	if r.funcs.Expressions == nil {
		return nil, &Failure{Code: CodeInternal, Detail: "This server evaluates no expressions."}
	}
	if r.spent > maxSpent {
		return nil, &Failure{Code: CodeOutputInvalid, Detail: fmt.Sprintf("The expression in %s was not evaluated: those of the run cost too much together.", key)}
	}
	v.Spent = &r.spent
	value, err := r.funcs.Expressions.Eval(expression, v)
	if err != nil {
		return nil, &Failure{Code: CodeOutputInvalid, Detail: fmt.Sprintf("The expression in %s could not be evaluated: %s", key, beginning(err.Error(), 500))}
	}
	return value, nil
}

// holds evaluates a condition. One that gives neither true nor false is a failure:
// taken for false it would leave work out in silence.
func (r *Run) holds(key, expression string, v Variables) (bool, *Failure) {
	value, failure := r.eval(key, expression, v)
	if failure == nil && string(value) != "true" && string(value) != "false" {
		failure = &Failure{Code: CodeOutputInvalid, Detail: fmt.Sprintf("The condition in %s gave neither true nor false.", key)}
	}
	return string(value) == "true", failure
}

// textOf returns a JSON value as an output: texts as they are, all else as JSON.
func textOf(value json.RawMessage) string {
	var text string
	if len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// jsonOf returns an output as a JSON value: as it is where it is JSON, and as a
// string where not. Nil is null.
func jsonOf(output *string) json.RawMessage {
	switch {
	case output == nil:
		return json.RawMessage("null")
	case MayBeJSON(*output) && json.Valid([]byte(*output)):
		return json.RawMessage(*output)
	}
	return encoded(*output)
}

// MayBeJSON reports whether a text begins as JSON does: most prose does not.
func MayBeJSON(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(text, word) {
			return true
		}
	}
	return text != "" && strings.IndexByte(`{["-0123456789`, text[0]) >= 0
}

// compactOf returns what jsonOf does, without the spaces between its parts.
func compactOf(output *string) json.RawMessage {
	if output != nil && MayBeJSON(*output) {
		var b bytes.Buffer
		if json.Compact(&b, []byte(*output)) == nil {
			return b.Bytes()
		}
	}
	return jsonOf(output)
}

// encoded writes what always can be written as JSON: texts, and values that are
// JSON already. Texts are left as legible as they are.
func encoded(value any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
