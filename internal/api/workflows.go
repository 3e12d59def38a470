package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/workflow"
)

// Workflows are the templates that runs can be made of.
type Workflows interface {
	// List returns the templates, by name and version.
	List() []*workflow.Template
	// Get returns the template of a name@version or, of a name alone, its latest
	// version.
	Get(name string) (*workflow.Template, bool)
	// Read reads a template in YAML or in JSON, and checks it whole. With faults a
	// template may come too, as far as it could be read.
	Read(source []byte) (*workflow.Template, []workflow.Fault)
	// Apply returns what a run of the template begins with. The request is a JSON
	// object without duplicate keys, into which the faults point.
	Apply(t *workflow.Template, request json.RawMessage) (workflow.Launch, []workflow.Fault)
	// Resolve puts templates into the places that a plan has for them. Problems point
	// into the plan.
	Resolve(plan orchestration.Plan) (orchestration.Plan, []orchestration.Problem)
}

// workflow puts in the place of a request for a run of a template one that says
// all that the template says.
func (a *acceptance) workflow(spec *orchestration.Spec, raw []byte) {
	if len(a.request.Workflow) == 0 {
		return
	}
	t := a.template()
	if t == nil {
		return
	}
	asked, err := withoutAttachments(raw)
	if err != nil {
		a.add(codeInvalidRequest, "", "invalid", "cannot be decoded")
		return
	}
	launch, faults := a.workflows.Apply(t, asked)
	for _, f := range faults {
		a.add(codeInvalidRequest, f.Pointer, f.Code, "%s", f.Detail)
	}
	if len(faults) > 0 {
		return
	}
	whole := &RunRequest{}
	if err := json.Unmarshal(launch.Request, whole); err != nil {
		a.add(codeInvalidRequest, "/workflow", "invalid", "what it presets cannot be decoded")
		return
	}
	whole.Attachments = a.request.Attachments
	a.request, spec.Workflow, spec.Plan = whole, &launch.Origin, launch.Plan
}

// withoutAttachments returns a request without its images, which may be large
// and which no template knows.
func withoutAttachments(raw []byte) (json.RawMessage, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return nil, err
	}
	delete(keys, "attachments")
	return json.Marshal(keys)
}

// template returns the template that the request names or holds, nil with a
// fault where there is none.
func (a *acceptance) template() *workflow.Template {
	const at = "/workflow"
	if a.workflows == nil {
		a.add(codeInvalidRequest, at, "unknown_workflow", "this server has no workflows")
		return nil
	}
	if bytes.HasPrefix(a.request.Workflow, []byte("{")) {
		t, faults := a.workflows.Read(a.request.Workflow)
		for _, f := range faults {
			a.add(orchestration.CodePlanInvalid, at+f.Pointer, f.Code, f.Detail)
		}
		if len(faults) > 0 {
			return nil
		}
		return t
	}
	var ref string
	if err := json.Unmarshal(a.request.Workflow, &ref); err != nil {
		a.add(codeInvalidRequest, at, "wrong_type", "must be a name or a template")
		return nil
	}
	t, known := a.workflows.Get(ref)
	if !known {
		a.add(codeInvalidRequest, at, "unknown_workflow", "there is no workflow of that name and version")
		return nil
	}
	return t
}

// noWorkflows refuses the subtasks that ask for templates where there are none.
func noWorkflows(subtasks []orchestration.Subtask, at string) []orchestration.Problem {
	var problems []orchestration.Problem
	for i, s := range subtasks {
		here := fmt.Sprintf("%s/subtasks/%d", at, i)
		if at != "" {
			here = fmt.Sprintf("%s/%d", at, i)
		}
		switch {
		case s.Workflow != nil:
			problems = append(problems, orchestration.Problem{
				Pointer: here + "/workflow/name", Code: orchestration.ProblemUnknownWorkflow, Detail: "This server has no workflows.",
			})
		case s.ForEach != nil:
			problems = append(problems, noWorkflows(s.ForEach.Body, here+"/for_each/body")...)
		case s.Loop != nil:
			problems = append(problems, noWorkflows(s.Loop.Body, here+"/loop/body")...)
		}
	}
	return problems
}

// ListWorkflows lists the configured workflows.
func (s *server) ListWorkflows(context.Context, ListWorkflowsRequestObject) (ListWorkflowsResponseObject, error) {
	l := WorkflowList{Data: []Workflow{}}
	if s.Workflows != nil {
		for _, t := range s.Workflows.List() {
			l.Data = append(l.Data, viewOf(t))
		}
	}
	return ok(l), nil
}

// GetWorkflow shows a workflow.
func (s *server) GetWorkflow(_ context.Context, request GetWorkflowRequestObject) (GetWorkflowResponseObject, error) {
	if s.Workflows != nil {
		if t, known := s.Workflows.Get(request.Name); known {
			return ok(viewOf(t)), nil
		}
	}
	return nil, problem(codeNotFound, "There is no workflow of that name and version.")
}

// ValidateWorkflow says what is wrong with a template, and where.
func (s *server) ValidateWorkflow(ctx context.Context, _ ValidateWorkflowRequestObject) (ValidateWorkflowResponseObject, error) {
	if s.Workflows == nil {
		return nil, notSupported("workflows are not supported here")
	}
	t, faults := s.Workflows.Read(exchangeOf(ctx).raw)
	v := WorkflowValidation{Valid: len(faults) == 0, Problems: []WorkflowFault{}}
	for _, f := range faults[:min(len(faults), maxFaults)] {
		told := WorkflowFault{Pointer: f.Pointer, Code: f.Code, Detail: f.Detail}
		if f.Line > 0 {
			told.Line, told.Column = &f.Line, &f.Column
		}
		v.Problems = append(v.Problems, told)
	}
	if t != nil {
		plan := t.Plan
		if plan != nil {
			whole, _ := s.Workflows.Resolve(*plan) // what is wrong with it is among the faults
			plan = &whole
		}
		expected := s.Defaults.presetBy(t).expectOf(plan)
		v.Expected = &expected
	}
	return ok(v), nil
}

func viewOf(t *workflow.Template) Workflow {
	w := Workflow{
		Name: t.Name, Version: t.Version, Hash: t.Hash, Description: t.Description, Parameters: []Parameter{},
		Task: optional(strings.TrimSpace(t.Task)),
	}
	for _, p := range t.Parameters {
		w.Parameters = append(w.Parameters, Parameter(p))
	}
	if t.Plan != nil {
		w.Plan = &WorkflowPlan{Analysis: t.Plan.Analysis, Subtasks: make([]PlannedSubtask, len(t.Plan.Subtasks))}
		if t.Plan.Order != "" {
			w.Plan.Order = &t.Plan.Order
		}
		for i, s := range t.Plan.Subtasks {
			w.Plan.Subtasks[i] = planned(s)
		}
	}
	return w
}
