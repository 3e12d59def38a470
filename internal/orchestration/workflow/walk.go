package workflow

import (
	"maps"
	"slices"
	"strconv"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// locals are all variables that some expression may read. Where one may not, the
// plan's check says so.
var locals = []string{"item", "index", "iteration", "previous", "output"}

// idsOf returns the ids of all subtasks, those of bodies too.
func idsOf(subtasks []orchestration.Subtask) (ids []string) {
	for i := range subtasks {
		ids = append(ids, subtasks[i].ID)
		for _, b := range bodiesOf(&subtasks[i]) {
			ids = append(ids, idsOf(*b.subtasks)...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// A body is the subtasks inside one.
type body struct {
	pointer  string // from the subtask
	subtasks *[]orchestration.Subtask
}

// bodiesOf returns the bodies that are written into a subtask.
func bodiesOf(s *orchestration.Subtask) (list []body) {
	if s.ForEach != nil {
		list = append(list, body{"/for_each/body", &s.ForEach.Body})
	}
	if s.Loop != nil {
		list = append(list, body{"/loop/body", &s.Loop.Body})
	}
	return list
}

// eachExpression calls see with every expression and its pointer, in the order of
// the plan.
func eachExpression(subtasks []orchestration.Subtask, pointer string, see func(pointer, expression string)) {
	for i := range subtasks {
		s, at := &subtasks[i], pointer+"/"+strconv.Itoa(i)
		one := func(key, expression string) {
			if expression != "" {
				see(at+key, expression)
			}
		}
		several := func(key string, expressions map[string]string) {
			for _, name := range slices.Sorted(maps.Keys(expressions)) {
				one(below(key, name), expressions[name])
			}
		}
		one("/when", s.When)
		several("/input", s.Input)
		one("/output", s.Gives)
		if s.Tool != nil {
			several("/tool/arguments", s.Tool.Arguments)
		}
		if s.Decide != nil {
			one("/decide/value", s.Decide.Value)
			one("/decide/expr", s.Decide.Expr)
		}
		if s.ForEach != nil {
			one("/for_each/items", s.ForEach.Items)
		}
		if s.Loop != nil {
			one("/loop/until", s.Loop.Until)
			one("/loop/stop_when_unchanged", s.Loop.StopWhenUnchanged)
		}
		if s.Plan != nil {
			one("/plan/task", s.Plan.Task)
		}
		if s.Workflow != nil {
			several("/workflow/context", s.Workflow.Context)
		}
		if s.Check != nil {
			one("/check/expr", s.Check.Expr)
		}
		if s.Compensate != nil {
			several("/compensate/arguments", s.Compensate.Arguments)
		}
		for _, b := range bodiesOf(s) {
			eachExpression(*b.subtasks, at+b.pointer, see)
		}
	}
}
