package api

import (
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
)

func (a *acceptance) roles(spec *orchestration.Spec) {
	r, d := a.request, a.defaults
	spec.Planner, spec.Worker, spec.Synthesizer, spec.Evaluator = d.Planner, d.Worker, d.Synthesizer, d.Evaluator
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
