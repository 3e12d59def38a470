package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// accept makes of a request, which the contract has let pass, everything that
// shapes its run. What only the server knows to be wrong is said all at once.
func (s *server) accept(ctx context.Context, x *exchange, request *RunRequest) (*orchestration.Spec, [][]byte, error) {
	a := &acceptance{defaults: s.Defaults, request: request}
	body, _ := x.body.(map[string]any)
	a.refuseUnsupported(body)
	spec := &orchestration.Spec{
		Format: orchestration.SpecFormat, Version: s.Version, Tenant: x.tenant, Simulated: s.Simulated,
		Task: request.Task, Context: request.Context, Labels: request.Labels,
		OnFailure: orchestration.OnFailurePartial,
		Held:      s.Budgeted != nil && s.Budgeted(x.tenant),
	}
	if request.OnFailure != "" {
		spec.OnFailure = orchestration.OnFailure(request.OnFailure)
	}
	if strings.TrimSpace(request.Task) == "" && len(request.Workflow) == 0 {
		a.add(codeInvalidRequest, "/task", "blank", "must not be blank")
	}
	a.limits(spec, body)
	a.roles(spec)
	spec.Workers = s.Defaults.specialists(spec.Worker.Role)
	spec.Models = s.Defaults.modelsOf(spec)
	a.prices(spec)
	a.plan(spec, body)
	a.webhook(&s.Options, spec)
	attachments := a.attachments(ctx, s.Fetcher, spec)
	if s.Checker != nil {
		for _, fault := range s.Checker.Check(spec) {
			a.add(orchestration.Code(fault.Code), fault.Pointer, fault.Code, fault.Detail)
		}
	}
	return spec, attachments, a.refusal()
}

// An acceptance collects what is wrong with a request.
type acceptance struct {
	defaults Defaults
	request  *RunRequest
	codes    []orchestration.Code // of problems, one a fault
	faults   []Fault
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

// refuseUnsupported refuses what the contract knows and nothing carries out yet.
func (a *acceptance) refuseUnsupported(body map[string]any) {
	for _, key := range []string{"workflow", "cache"} {
		if _, given := body[key]; given {
			a.unsupported("/" + key)
		}
	}
	if policy, _ := body["policy"].([]any); len(policy) > 0 {
		a.unsupported("/policy")
	}
	if a.request.Priority != 0 {
		a.unsupported("/priority")
	}
	if a.request.ReviewPlan {
		a.unsupported("/review_plan")
	}
	if limits, _ := body["limits"].(map[string]any); limits["max_iterations"] != nil {
		a.unsupported("/limits/max_iterations")
	}
}

func (a *acceptance) unsupported(pointer string) {
	a.add(codeNotSupported, pointer, string(codeNotSupported), "not supported yet")
}

// The longest durations that a request may ask for.
const (
	maxTimeout        = 24 * time.Hour
	maxSubtaskTimeout = time.Hour
)

func (a *acceptance) limits(spec *orchestration.Spec, body map[string]any) {
	l, asked := a.defaults.Limits, a.request.Limits
	override(&l.MaxConcurrency, asked.MaxConcurrency)
	override(&l.MaxAttempts, asked.MaxAttempts)
	override(&l.MaxSubtasks, asked.MaxSubtasks)
	override(&l.MaxOutputBytes, asked.MaxOutputBytes)
	a.duration(&l.Timeout, asked.Timeout, maxTimeout, "/limits/timeout")
	a.duration(&l.SubtaskTimeout, asked.SubtaskTimeout, maxSubtaskTimeout, "/limits/subtask_timeout")
	a.duration(&l.ReplanCooldown, asked.ReplanCooldown, maxTimeout, "/limits/replan_cooldown")
	if given, _ := body["limits"].(map[string]any); given["max_replans"] != nil { // 0 is a wish, too
		l.MaxReplans = asked.MaxReplans
	}
	override(&l.MaxLLMCalls, asked.MaxLlmCalls)
	override(&l.MaxTokens, asked.MaxTokens)
	override(&l.MaxCostUSD, asked.MaxCostUsd)
	spec.Limits = l
}

// prices refuses a limit on the cost of calls whose price is not known: nothing
// could hold to it.
func (a *acceptance) prices(spec *orchestration.Spec) {
	if spec.Limits.MaxCostUSD == 0 && !spec.Held {
		return
	}
	pointer, bound := "/limits/max_cost_usd", "a limit on the cost"
	if spec.Limits.MaxCostUSD == 0 {
		pointer, bound = "", "the tenant's budget"
	}
	for _, m := range spec.Models {
		if m.Price == nil {
			a.add(codeInvalidRequest, pointer, "unknown_price", "%s needs the price of every model, and that of %.100q is not configured", bound, m.Name)
		}
	}
}

func (a *acceptance) duration(to *time.Duration, text string, most time.Duration, pointer string) {
	if text == "" {
		return
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		a.add(codeInvalidRequest, pointer, "invalid_duration", `must be a duration such as "90s"`)
	case d <= 0 || d > most:
		a.add(codeInvalidRequest, pointer, "out_of_range", "must be more than 0 and at most %s", most)
	default:
		*to = d
	}
}

// override replaces a default by what the request says, if it does.
func override[T comparable](to *T, asked T) {
	var none T
	if asked != none {
		*to = asked
	}
}

func (a *acceptance) roles(spec *orchestration.Spec) {
	r, d := a.request, a.defaults
	spec.Planner, spec.Worker, spec.Synthesizer = d.Planner, d.Worker, d.Synthesizer
	a.role(&spec.Planner.Role, r.Planner.Prompt, r.Planner.System, r.Planner.Model, r.Planner.ReasoningEffort, "/planner")
	a.role(&spec.Worker.Role, r.Worker.Prompt, r.Worker.System, r.Worker.Model, r.Worker.ReasoningEffort, "/worker")
	a.role(&spec.Synthesizer.Role, r.Synthesizer.Prompt, r.Synthesizer.System, r.Synthesizer.Model, r.Synthesizer.ReasoningEffort, "/synthesizer")
	a.subtaskBounds(spec)
	override(&spec.Synthesizer.Mode, orchestration.SynthesisMode(r.Synthesizer.Mode))
	if spec.Synthesizer.Mode == "" {
		spec.Synthesizer.Mode = orchestration.SynthesizeModel
	}
	if len(r.Synthesizer.JsonSchema) > 0 {
		spec.Synthesizer.JSONSchema = r.Synthesizer.JsonSchema
	}
}

func (a *acceptance) role(to *orchestration.Role, prompt, system, model, effort, pointer string) {
	override(&to.Prompt, prompt)
	override(&to.System, system)
	override(&to.ReasoningEffort, effort)
	if model == "" {
		return
	}
	to.Model = model
	if !a.defaults.allows(model) {
		a.add(codeInvalidRequest, pointer+"/model", "unknown_model", "must be one of %s", a.modelNames())
	}
}

func (a *acceptance) modelNames() string {
	const most = 20
	var names []string
	for _, m := range a.defaults.Models {
		names = append(names, m.Name)
	}
	if len(names) > most {
		names = append(names[:most:most], "…")
	}
	return strings.Join(names, ", ")
}

// subtaskBounds settles how many subtasks the planner is asked for. A bound
// that was not asked for gives way to one that was.
func (a *acceptance) subtaskBounds(spec *orchestration.Spec) {
	p, asked, most := &spec.Planner, a.request.Planner, spec.Limits.MaxSubtasks
	override(&p.MinSubtasks, asked.MinSubtasks)
	override(&p.MaxSubtasks, asked.MaxSubtasks)
	if p.MinSubtasks == 0 {
		p.MinSubtasks = 1
	}
	if p.MaxSubtasks == 0 {
		p.MaxSubtasks = most
	}
	switch {
	case asked.MinSubtasks > most:
		a.add(codeInvalidRequest, "/planner/min_subtasks", "out_of_range", "must be at most limits.max_subtasks, %d", most)
	case asked.MaxSubtasks > most:
		a.add(codeInvalidRequest, "/planner/max_subtasks", "out_of_range", "must be at most limits.max_subtasks, %d", most)
	case asked.MinSubtasks > 0 && asked.MaxSubtasks > 0 && asked.MinSubtasks > asked.MaxSubtasks:
		a.add(codeInvalidRequest, "/planner/max_subtasks", "out_of_range", "must be at least min_subtasks, %d", asked.MinSubtasks)
	case asked.MaxSubtasks > 0:
		p.MinSubtasks = min(p.MinSubtasks, p.MaxSubtasks)
	default:
		p.MaxSubtasks = min(max(p.MaxSubtasks, p.MinSubtasks), most)
		p.MinSubtasks = min(p.MinSubtasks, p.MaxSubtasks)
	}
}
