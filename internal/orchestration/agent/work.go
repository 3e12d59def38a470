package agent

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// worked performs a Work. A revision, or a second look at an output, is made in
// any case.
func (p *performance) worked(ctx context.Context, c *orchestration.Work, said *orchestration.Worked) {
	if c.CacheKey == "" || c.Rework != nil || c.Judge != nil {
		p.try(ctx, c, said)
	} else if failure := p.shared(ctx, c, said); failure != nil {
		said.Failure = failure
	}
	said.Calls = p.calls
}

// shared takes an output that was made before, or makes one that others may take.
// For one that is still to be finished nobody waits: it would be of no use to others.
func (p *performance) shared(ctx context.Context, c *orchestration.Work, said *orchestration.Worked) *orchestration.Failure {
	reuse := func(output string) bool { return p.reuse(c, output, said) }
	call := func() (string, bool) {
		p.try(ctx, c, said)
		output, err := said.Output, error(nil)
		if said.Plan != nil { // its output is what is kept of the answer for a repair
			var plan []byte
			plan, err = json.Marshal(said.Plan)
			output = string(plan)
		}
		return output, err == nil && said.Failure == nil && !said.Shortened && !isBlankText(said.Output) && len(said.Problems) == 0 && passed(said.Findings)
	}
	if unfinished(c) {
		p.find(ctx, c.CacheKey, reuse, call)
		return nil
	}
	return p.once(ctx, c.CacheKey, reuse, call)
}

func (p *performance) try(ctx context.Context, c *orchestration.Work, said *orchestration.Worked) {
	said.Failure = p.contain(func() *orchestration.Failure { return p.work(ctx, c, said) })
}

// unfinished reports whether the core has still to check an output by expression, or
// to make of it what others see.
func unfinished(c *orchestration.Work) bool {
	return c.Subtask.Gives != "" || slices.ContainsFunc(c.Checks, func(c orchestration.Check) bool { return c.Expr != "" })
}

// reuse takes an output that was made before.
func (p *performance) reuse(c *orchestration.Work, output string, said *orchestration.Worked) bool {
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
func (p *performance) work(ctx context.Context, c *orchestration.Work, said *orchestration.Worked) *orchestration.Failure {
	if c.Timeout > 0 {
		p.timeout = c.Timeout
	}
	var failure *orchestration.Failure
	switch {
	case c.Judge != nil:
		failure = p.lookAgain(ctx, c, said)
	case c.Subtask.Kind == orchestration.KindPlan:
		return p.planPart(ctx, c, said)
	case c.Subtask.Kind == orchestration.KindDecide:
		return p.decide(ctx, c, said)
	case c.Subtask.Kind == orchestration.KindTool:
		failure = p.useTool(ctx, c, said)
	default:
		failure = p.employ(ctx, c, said)
	}
	if failure != nil {
		return failure
	}
	return p.check(ctx, c, said)
}

// lookAgain takes an output that was made before and has only to be judged.
func (p *performance) lookAgain(ctx context.Context, c *orchestration.Work, said *orchestration.Worked) *orchestration.Failure {
	output, failure := p.text(ctx, *c.Judge)
	if failure != nil {
		return failure
	}
	if said.Output = output; len(schemasOf(c.Checks)) == 0 {
		p.showWhole(c.Subtask.ID, output)
	}
	return nil
}
