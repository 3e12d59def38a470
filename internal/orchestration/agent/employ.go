package agent

import (
	"cmp"
	"context"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// employ has a worker make the output.
func (p *performance) employ(ctx context.Context, c *orchestration.Work, said *orchestration.Worked) *orchestration.Failure {
	w := p.workerOf(c)
	if w == nil {
		return &orchestration.Failure{Code: orchestration.CodeInternal, Detail: "the run knows no worker of that name"}
	}
	p.cast(llm.Worker, c.Worker, cmp.Or(c.Model, w.Model))
	p.keepForChecks(c)
	images, done, failure := p.images(ctx)
	if failure != nil {
		return failure
	}
	defer done()
	box := p.toolbox(w)
	o, failure := p.workOrder(ctx, c, w, images, box)
	if failure != nil {
		return failure
	}
	d := p.engage(c, w, o)
	text, failure := d.askWith(ctx, box)
	said.Shortened = o.shortened || box.cramped
	if failure == nil {
		said.Output = readAnswer(text)
	} else if failure.Code == orchestration.CodeContextTooLong && failure.Retryable {
		_, tooLong := p.workOrder(ctx, c, w, images, box)
		failure.Retryable = tooLong == nil
	}
	return failure
}

// workerOf returns the worker that performs the command, nil if the run knows none
// of that name.
func (p *performance) workerOf(c *orchestration.Work) *orchestration.Worker {
	if c.Worker == "" {
		return &p.Spec.Worker
	}
	for i := range p.Spec.Workers {
		if p.Spec.Workers[i].Name == c.Worker {
			return &p.Spec.Workers[i]
		}
	}
	return nil
}

// engage begins the conversation with the worker.
func (p *performance) engage(c *orchestration.Work, w *orchestration.Worker, o *order) *dialog {
	d := p.dialog(w.Role, o.messages)
	d.started = &p.started
	d.request.MaxTokens, d.request.Temperature, d.request.Tools = o.answer, w.Temperature, o.tools
	d.request.Place.Priority = c.Priority
	if schemas := schemasOf(c.Checks); len(schemas) == 1 && o.tools == nil {
		d.request.Schema = &llm.Schema{Name: "answer", JSON: schemas[0]}
	} else if len(schemas) == 0 { // one with a schema is shown when it is known to be JSON
		d.listen(c.Subtask.ID)
	}
	return d
}

// An order is what a worker is sent. The texts that it was made of are read
// again if need be, so that a call that waits for its slot holds them once.
type order struct {
	messages  []llm.Message
	tools     []llm.Tool // that it may ask for
	answer    int        // the tokens that the answer may take; 0: as the endpoint likes
	shortened bool
}

func (p *performance) workOrder(ctx context.Context, c *orchestration.Work, w *orchestration.Worker, images []llm.Image, box *toolbox) (*order, *orchestration.Failure) {
	var f *form
	if p.Spec.Worker.Prompt != "" && !c.Fallback {
		var failure *orchestration.Failure
		if f, failure = p.workerForm(c); failure != nil {
			return nil, failure
		}
	}
	items, failure := p.items(ctx, c, f)
	if failure != nil {
		return nil, failure
	}
	o := &order{tools: box.offer()}
	var budget int
	budget, o.answer = p.room(w.MaxTokens)
	fit := func(budget int) (ok bool) {
		d := p.workBrief(c, w, f, items, len(o.tools) > 0)
		d.images = images
		o.messages, o.shortened, ok = d.fit(budget)
		return ok
	}
	if len(o.tools) > 0 && fit(roomBeside(budget, p.purse != nil, o.tools)) {
		return o, nil
	}
	o.tools, box.cramped = nil, len(box.offered) > 0
	if !fit(budget) {
		return nil, tooLong("the task, its context and the subtask's description do not fit the worker model's context window")
	}
	return o, nil
}

// roomBeside is the part of a budget that a prompt may take when tools go with
// it. Where the attempt may not spend more, half is for what they say, which has
// to be sent, too. Too little room is none, not any.
func roomBeside(budget int, spends bool, tools []llm.Tool) int {
	if budget < 0 {
		return budget
	}
	if spends {
		budget /= 2
	}
	return max(0, budget-toolTokens(tools))
}
