package orchestration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// wanted says what is wanted of an expression.
type wanted struct {
	at      string
	kind    string   // "bool", "list", "number", "string"; "": any
	options []string // of a decision, of which it gives one, or true or false for the first two
	locals  []string // besides those of the level
	passes  string   // the input or argument that it is for: an output may be passed on unseen
	body    *level   // of a loop's conditions: its own body, whose names they know
}

// expressions checks every expression of a subtask, and has it depend on what
// they name.
func (c *planCheck) expressions(l *level, i int) {
	s := &l.subtasks[i]
	if s.plain() {
		return
	}
	at := l.at + "/" + strconv.Itoa(i)
	one := func(text string, w wanted) {
		if text != "" {
			w.at = at + w.at
			c.expression(l, i, text, w)
		}
	}
	all := func(of map[string]string, w wanted) {
		for _, name := range names(of) {
			w := w
			w.at += "/" + escape(name)
			if w.passes != "" {
				w.passes = name
			}
			one(of[name], w)
		}
	}
	one(s.When, wanted{at: "/when", kind: "bool"})
	all(s.Input, wanted{at: "/input", passes: "*"})
	one(s.Gives, wanted{at: "/output", locals: []string{"output"}})
	if s.Check != nil {
		one(s.Check.Expr, wanted{at: "/check/expr", kind: "bool", locals: []string{"output"}})
	}
	if s.Tool != nil {
		all(s.Tool.Arguments, wanted{at: "/tool/arguments", passes: "*"})
	}
	if s.Compensate != nil {
		all(s.Compensate.Arguments, wanted{at: "/compensate/arguments", locals: []string{"output"}})
	}
	if d := s.Decide; d != nil {
		kinds := map[DecideBy]string{DecideByRegex: "string", DecideByThreshold: "number"}
		one(d.Value, wanted{at: "/decide/value", kind: kinds[d.By]})
		one(d.Expr, wanted{at: "/decide/expr", options: d.Options})
	}
	if s.ForEach != nil {
		one(s.ForEach.Items, wanted{at: "/for_each/items", kind: "list"})
		c.required(s.ForEach.Items, at+"/for_each/items")
	}
	if s.Plan != nil {
		one(s.Plan.Task, wanted{at: "/plan/task", kind: "string"})
		c.required(s.Plan.Task, at+"/plan/task")
	}
	if s.Workflow != nil {
		all(s.Workflow.Context, wanted{at: "/workflow/context"})
	}
}

// plain reports whether a subtask has no expressions, as most have none.
func (s *Subtask) plain() bool {
	return s.Kind == KindWorker && s.When == "" && len(s.Input) == 0 && s.Gives == "" && s.Check == nil && s.Compensate == nil
}

func (c *planCheck) required(text, at string) {
	if strings.TrimSpace(text) == "" {
		c.add(ProblemMissingKey, at, "An expression is needed here.")
	}
}

// MaxExpressions bounds the expressions of a plan, in bytes of all together: to
// check one takes up to 25 microseconds a byte.
const MaxExpressions = 128 << 10

// expression checks one expression of the i-th subtask of a level.
func (c *planCheck) expression(l *level, i int, text string, w wanted) {
	before := c.expressed
	if c.expressed += len(text); c.expressed > MaxExpressions {
		if before <= MaxExpressions {
			c.add(ProblemBadExpression, w.at, "The expressions of a plan have at most %d bytes in all; here there are more.", MaxExpressions)
		}
		return
	}
	if c.rules.Expressions == nil {
		c.add(ProblemBadExpression, w.at, "There are no expressions here.")
		return
	}
	visible, locals := []string(nil), w.locals
	if l != nil {
		visible, locals = l.visible, slices.Concat(l.locals, w.locals)
	}
	if w.body != nil {
		visible, locals = w.body.visible, slices.Concat(w.body.locals, w.locals)
	}
	reads, err := c.rules.Expressions.Check(text, visible, locals)
	if err != nil {
		c.add(ProblemBadExpression, w.at, "%s", err)
		return
	}
	if reads.Kind != "" && w.kind != "" && reads.Kind != w.kind {
		c.add(ProblemBadExpression, w.at, "The expression must give a %s; it gives a %s.", w.kind, reads.Kind)
	}
	if w.kind == "bool" && string(reads.Constant) == "false" {
		c.add(ProblemUnreachable, w.at, "The condition is never true.")
	}
	if always := string(reads.Constant); w.options != nil && always != "" && always != "true" && always != "false" {
		c.option(l.subtasks[i].ID, w.options, TextOf(always), w.at)
	}
	for _, id := range reads.Subtasks {
		c.read(l, i, id, w.passes == "" || reads.Bare != id, w)
	}
	if w.passes != "" && reads.Bare != "" {
		s := &l.subtasks[i]
		if s.Passes == nil {
			s.Passes = make(map[string]string)
		}
		s.Passes[w.passes] = reads.Bare
	}
	for _, compared := range reads.Compared {
		c.compared(l, compared, w)
	}
}

// read has a subtask depend on one that its expression reads.
func (c *planCheck) read(l *level, i int, id string, keep bool, w wanted) {
	if w.body != nil {
		if on, here := w.body.place[id]; here {
			w.body.subtasks[on].Kept = true
			return
		}
	}
	s := &l.subtasks[i]
	if !slices.Contains(s.Uses, id) {
		s.Uses = append(s.Uses, id)
	}
	on, here := l.place[id]
	switch {
	case here && on == i:
		c.add(ProblemSelfDependency, w.at, "The expression of %s reads %s itself.", s.ID, s.ID)
	case here:
		l.imply(i, id)
		l.subtasks[on].Kept = l.subtasks[on].Kept || keep
	default:
		c.outside(l, id, keep, w.at, "The expression reads "+id)
	}
}

// compared refuses a comparison with an option that a decision does not have:
// that branch could never be taken.
func (c *planCheck) compared(l *level, with Comparison, w wanted) {
	levels := []*level{l}
	if w.body != nil {
		levels = []*level{w.body, l}
	}
	for _, l := range levels {
		for ; l != nil; l = l.outer {
			i, here := l.place[with.Subtask]
			if !here {
				continue
			}
			if d := l.subtasks[i].Decide; d != nil {
				c.option(with.Subtask, d.Options, with.Text, w.at)
			}
			return
		}
	}
}

// option refuses what is none of a decision's options.
func (c *planCheck) option(id string, options []string, text, at string) {
	if !slices.Contains(options, text) {
		c.add(ProblemUnknownOption, at, "%s has no option %q; it has %s.", id, beginning(text, 64), strings.Join(options, ", "))
	}
}

// body checks the body of a composite subtask.
func (c *planCheck) body(l *level, i int) {
	s := &l.subtasks[i]
	body := s.body()
	if body == nil {
		return
	}
	in := &level{
		at:    fmt.Sprintf("%s/%d/%s/body", l.at, i, s.Kind),
		outer: l, owner: i, depth: l.depth + 1, locals: l.locals,
	}
	switch {
	case s.ForEach != nil:
		in.order, in.locals = s.ForEach.Order, slices.Concat(l.locals, []string{"item", "index"})
		s.ForEach = copied(s.ForEach)
	case s.Loop != nil:
		in.order, in.locals = s.Loop.Order, slices.Concat(l.locals, []string{"iteration", "previous"})
		s.Loop = copied(s.Loop)
	case s.Workflow != nil: // a template knows nothing of what is round it
		in.outer, in.locals = nil, nil
		s.Workflow = copied(s.Workflow)
	}
	switch {
	case in.depth > maxDepth:
		c.add(ProblemTooDeep, in.at, "Bodies stand in bodies at most %d deep.", maxDepth)
		return
	case len(*body) == 0:
		c.add(ProblemEmpty, in.at, "The body of %s has no subtasks.", s.ID)
		return
	}
	body = s.body()
	*body = c.level(in, *body)
	if loop := s.Loop; loop != nil {
		loop.Order = ""
		w := wanted{kind: "bool", locals: []string{"output"}, body: in}
		if loop.Until != "" {
			w.at = fmt.Sprintf("%s/%d/loop/until", l.at, i)
			c.expression(l, i, loop.Until, w)
		}
		if loop.StopWhenUnchanged != "" {
			w.at, w.kind = fmt.Sprintf("%s/%d/loop/stop_when_unchanged", l.at, i), ""
			c.expression(l, i, loop.StopWhenUnchanged, w)
		}
	} else if s.ForEach != nil {
		s.ForEach.Order = ""
	}
}

func copied[T any](of *T) *T {
	c := *of
	return &c
}

// body returns the body of a composite subtask that has one in the plan, nil for
// any other.
func (s *Subtask) body() *[]Subtask {
	switch {
	case s.Kind == KindForEach && s.ForEach != nil:
		return &s.ForEach.Body
	case s.Kind == KindLoop && s.Loop != nil:
		return &s.Loop.Body
	case s.Kind == KindWorkflow && s.Workflow != nil:
		return &s.Workflow.Body
	}
	return nil
}
