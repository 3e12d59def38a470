package agent

import (
	"cmp"
	"context"
	"slices"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// worked performs a Work. A revision, or a second look at an output, is made in
// any case.
func (p *performance) worked(ctx context.Context, c orchestration.Work) orchestration.Worked {
	said := orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt}
	key := c.CacheKey
	if c.Rework != nil || c.Judge != nil {
		key = ""
	}
	failure := p.once(ctx, key, func(output string) bool { return p.reuse(c, output, &said) }, func() (string, bool) {
		said.Failure = p.contain(func() *orchestration.Failure { return p.work(ctx, c, &said) })
		good := said.Failure == nil && !isBlankText(said.Output) && len(said.Problems) == 0 && passed(said.Findings) && !unfinished(c)
		return said.Output, good
	})
	said.Failure = cmp.Or(failure, said.Failure)
	said.Calls = p.calls
	return said
}

// unfinished reports whether the core has still to check an output by expression, or
// to make of it what others see.
func unfinished(c orchestration.Work) bool {
	return c.Subtask.Gives != "" || slices.ContainsFunc(c.Checks, func(c orchestration.Check) bool { return c.Expr != "" })
}

// reuse takes an output that was made before.
func (p *performance) reuse(c orchestration.Work, output string, said *orchestration.Worked) bool {
	if c.Subtask.Kind == orchestration.KindPlan {
		plan, problems := p.readPlan(output, nil)
		if len(problems) > 0 {
			return false
		}
		said.Plan = &plan
	} else {
		p.showWhole(c.Subtask.ID, output)
	}
	said.Output, said.Cached = output, true
	return true
}

// work makes the output of a subtask and checks it.
func (p *performance) work(ctx context.Context, c orchestration.Work, said *orchestration.Worked) *orchestration.Failure {
	if c.Timeout > 0 {
		p.timeout = c.Timeout
	}
	if c.Judge != nil {
		output, failure := p.text(ctx, *c.Judge)
		if failure != nil {
			return failure
		}
		if said.Output = output; len(schemasOf(c.Checks)) == 0 {
			p.showWhole(c.Subtask.ID, output)
		}
		return p.check(ctx, c, said)
	}
	switch c.Subtask.Kind {
	case orchestration.KindPlan:
		return p.planPart(ctx, c, said)
	case orchestration.KindDecide:
		return p.decide(ctx, c, said)
	case orchestration.KindTool:
		if failure := p.useTool(ctx, c, said); failure != nil {
			return failure
		}
	default:
		if failure := p.employ(ctx, c, said); failure != nil {
			return failure
		}
	}
	return p.check(ctx, c, said)
}

// employ has a worker make the output.
func (p *performance) employ(ctx context.Context, c orchestration.Work, said *orchestration.Worked) *orchestration.Failure {
	w, ok := p.Spec.Worker, true
	if c.Worker != "" {
		w, ok = p.Spec.WorkerNamed(c.Worker)
	}
	p.cast(llm.Worker, c.Worker, cmp.Or(c.Model, w.Model))
	if !ok {
		return &orchestration.Failure{Code: orchestration.CodeInternal, Detail: "the run knows no worker of that name"}
	}
	images, done, failure := p.images(ctx)
	if failure != nil {
		return failure
	}
	defer done()
	p.keepForChecks(c)
	box := p.toolbox(w)
	o, failure := p.workOrder(ctx, c, w, images, box)
	if failure != nil {
		return failure
	}
	said.Shortened = o.shortened
	d := p.dialog(w.Role, o.messages)
	d.started = &p.started
	d.request.MaxTokens, d.request.Temperature = o.answer, w.Temperature
	d.request.Place.Priority = c.Priority
	if schemas := schemasOf(c.Checks); len(schemas) == 1 && o.tools == nil {
		d.request.Schema = &llm.Schema{Name: "answer", JSON: schemas[0]}
	} else if len(schemas) == 0 { // one with a schema is shown when it is known to be JSON
		d.listen(c.Subtask.ID)
	}
	text, failure := d.askWith(ctx, o.tools, box)
	if failure != nil {
		if failure.Code == orchestration.CodeContextTooLong {
			_, tooLong := p.workOrder(ctx, c, w, images, box)
			failure.Retryable = tooLong == nil
		}
		return failure
	}
	said.Output = ReadAnswer(text)
	return nil
}

// An order is what a worker is sent. The texts that it was made of are read
// again if need be, so that a call that waits for its slot holds them once.
type order struct {
	messages  []llm.Message
	tools     []llm.Tool // that it may ask for
	answer    int        // the tokens that the answer may take; 0: as the endpoint likes
	shortened bool
}

func (p *performance) workOrder(ctx context.Context, c orchestration.Work, w orchestration.Worker, images []llm.Image, box *toolbox) (order, *orchestration.Failure) {
	var f *form
	if p.Spec.Worker.Prompt != "" && !c.Fallback {
		var failure *orchestration.Failure
		if f, failure = p.workerForm(c); failure != nil {
			return order{}, failure
		}
	}
	items, failure := p.items(ctx, c, f)
	if failure != nil {
		return order{}, failure
	}
	o := order{tools: box.offer()}
	var budget int
	budget, o.answer = p.room(w.MaxTokens)
	fit := func(budget int) (ok bool) {
		d := p.workDraft(c, w, f, items, len(o.tools) > 0)
		d.images = images
		o.messages, o.shortened, ok = d.fit(budget)
		return ok
	}
	if len(o.tools) > 0 && fit(roomBeside(budget, p.purse != nil, o.tools)) {
		return o, nil
	}
	o.tools = nil
	if !fit(budget) {
		return order{}, tooLong("the task, its context and the subtask's description do not fit the worker model's context window")
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
