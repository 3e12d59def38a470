package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// plan takes the caller's own plan, if there is one, or else the template's,
// and checks it.
func (a *acceptance) plan(spec *orchestration.Spec) {
	rules := a.defaults.rules(spec.Limits)
	if spec.Plan != nil { // a template's, which is whole
		prepared, problems := spec.Plan.Prepare(rules)
		a.addAll(orchestration.CodePlanInvalid, "/workflow/plan", problems)
		spec.Prepared = &prepared
		if len(problems) > 0 {
			spec.Plan = nil
		}
	}
	if a.request.Plan == nil {
		return
	}
	plan, prepared, problems := wholePlan(*a.request.Plan, a.workflows, rules)
	a.addAll(orchestration.CodePlanInvalid, "/plan", problems)
	if len(problems) == 0 {
		spec.Plan, spec.Prepared = &plan, &prepared
	}
}

// wholePlan completes a plan with ids and the bodies of the templates that it
// names, prepares it, and says what is wrong with it.
func wholePlan(plan orchestration.Plan, workflows Workflows, rules orchestration.Rules) (whole, prepared orchestration.Plan, problems []orchestration.Problem) {
	plan.Version = 1
	named(plan.Subtasks)
	switch {
	case workflows != nil:
		plan, problems = workflows.Resolve(plan)
	default:
		problems = noWorkflows(plan.Subtasks, "")
	}
	prepared, more := plan.Prepare(rules)
	return plan, prepared, append(problems, besides(problems, more)...)
}

// besides returns those of a plan's problems that are not of workflow subtasks
// that others were found of.
func besides(found, more []orchestration.Problem) []orchestration.Problem {
	const key = "/workflow"
	return slices.DeleteFunc(more, func(p orchestration.Problem) bool {
		return slices.ContainsFunc(found, func(f orchestration.Problem) bool {
			end := strings.LastIndex(f.Pointer, key)
			return end >= 0 && strings.HasPrefix(p.Pointer, f.Pointer[:end+len(key)])
		})
	})
}

// named gives the subtasks without an id, in bodies too, one by their place.
func named(subtasks []orchestration.Subtask) {
	for i := range subtasks {
		if s := &subtasks[i]; s.ID == "" {
			s.ID = fmt.Sprintf("T%d", i+1)
		}
		for _, body := range subtasks[i].Bodies() {
			named(body)
		}
	}
}

// rules are what this server can carry out within those limits.
func (d Defaults) rules(l orchestration.Limits) orchestration.Rules {
	r := orchestration.Rules{
		MaxSubtasks: l.MaxSubtasks, Workers: d.Workers, Tools: d.Tools,
		Expressions: d.Expressions, Schema: d.Schema,
	}
	if d.Exclusive {
		r.Model = d.allows
	}
	return r
}

// rulesOf are what can be carried out in a run that has begun: with what it
// began with.
func (d Defaults) rulesOf(spec *orchestration.Spec) orchestration.Rules {
	r := d.rules(spec.Limits)
	r.Workers, r.Tools = spec.Workers, spec.Tools
	r.Model = func(name string) bool {
		return slices.ContainsFunc(spec.Models, func(m orchestration.Model) bool { return m.Name == name })
	}
	return r
}

// ValidatePlan says what is wrong with a plan, and what a run of it would come to.
func (s *server) ValidatePlan(_ context.Context, request ValidatePlanRequestObject) (ValidatePlanResponseObject, error) {
	plan, _, problems := wholePlan(*request.Body, s.Workflows, s.Defaults.rules(s.Defaults.Limits))
	return ok(Validation{
		Valid: len(problems) == 0, Problems: list(problems[:min(len(problems), maxFaults)]), Expected: s.Defaults.expect(plan),
	}), nil
}
