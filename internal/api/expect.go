package api

import (
	"cmp"
	"encoding/json"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/workflow"
)

// What a call is taken to need where its texts are not known yet, in tokens.
const (
	expectedAnswer = 500
	expectedPrompt = 300
	bytesPerToken  = 4
)

// An estimate adds up the calls that a run makes at least, when nothing fails.
type estimate struct {
	defaults Defaults
	calls    int
	cost     float64
	unpriced bool // a model's price is not known, so no cost is
	checked  int  // bytes of expressions
}

// expect estimates what a run of the plan comes to.
func (d Defaults) expect(plan orchestration.Plan) Expected {
	e := estimate{defaults: d}
	e.body(plan.Subtasks, 1)
	e.synthesis(len(plan.Subtasks))
	return e.expected()
}

// presetBy returns the defaults of runs of a template.
func (d Defaults) presetBy(t *workflow.Template) Defaults {
	d.Planner.Model = cmp.Or(t.Planner.Model, d.Planner.Model)
	d.Planner.MinSubtasks = cmp.Or(t.Planner.MinSubtasks, d.Planner.MinSubtasks)
	d.Worker.Model = cmp.Or(t.Worker.Model, d.Worker.Model)
	d.Synthesizer.Model = cmp.Or(t.Synthesizer.Model, d.Synthesizer.Model)
	d.Synthesizer.Mode = cmp.Or(t.Synthesizer.Mode, d.Synthesizer.Mode)
	return d
}

// expectOf estimates what a run comes to whose plan is this or, without one, the
// planner's.
func (d Defaults) expectOf(plan *orchestration.Plan) Expected {
	if plan == nil {
		return d.expectPlanned()
	}
	return d.expect(*plan)
}

// expectPlanned estimates what a run comes to whose plan the planner makes.
func (d Defaults) expectPlanned() Expected {
	e := estimate{defaults: d}
	subtasks := max(d.Planner.MinSubtasks, 1)
	e.call(d.Planner.Model, 0, 1)
	e.call(d.Worker.Model, 0, subtasks)
	e.synthesis(subtasks)
	return e.expected()
}

func (e *estimate) expected() Expected {
	if e.unpriced {
		return Expected{Calls: e.calls}
	}
	return Expected{Calls: e.calls, CostUsd: &e.cost}
}

// call adds so many calls of a model, with so many tokens of known texts each.
func (e *estimate) call(model string, tokens, times int) {
	price := e.defaults.model(model).Price
	e.calls += times
	e.unpriced = e.unpriced || price == nil
	e.cost += float64(times) * price.Cost(orchestration.Usage{PromptTokens: expectedPrompt + tokens, CompletionTokens: expectedAnswer})
}

// synthesis adds the answer of so many results. A lone output is the answer.
func (e *estimate) synthesis(results int) {
	if e.defaults.Synthesizer.Mode != orchestration.SynthesizeNone && results > 1 {
		e.call(e.defaults.Synthesizer.Model, results*expectedAnswer, 1)
	}
}

func (e *estimate) body(subtasks []orchestration.Subtask, times int) {
	for i := range subtasks {
		e.subtask(&subtasks[i], times)
	}
}

// subtask adds what performing a subtask so many times takes.
func (e *estimate) subtask(s *orchestration.Subtask, times int) {
	tokens := len(s.Description)/bytesPerToken + len(s.DependsOn)*expectedAnswer
	switch s.Kind {
	case "", orchestration.KindWorker:
		e.call(e.defaults.performer(s), tokens, times)
		if s.Check != nil && s.Check.Rubric != "" {
			e.call(e.defaults.Evaluator.Model, expectedAnswer+len(s.Check.Rubric)/bytesPerToken, times)
		}
	case orchestration.KindDecide:
		if s.Decide != nil && s.Decide.By == orchestration.DecideByModel {
			e.call(e.defaults.Evaluator.Model, tokens+len(s.Decide.Prompt)/bytesPerToken, times)
		}
	case orchestration.KindPlan:
		e.call(e.defaults.Planner.Model, tokens, times)
		e.call(e.defaults.Worker.Model, 0, times)
	case orchestration.KindForEach:
		if s.ForEach != nil {
			e.body(s.ForEach.Body, times*e.items(s.ForEach.Items))
		}
	default: // one of tool, merge and approval calls no model
		for _, body := range s.Bodies() {
			e.body(body, times)
		}
	}
}

// maxExpectedItems bounds a list that is written out.
const maxExpectedItems = 1000

// items returns how many items a list has that is written out, otherwise 1. Of a plan
// with more expressions than it may have no others are looked at.
func (e *estimate) items(expression string) int {
	if e.checked += len(expression); e.defaults.Expressions == nil || e.checked > orchestration.MaxExpressions {
		return 1
	}
	reads, err := e.defaults.Expressions.Check(expression, nil, nil)
	var items []json.RawMessage
	if err != nil || reads.Constant == nil || json.Unmarshal(reads.Constant, &items) != nil {
		return 1
	}
	return min(len(items), maxExpectedItems)
}

// performer returns the model of the worker that performs a subtask.
func (d Defaults) performer(s *orchestration.Subtask) string {
	for _, name := range []string{s.Worker, s.Type} {
		for _, w := range d.Workers {
			if w.Name == name {
				return cmp.Or(w.Model, d.Worker.Model)
			}
		}
	}
	return d.Worker.Model
}
