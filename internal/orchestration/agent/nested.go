package agent

import (
	"cmp"
	"context"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// planPart has the planner plan a part of the run. Its answer is the output; a
// rework mends an earlier one.
func (p *performance) planPart(ctx context.Context, c *orchestration.Work, said *orchestration.Worked) *orchestration.Failure {
	part := *p.specOf(c)
	part.Task, part.Planner.MinSubtasks = cmp.Or(c.Task, c.Subtask.Description), 0
	if nested := c.Subtask.Plan; nested != nil && nested.MaxSubtasks > 0 {
		part.Planner.MaxSubtasks = nested.MaxSubtasks
	}
	p.Spec = &part
	p.cast(llm.Planner, "", cmp.Or(c.Model, part.Planner.Model))
	images, done, failure := p.images(ctx)
	if failure != nil {
		return failure
	}
	defer done()
	messages, shortened, failure := p.partMessages(ctx, c, images)
	if failure != nil {
		return failure
	}
	said.Shortened = shortened
	d := p.planner(messages)
	d.started = &p.started
	d.request.Place.Priority = c.Priority
	text, failure := d.ask(ctx)
	if failure != nil {
		if failure.Code == orchestration.CodeContextTooLong && failure.Retryable {
			_, _, tooLong := p.partMessages(ctx, c, images)
			failure.Retryable = tooLong == nil
		}
		return failure
	}
	plan, problems := p.readPlan(text, nil)
	said.Output, said.Plan, said.Problems = answerKept(text), &plan, problems
	return nil
}

// partMessages is the conversation with the planner of a part: what there is to
// build on and, for a rework, its answer and what is wrong with that.
func (p *performance) partMessages(ctx context.Context, c *orchestration.Work, images []llm.Image) (messages []llm.Message, shortened bool, failure *orchestration.Failure) {
	items, failure := p.sources(ctx, c, nil)
	if failure != nil {
		return nil, false, failure
	}
	words := partWords
	if nested := c.Subtask.Plan; nested != nil && nested.Depth > 1 {
		words += "\n\n" + deeperWords
	}
	d, failure := plannerBrief(p.Spec, words, items)
	if failure != nil {
		return nil, false, failure
	}
	d.images = images
	budget, _ := p.room(0)
	first := budget
	if c.Rework != nil && budget > 0 {
		first = budget / 2 // the answer is to follow
	}
	messages, shortened, ok := d.fit(first)
	if !ok {
		return nil, false, tooLong("what is to be planned does not fit the planner model's context window, or what the run may spend")
	}
	if c.Rework == nil {
		return messages, shortened, nil
	}
	answer, failure := p.text(ctx, c.Rework.Output)
	if failure != nil {
		return nil, false, failure
	}
	messages, failure = p.repair(messages, answer, shortly(c.Rework.Feedback, maxFeedback)+"\n", false, budget)
	return messages, shortened, failure
}
