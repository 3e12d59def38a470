package orchestration

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"
)

// given returns what a subtask is given by name: its input or, of a tool, its
// arguments.
func (r *Run) given(s *SubtaskState) ([]Value, *Failure) {
	at := r.scopeOf(s)
	if !at.evaluated {
		at.given, at.failure = r.give(s)
		at.evaluated = true
	}
	return at.given, at.failure
}

// give evaluates what a subtask is given. An output that is passed on as it is goes
// by reference.
func (r *Run) give(s *SubtaskState) ([]Value, *Failure) {
	key, of := "input.", s.Input
	if s.Kind == KindTool {
		key, of = "tool.arguments.", s.Tool.Arguments
	}
	if s.Kind == KindPlan {
		if _, failure := r.planTask(s); failure != nil {
			return nil, failure
		}
	}
	if len(of) == 0 {
		return nil, nil
	}
	values := make([]Value, 0, len(of))
	for _, name := range names(of) {
		if passes := s.Passes[name]; passes != "" {
			if on := r.resolve(s, passes); on != nil {
				values = append(values, on.passed(name))
				continue
			}
		}
		value, failure := r.eval(key+name, of[name], r.variables(s))
		if failure != nil {
			return nil, failure
		}
		values = append(values, jsonValue(name, value))
	}
	return values, nil
}

// passed returns a subtask's output as it is passed on.
func (s *SubtaskState) passed(name string) Value {
	switch {
	case s.Status != StatusSucceeded:
		return jsonValue(name, "null")
	case s.Kind == KindDecide:
		return jsonValue(name, string(encoded(s.whole())))
	}
	return Value{Name: name, Text: s.Output}
}

func jsonValue(name, value string) Value {
	return Value{Name: name, Text: Text{Whole: value, Bytes: len(value)}, JSON: true}
}

// planTask returns what the planner of a part of the run is to plan.
func (r *Run) planTask(s *SubtaskState) (string, *Failure) {
	value, failure := r.eval("plan.task", s.Plan.Task, r.variables(s))
	task := TextOf(value)
	if failure == nil && (value == "null" || strings.TrimSpace(task) == "") {
		failure = &Failure{Code: CodeOutputInvalid, Detail: "plan.task gave no text: there is nothing to plan."}
	}
	return task, failure
}

// shown returns the dependencies whose outputs a subtask sees, in the order in which it
// names them: not those that only its expressions name.
func (r *Run) shown(s *SubtaskState) iter.Seq[*SubtaskState] {
	return func(yield func(*SubtaskState) bool) {
		for _, on := range r.node(s).needs {
			if !slices.Contains(s.Implied, on.ID) && !yield(on.SubtaskState) {
				return
			}
		}
	}
}

// work returns the command of a subtask's present attempt.
func (r *Run) work(s *SubtaskState) Work {
	given, _ := r.given(s) // as when the attempt began
	return r.workWith(s, given)
}

func (r *Run) workWith(s *SubtaskState, given []Value) Work {
	c := Work{
		Subtask:  s.Subtask,
		Attempt:  s.Attempts,
		Call:     s.Call,
		Model:    s.Model,
		Fallback: s.FellBack,
		Reserved: s.Reserved,
		Worker:   s.Performer,
		Priority: r.node(s).path,
		Rework:   s.Rework,
		Judge:    s.Judge,
		Inputs:   given,
		Timeout:  time.Duration(s.Timeout),
		CacheKey: s.CacheKey,
	}
	if len(s.DependsOn) > 0 {
		// In plan order, whatever the order in which it names them: prompts of subtasks
		// that build on the same outputs then begin alike.
		shown := slices.AppendSeq(make([]*SubtaskState, 0, len(s.DependsOn)), r.shown(s))
		slices.SortFunc(shown, func(a, b *SubtaskState) int { return cmp.Compare(a.node.place, b.node.place) })
		c.Dependencies = make([]Result, len(shown))
		for i, on := range shown {
			c.Dependencies[i] = on.result()
		}
	}
	if t := r.template(s); t != nil && string(t.Context) != string(r.Spec.Context) {
		c.Context = t.Context
	}
	switch s.Kind {
	case KindPlan:
		c.Task, _ = r.planTask(s)
	case KindWorker:
		c.Checks, c.Policy = slices.Clone(r.Spec.Policy), len(r.Spec.Policy)
	}
	if s.Check != nil {
		c.Checks = append(c.Checks, *s.Check)
	}
	return c
}
