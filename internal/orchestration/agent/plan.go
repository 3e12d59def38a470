package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// planSchema is the form of a plan, in the strict subset of JSON Schema that
// endpoints take: all keys required, no others allowed.
var planSchema = &llm.Schema{Name: "plan", JSON: json.RawMessage(`{"type":"object","properties":{` +
	`"analysis":{"type":"string"},` +
	`"subtasks":{"type":"array","items":{"type":"object","properties":{` +
	`"id":{"type":"string"},"type":{"type":"string"},"description":{"type":"string"},` +
	`"depends_on":{"type":"array","items":{"type":"string"}}},` +
	`"required":["id","type","description","depends_on"],"additionalProperties":false}}},` +
	`"required":["analysis","subtasks"],"additionalProperties":false}`)}

// planned performs a MakePlan. Answers that mend or revise another one are made
// anew each time.
func (p *performance) planned(ctx context.Context, c orchestration.MakePlan) orchestration.Planned {
	said := orchestration.Planned{Attempt: c.Attempt}
	key := c.CacheKey
	if c.Repair != nil || c.Revision != nil {
		key = ""
	}
	failure := p.once(ctx, key, func(output string) bool {
		var plan orchestration.Plan
		if json.Unmarshal([]byte(output), &plan) != nil {
			return false
		}
		said.Plan, said.Answer, said.Cached = plan, answerKept(output), true
		return true
	}, func() (string, bool) {
		said.Failure = p.contain(func() *orchestration.Failure { return p.plan(ctx, c, &said) })
		output, err := json.Marshal(said.Plan)
		return string(output), said.Failure == nil && len(said.Problems) == 0 && err == nil
	})
	said.Failure = cmp.Or(failure, said.Failure)
	said.Calls = p.calls
	return said
}

// plan makes a plan.
func (p *performance) plan(ctx context.Context, c orchestration.MakePlan, said *orchestration.Planned) *orchestration.Failure {
	role := p.Spec.Planner.Role
	p.cast(llm.Planner, "", cmp.Or(c.Model, role.Model))
	images, done, failure := p.images(ctx)
	if failure != nil {
		return failure
	}
	defer done()
	messages, failure := p.planMessages(ctx, c, images)
	if failure != nil {
		return failure
	}
	d := p.planner(messages)
	if p.Drafted != nil && c.Revision == nil {
		d.hear = newDrafting(p, c.Given).write
	}
	text, failure := d.ask(ctx)
	if failure != nil {
		if failure.Code == orchestration.CodeContextTooLong && failure.Retryable {
			_, tooLong := p.planMessages(ctx, c, images)
			failure.Retryable = tooLong == nil
		}
		return failure
	}
	said.Plan, said.Problems = p.readPlan(text, c.Given)
	said.Answer = answerKept(text)
	return nil
}

// planner begins a conversation with the planner.
func (p *performance) planner(messages []llm.Message) *dialog {
	role := p.Spec.Planner.Role
	d := p.dialog(role, messages)
	_, d.request.MaxTokens = p.room(0)
	d.request.Stream = p.model.Stream != orchestration.StreamNever
	if role.Prompt == "" { // a caller's prompt may ask for another form
		d.request.Schema = planSchema
	}
	return d
}

// readPlan reads a plan, or what it has besides the subtasks that are given: that may
// be nothing. The core holds it to the planner's own bound.
func (p *performance) readPlan(text string, given []orchestration.Subtask) (orchestration.Plan, []orchestration.Problem) {
	r := newPlanReader(p.Spec.Limits.MaxSubtasks, given...)
	r.Write(text)
	plan, problems := r.Close()
	if len(given) > 0 && len(problems) == 1 && problems[0].Code == orchestration.ProblemEmpty {
		problems = nil
	}
	return plan, problems
}

// planMessages is the conversation with the planner: the task and, for a
// repair, what it answered and what is wrong with that.
func (p *performance) planMessages(ctx context.Context, c orchestration.MakePlan, images []llm.Image) ([]llm.Message, *orchestration.Failure) {
	messages, failure := plannerOpened(p.Spec, images)
	if failure != nil {
		return nil, failure
	}
	budget, _ := p.room(0)
	if !within(messages, budget) {
		return nil, tooLong("the task and its context do not fit the planner model's context window, or what the run may spend")
	}
	switch {
	case c.Revision != nil:
		messages, failure = p.revise(ctx, c.Revision, messages, budget)
	case len(c.Given) > 0:
		messages, failure = p.goOn(c.Given, messages, budget)
	}
	if failure != nil {
		return nil, failure
	}
	if c.Repair == nil {
		return messages, nil
	}
	answer, failure := p.text(ctx, c.Repair.Answer)
	if failure != nil {
		return nil, failure
	}
	return p.repair(messages, answer, problemLines(c.Repair.Problems), len(c.Given) > 0, budget)
}

// plannerOpened begins the conversation with the planner.
func plannerOpened(spec *orchestration.Spec, images []llm.Image) ([]llm.Message, *orchestration.Failure) {
	d, failure := plannerBrief(spec, "", nil)
	if failure != nil {
		return nil, failure
	}
	d.images = images
	return d.messages(nil), nil
}

// plannerBrief is the planner's prompt, with material to plan on where a part of
// a run is to be planned.
func plannerBrief(spec *orchestration.Spec, part string, items []item) (*brief, *orchestration.Failure) {
	d := &brief{system: cmp.Or(spec.Planner.System, plannerSystem), items: items, times: 1}
	if spec.Planner.Prompt == "" {
		d.user = func(items []item) string { return plannerUser(spec, part, items) }
		return d, nil
	}
	f, failure := readForm(spec.Planner.Prompt, plannerNames, spec.Context)
	if failure != nil {
		return nil, failure
	}
	d.user = func(items []item) string {
		text := f.fill(plannerValues(spec))
		if words := material(items); words != "" {
			text += "\n\n" + strings.TrimSpace(words)
		}
		return text
	}
	return d, nil
}

// Fits reports what keeps a run from being accepted because its planner's
// prompt cannot fit the planner model's context window, nil when nothing does:
// when the window is not known, or the caller brings the plan, any task fits.
// Prompts that [CheckPrompts] refuses are not judged.
func Fits(spec *orchestration.Spec) *orchestration.Problem {
	budget, _ := budgetOf(spec.Model(spec.Planner.Model).ContextWindow, 0)
	if budget < 0 || spec.Plan != nil {
		return nil
	}
	messages, failure := plannerOpened(spec, make([]llm.Image, len(spec.Attachments)))
	if failure != nil || within(messages, budget) {
		return nil
	}
	return &orchestration.Problem{Pointer: "/task", Code: string(orchestration.CodeContextTooLong), Detail: fmt.Sprintf(
		"the planner's prompt with this task and context takes about %d tokens; the model %q has room for %d",
		spent(messages), spec.Planner.Model, budget)}
}
