package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/quote"
)

// Bounds of what templates in each other may come to.
const (
	maxNested   = 8
	maxSubtasks = 1000 // the most that a request may ask for
)

// Codes of what is wrong with a subtask of kind workflow, besides the plan's own.
const (
	problemUnknownParameter = "unknown_parameter"
	problemMissingParameter = "missing_parameter"
	problemViolation        = "schema_violation"
	problemNoTask           = "no_task"
)

// Resolve puts the templates that a plan's subtasks of kind workflow name into
// their places: Inlined.Body, Defaults and, as Name, name@version. It returns a
// new plan, and everything that is in the way; a subtask that something is wrong
// with stays as it was.
//
// Of a template that is put into a plan its plan and parameters count; all else
// that it presets is the run's. One without a plan is a body of one subtask of
// kind plan, with its task.
func (r Rules) Resolve(plan orchestration.Plan) (orchestration.Plan, []orchestration.Problem) {
	return r.resolve(plan, nil)
}

// resolve is Resolve for the plan of a template itself.
func (t *Template) resolve(rules Rules) (orchestration.Plan, []orchestration.Problem) {
	return rules.resolve(*t.Plan, []string{t.ID()})
}

func (r Rules) resolve(plan orchestration.Plan, path []string) (orchestration.Plan, []orchestration.Problem) {
	in := &inlining{rules: r, path: path, ids: idsOf(plan.Subtasks), room: maxSubtasks}
	plan.Subtasks = in.subtasks(plan.Subtasks, "/subtasks")
	return plan, in.problems
}

type inlining struct {
	rules    Rules
	path     []string // the templates that we are in, as name@version
	ids      []string // of the plan or template that we are in
	room     int      // for more subtasks: a few templates could come to very many
	full     bool     // there was no room for one
	checked  int      // bytes of expressions
	problems []orchestration.Problem
}

func (in *inlining) add(pointer, code, detail string, args ...any) {
	if len(in.problems) < maxFaults {
		in.problems = append(in.problems, orchestration.Problem{Pointer: pointer, Code: code, Detail: fmt.Sprintf(detail, args...)})
	}
}

// subtasks returns a copy of a list, with templates in their places.
func (in *inlining) subtasks(list []orchestration.Subtask, pointer string) []orchestration.Subtask {
	in.room -= len(list)
	list = slices.Clone(list)
	for i := range list {
		s, at := &list[i], pointer+"/"+strconv.Itoa(i)
		if s.ForEach != nil {
			whole := *s.ForEach
			s.ForEach = &whole
		}
		if s.Loop != nil {
			whole := *s.Loop
			s.Loop = &whole
		}
		for _, b := range bodiesOf(s) {
			*b.subtasks = in.subtasks(*b.subtasks, at+b.pointer)
		}
		if s.Workflow != nil {
			s.Workflow = in.inline(s.Workflow, at+"/workflow")
		}
	}
	return list
}

// inline returns the workflow that a subtask names, in its place.
func (in *inlining) inline(w *orchestration.Inlined, at string) *orchestration.Inlined {
	t, ok := in.rules.lookup(w.Name)
	if !ok {
		in.add(at+"/name", orchestration.ProblemUnknownWorkflow, "There is no workflow %q%s.", shortly(w.Name), hint(w.Name, in.rules.names()))
		return w
	}
	in.arguments(w, t, at)
	path := append(slices.Clone(in.path), t.ID())
	switch {
	case slices.Contains(in.path, t.ID()):
		in.add(at+"/name", orchestration.ProblemCycle, "The workflow is part of itself: %s.", strings.Join(path, " → "))
		return w
	case len(path) > maxNested:
		in.add(at+"/name", orchestration.ProblemTooDeep, "More than %d workflows are in each other: %s.", maxNested, strings.Join(path, " → "))
		return w
	}
	body, ok := t.body()
	if !ok {
		in.add(at+"/name", problemNoTask, "The workflow %s has neither a plan nor a task of its own, so that nothing can be put in its place.", t.ID())
		return w
	}
	if in.full {
		return w // which is told already
	}
	if in.full = len(body) > in.room; in.full {
		in.add(at+"/name", orchestration.ProblemTooMany, "With the workflow %s in its place the plan has too many subtasks.", t.ID())
		return w
	}
	ids := in.ids
	in.path, in.ids = path, idsOf(body)
	whole := orchestration.Inlined{Name: t.ID(), Context: maps.Clone(w.Context), Defaults: t.defaults(), Body: in.subtasks(body, at+"/body")}
	in.path, in.ids = path[:len(path)-1], ids
	return &whole
}

// arguments holds what a subtask gives a template to its parameters.
func (in *inlining) arguments(w *orchestration.Inlined, t *Template, at string) {
	var known []string
	for _, p := range t.Parameters {
		known = append(known, p.Name)
		if _, given := w.Context[p.Name]; p.Required && !given {
			in.add(at+"/context", problemMissingParameter, "The workflow %s needs the parameter %s.", t.ID(), p.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Context)) {
		p, ok := t.Parameter(name)
		pointer := below(at+"/context", name)
		if !ok {
			in.add(pointer, problemUnknownParameter, "The workflow %s has no parameter %s%s.", t.ID(), shortly(name), hint(name, known))
			continue
		}
		in.checked += len(w.Context[name])
		if in.rules.Plan.Expressions == nil || in.checked > orchestration.MaxExpressions { // the plan's check says so
			continue
		}
		reads, err := in.rules.Plan.Expressions.Check(w.Context[name], in.ids, locals)
		if err != nil || reads.Constant == nil {
			continue
		}
		if why := in.rules.conforms(p, reads.Constant); why != "" {
			in.add(pointer, problemViolation, "The value does not satisfy the schema of the parameter %s of the workflow %s: %s.", name, t.ID(), why)
		}
	}
}

// body returns the subtasks that stand for the template in a plan.
func (t *Template) body() ([]orchestration.Subtask, bool) {
	if t.Plan == nil {
		if t.Task == "" {
			return nil, false
		}
		task := quote.Append(nil, t.Task) // which is how CEL writes a text, too
		body := []orchestration.Subtask{{
			ID: "plan", Kind: orchestration.KindPlan, Plan: &orchestration.Nested{Task: string(task), MaxSubtasks: t.Planner.MaxSubtasks},
		}}
		complete(body)
		return body, true
	}
	body := slices.Clone(t.Plan.Subtasks)
	if t.Plan.Order == orchestration.OrderSequential {
		for i := 1; i < len(body); i++ {
			if before := body[i-1].ID; !slices.Contains(body[i].DependsOn, before) {
				body[i].DependsOn = append(slices.Clone(body[i].DependsOn), before)
			}
		}
	}
	return body, true
}

// defaults returns the parameters' defaults as a JSON object, in their order.
func (t *Template) defaults() json.RawMessage {
	var list []Preset
	for _, p := range t.Parameters {
		if p.Default != nil {
			list = append(list, Preset{p.Name, p.Default})
		}
	}
	return object(list)
}
