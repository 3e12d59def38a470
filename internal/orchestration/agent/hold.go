package agent

import (
	"cmp"
	"context"
	"errors"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// unboundedAnswer is what is held back for an answer of no set length, in tokens.
const unboundedAnswer = 8192

// hold keeps back what the call may cost, where the tenant's budget pays for it.
func (d *dialog) hold(ctx context.Context, request *llm.Request) error {
	p := d.p
	if p.holds == nil || !p.Spec.Held {
		return nil
	}
	usage := orchestration.Usage{
		PromptTokens:     spentOn(request),
		CompletionTokens: cmp.Or(request.MaxTokens, unboundedAnswer),
	}
	err := p.holds.Hold(ctx, orchestration.Hold{
		Tenant: p.Spec.Tenant, Run: p.Run, Command: p.Command.Key(),
		Call: p.nextHold(), CostUSD: p.model.Price.Cost(usage),
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, orchestration.ErrBudget):
		return errTenantBudget
	case ctx.Err() != nil:
		return llm.Ended(ctx)
	}
	return errHold
}

// nextHold numbers the holds of a command, over all its dialogs.
func (p *performance) nextHold() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held++
	return p.held
}

var (
	errTenantBudget = errors.New("the tenant's budget has no room for this call")
	errHold         = errors.New("the tenant's budget could not be asked")
)
