package agent

import (
	"context"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// Options are what an Agent works with.
type Options struct {
	Client llm.Client
	Texts  Texts
	Holds  Holds       // asked for runs that their tenants' budgets pay for; nil: there are none
	Logger *zap.Logger // told of panics, without their values; nil: nobody
}

// Texts reads what a command refers to. It is safe for concurrent use.
type Texts interface {
	// Text returns the body that the run's event numbered seq brings.
	Text(ctx context.Context, run string, seq int64) (string, error)
	// Attachment returns the bytes of the run's attachment i, as in Spec.Attachments.
	Attachment(ctx context.Context, run string, i int) ([]byte, error)
}

// Holds keeps a part of a tenant's budget back before a call goes out. It is
// safe for concurrent use.
type Holds interface {
	// Hold returns [orchestration.ErrBudget] when the budget has no room for it.
	Hold(ctx context.Context, h orchestration.Hold) error
}

// An Agent performs commands with models. It is safe for concurrent use.
type Agent struct {
	client   llm.Client
	texts    Texts
	holds    Holds
	log      *zap.Logger
	windows  windows
	pictures pictures
}

// New returns an Agent.
func New(o Options) *Agent {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &Agent{client: o.Client, texts: o.Texts, holds: o.Holds, log: o.Logger}
}

// Perform carries out a command and returns its outcome, a Planned, a Worked or
// a Synthesized, however it went; a command of another kind gets nil. Nothing of
// it runs any more then. When ctx ends, so does the command, as canceled.
func (a *Agent) Perform(ctx context.Context, of orchestration.Performance) orchestration.Said {
	p := &performance{Agent: a, Performance: of}
	switch c := of.Command.(type) {
	case orchestration.MakePlan:
		said := orchestration.Planned{Attempt: c.Attempt}
		said.Failure = p.contain(func() *orchestration.Failure { return p.plan(ctx, c, &said) })
		said.Calls = p.calls
		return said
	case orchestration.Work:
		said := orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt}
		said.Failure = p.contain(func() *orchestration.Failure { return p.work(ctx, c, &said) })
		said.Calls = p.calls
		return said
	case orchestration.Synthesize:
		said := orchestration.Synthesized{Attempt: c.Attempt}
		said.Failure = p.contain(func() *orchestration.Failure { return p.synthesize(ctx, c, &said) })
		said.Calls = p.calls
		return said
	}
	return nil
}

// A performance is a performance on its way: who performs it, and the calls
// that went out for it.
type performance struct {
	*Agent
	orchestration.Performance

	role    llm.Role
	worker  string // the configured one, if one
	model   orchestration.Model
	attempt int
	reserve *orchestration.Reserve // what it may spend; nil: any amount

	mu    sync.Mutex // a synthesis has several dialogs at once
	calls []orchestration.Call
}

// cast says who performs it, and what it may spend.
func (p *performance) cast(role llm.Role, model string, attempt int, reserve *orchestration.Reserve) {
	p.role, p.model, p.attempt, p.reserve = role, p.Spec.Model(model), attempt, reserve
}

// room splits what is left to a call: what its prompt may take (negative: any
// number of tokens), and how long its answer may be (0: as the endpoint likes).
// That is the model's window or, where it is less, what the attempt may spend.
func (p *performance) room(wanted int) (budget, answer int) {
	budget, answer = budgetOf(p.windows.of(p.model), wanted)
	r := p.reserve
	if r == nil {
		return budget, answer
	}
	if budget < 0 || budget > r.PromptTokens {
		budget = r.PromptTokens
	}
	if answer == 0 || answer > r.AnswerTokens {
		answer = r.AnswerTokens
	}
	return budget, answer
}

// contain turns a panic of f into a failure that says nothing of its value,
// which may be a model's text.
func (p *performance) contain(f func() *orchestration.Failure) (failure *orchestration.Failure) {
	defer func() {
		if v := recover(); v != nil {
			p.panicked(v)
			failure = internal("the agent failed in a way that it should not")
		}
	}()
	return f()
}

func (p *performance) panicked(v any) {
	key := ""
	if p.Command != nil {
		key = p.Command.Key()
	}
	p.log.Error("agent panicked", zap.String("run", p.Run), zap.String("command", key),
		zap.String("panic_type", fmt.Sprintf("%T", v)), zap.Stack("stack"))
}

// text returns the whole of a text.
func (p *performance) text(ctx context.Context, t orchestration.Text) (string, *orchestration.Failure) {
	if t.Seq == 0 {
		return t.Whole, nil
	}
	text, err := p.texts.Text(ctx, p.Run, t.Seq)
	if err != nil {
		return "", unread(ctx, "an earlier output could not be read from the journal")
	}
	return text, nil
}
