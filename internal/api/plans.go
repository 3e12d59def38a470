package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// plan takes the caller's own plan, if there is one, and checks it.
func (a *acceptance) plan(spec *orchestration.Spec, body map[string]any) {
	if a.request.Plan == nil {
		return
	}
	plan := planOf(a.request.Plan)
	raw, _ := body["plan"].(map[string]any)
	faults := unsupportedKeys(raw)
	for _, f := range faults {
		a.add(codeNotSupported, "/plan"+f.Pointer, f.Code, f.Detail)
	}
	problems := a.defaults.problems(plan, spec.Limits.MaxSubtasks)
	for _, p := range problems {
		a.add(orchestration.CodePlanInvalid, "/plan"+p.Pointer, p.Code, p.Detail)
	}
	if len(faults)+len(problems) == 0 {
		spec.Plan = &plan
	}
}

// planOf reads a plan as the contract describes it: a missing id is T1, T2, …
// by place, and order: sequential chains the subtasks.
func planOf(request *PlanRequest) orchestration.Plan {
	plan := orchestration.Plan{Version: 1, Analysis: request.Analysis, Subtasks: make([]orchestration.Subtask, len(request.Subtasks))}
	for i, r := range request.Subtasks {
		s := orchestration.Subtask{
			ID: r.Id, Kind: orchestration.KindWorker, Type: r.Type, Worker: r.Worker, Description: r.Description,
			DependsOn: r.DependsOn, After: orchestration.After(r.After),
		}
		_ = json.Unmarshal(r.OnFailure, &s.OnFailure.Do) // an object is refused as not supported
		if s.ID == "" {
			s.ID = fmt.Sprintf("T%d", i+1)
		}
		if s.Type == "" {
			s.Type = orchestration.DefaultType
		}
		if s.After == "" {
			s.After = orchestration.AfterSucceeded
		}
		if request.Order == PlanRequestOrderSequential && i > 0 {
			if before := plan.Subtasks[i-1].ID; !slices.Contains(s.DependsOn, before) {
				s.DependsOn = append(s.DependsOn, before)
			}
		}
		plan.Subtasks[i] = s
	}
	return plan
}

// problems returns what is wrong with a plan: in itself, and for this server.
func (d Defaults) problems(plan orchestration.Plan, most int) []orchestration.Problem {
	problems := plan.Check(orchestration.Rules{MaxSubtasks: most})
	for i, s := range plan.Subtasks {
		if s.Worker == "" {
			continue
		}
		known := slices.ContainsFunc(d.Workers, func(w orchestration.Worker) bool { return w.Name == s.Worker })
		if !known {
			problems = append(problems, orchestration.Problem{
				Pointer: fmt.Sprintf("/subtasks/%d/worker", i), Code: "unknown_worker",
				Detail: "There is no configured worker of that name.",
			})
		}
	}
	return problems
}

// unsupportedKeys returns what a plan asks for and nothing carries out yet. Its
// pointers are into the plan.
func unsupportedKeys(plan map[string]any) []Fault {
	keys := []string{
		"when", "input", "output", "tool", "decide", "for_each", "loop", "plan", "approval", "workflow",
		"merge", "check", "retry", "timeout", "cache", "compensate",
	}
	var faults []Fault
	subtasks, _ := plan["subtasks"].([]any)
	for i, item := range subtasks {
		subtask, _ := item.(map[string]any)
		refuse := func(key, detail string) {
			faults = append(faults, Fault{Pointer: fmt.Sprintf("/subtasks/%d/%s", i, key), Code: string(codeNotSupported), Detail: detail})
		}
		if kind, given := subtask["kind"]; given && kind != string(orchestration.KindWorker) {
			refuse("kind", "only the kind worker is supported yet")
		}
		if _, whole := subtask["on_failure"].(map[string]any); whole {
			refuse("on_failure", "what to fall back on cannot be said yet; a plain fallback can")
		}
		for _, key := range keys {
			if _, given := subtask[key]; given {
				refuse(key, "not supported yet")
			}
		}
	}
	return faults
}

// ValidatePlan says what is wrong with a plan, and what a run of it would come to.
func (s *server) ValidatePlan(ctx context.Context, request ValidatePlanRequestObject) (ValidatePlanResponseObject, error) {
	raw, _ := exchangeOf(ctx).body.(map[string]any)
	plan := planOf(request.Body)
	problems := slices.Concat(unsupportedKeys(raw), s.Defaults.problems(plan, s.Defaults.Limits.MaxSubtasks))
	return ok(Validation{
		Valid: len(problems) == 0, Problems: list(problems[:min(len(problems), maxFaults)]), Expected: s.Defaults.expect(plan),
	}), nil
}

// What a call is taken to need where its texts are not known yet, in tokens.
const (
	expectedAnswer = 500
	expectedPrompt = 300
	bytesPerToken  = 4
)

// expect estimates the calls of a run of the plan when nothing fails, and their
// cost. It has no cost when a model's price is not known.
func (d Defaults) expect(plan orchestration.Plan) Expected {
	e := Expected{}
	total, priced := 0.0, true
	call := func(model string, prompt int) {
		e.Calls++
		price := d.model(model).Price
		priced = priced && price != nil
		total += price.Cost(orchestration.Usage{PromptTokens: expectedPrompt + prompt, CompletionTokens: expectedAnswer})
	}
	for _, s := range plan.Subtasks {
		call(d.performer(s), len(s.Description)/bytesPerToken+len(s.DependsOn)*expectedAnswer)
	}
	if d.Synthesizer.Mode != orchestration.SynthesizeNone && len(plan.Subtasks) > 1 { // a lone output is the answer
		call(d.Synthesizer.Model, len(plan.Subtasks)*expectedAnswer)
	}
	if priced {
		e.CostUsd = &total
	}
	return e
}

// performer returns the model of the worker that performs a subtask.
func (d Defaults) performer(s orchestration.Subtask) string {
	for _, name := range []string{s.Worker, s.Type} {
		for _, w := range d.Workers {
			if w.Name == name {
				return cmp.Or(w.Model, d.Worker.Model)
			}
		}
	}
	return d.Worker.Model
}
