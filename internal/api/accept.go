package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// accept makes of a request, which the contract has let pass, everything that
// shapes its run. What only the server knows to be wrong is said all at once.
func (s *server) accept(ctx context.Context, x *exchange, request *RunRequest) (*orchestration.Spec, [][]byte, error) {
	a := &acceptance{defaults: s.Defaults, workflows: s.Workflows, request: request}
	spec := &orchestration.Spec{
		Format: orchestration.SpecFormat, Version: s.Version, Tenant: x.tenant, Simulated: s.Simulated,
		OnFailure: orchestration.OnFailurePartial, Held: s.budgeted(x.tenant),
	}
	a.workflow(spec, x.raw)
	request = a.request
	spec.Task, spec.Context, spec.Labels, spec.ReviewPlan = request.Task, request.Context, request.Labels, request.ReviewPlan
	spec.Priority = request.Priority
	if request.OnFailure != "" {
		spec.OnFailure = orchestration.OnFailure(request.OnFailure)
	}
	if strings.TrimSpace(spec.Task) == "" && len(request.Workflow) == 0 { // a template that cannot be had says nothing
		a.add(codeInvalidRequest, "/task", "blank", "must not be blank")
	}
	a.limits(spec)
	a.cache(spec)
	a.roles(spec)
	spec.Workers = s.Defaults.specialists(spec.Worker.Role)
	a.policy(spec)
	a.plan(spec)
	spec.Models = s.Defaults.modelsOf(spec)
	spec.Tools = s.Defaults.toolsOf(spec)
	a.prices(spec)
	a.webhook(&s.Options, spec)
	attachments := a.attachments(ctx, s.Fetcher, spec)
	if s.Checker != nil {
		for _, fault := range s.Checker.Check(spec) {
			a.add(orchestration.Code(fault.Code), fault.Pointer, fault.Code, fault.Detail)
		}
	}
	return spec, attachments, a.refusal()
}

// budgeted reports whether the tenant has a budget that pays for its calls.
func (s *server) budgeted(tenant string) bool { return s.Budgeted != nil && s.Budgeted(tenant) }

// An acceptance collects what is wrong with a request.
type acceptance struct {
	defaults  Defaults
	workflows Workflows
	request   *RunRequest
	codes     []orchestration.Code // of problems, one a fault
	faults    []Fault
}

// add says that something is wrong. code is the problem's, faultCode more
// precise.
func (a *acceptance) add(code orchestration.Code, pointer, faultCode, detail string, args ...any) {
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	if kinds[code].status != 422 {
		code = codeInvalidRequest
	}
	a.codes = append(a.codes, code)
	a.faults = append(a.faults, Fault{Pointer: pointer, Code: faultCode, Detail: detail})
}

// addAll says what is wrong with a part of the request: its problems point into
// that.
func (a *acceptance) addAll(code orchestration.Code, at string, problems []orchestration.Problem) {
	for _, p := range problems {
		a.add(code, at+p.Pointer, p.Code, p.Detail)
	}
}

// refusal returns the problem of all faults, nil when there are none. Its code
// is the one that tells the caller most.
func (a *acceptance) refusal() error {
	for _, code := range []orchestration.Code{
		codeNotSupported, orchestration.CodePlanInvalid, codeMissingPromptVariable, orchestration.CodeContextTooLong,
	} {
		if slices.Contains(a.codes, code) {
			return problem(code, summary(a.faults), a.faults[:min(len(a.faults), maxFaults)]...)
		}
	}
	if len(a.faults) > 0 {
		return invalid(a.faults[:min(len(a.faults), maxFaults)]).with(422)
	}
	return nil
}

// unsupported refuses what the contract knows and nothing carries out yet.
func (a *acceptance) unsupported(pointer string) {
	a.add(codeNotSupported, pointer, string(codeNotSupported), "not supported yet")
}

// policy takes what every worker's output must pass, and checks it as the
// checks of a plan are.
func (a *acceptance) policy(spec *orchestration.Spec) {
	spec.Policy = a.request.Policy
	a.addAll(codeInvalidRequest, "/policy", orchestration.CheckPolicy(spec.Policy, a.defaults.rules(spec.Limits)))
}
