package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// Options are what an Agent works with.
type Options struct {
	Client llm.Client
	Texts  Texts
	Holds  Holds       // asked for runs that their tenants' budgets pay for; nil: there are none
	Tools  Tools       // called for workers and subtasks; nil: there are none
	Cache  Cache       // asked for what was made before; nil: nothing is kept
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
	tools    Tools
	cache    Cache
	log      *zap.Logger
	windows  windows
	pictures pictures
	flights  flights
	prefixes prefixes
}

// New returns an Agent.
func New(o Options) *Agent {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &Agent{client: o.Client, texts: o.Texts, holds: o.Holds, tools: o.Tools, cache: o.Cache, log: o.Logger}
}

// A performance is a performance on its way: who performs it, and the calls
// that went out for it.
type performance struct {
	*Agent
	orchestration.Performance

	call string // the command, as CallKey has it

	role    llm.Role
	worker  string // the configured one, if one
	model   orchestration.Model
	attempt int
	timeout time.Duration // of a dialog, or of all those of a Work together; 0: ctx alone bounds it
	started time.Time     // of a Work: its first slot

	mu    sync.Mutex // a synthesis has several dialogs at once
	purse *purse     // what it may spend; nil: any amount
	held  int        // holds so far
	calls []orchestration.Call
}

// Perform carries out a command and returns its outcome, a Planned, a Worked, a
// Synthesized or a Compensated, however it went; a command of another kind gets
// nil. Nothing of it runs any more then. When ctx ends, so does the command, as
// canceled.
func (a *Agent) Perform(ctx context.Context, of orchestration.Performance) orchestration.Said {
	p := &performance{Agent: a, Performance: of, call: orchestration.CallKey(of.Command)}
	if of.Spec != nil {
		p.timeout = of.Spec.Limits.SubtaskTimeout
	}
	switch of.Command.(type) {
	case orchestration.MakePlan:
		return p.performPlan(ctx)
	case orchestration.Work:
		return p.performWork(ctx)
	case orchestration.Synthesize:
		return p.performSynthesis(ctx)
	case orchestration.Compensate:
		return p.performCompensation(ctx)
	}
	return nil
}

// Thousands of commands wait for a slot at once, each on a stack of its own. So that
// a stack has no room for other kinds of them, and fits 4 kB, each kind has a method
// that is not inlined, and a Work is on the heap.

//go:noinline
func (p *performance) performPlan(ctx context.Context) orchestration.Said {
	c := p.Command.(orchestration.MakePlan)
	p.begin(c.Attempt, c.Reserved)
	return p.planned(ctx, c)
}

//go:noinline
func (p *performance) performWork(ctx context.Context) orchestration.Said {
	c := workIn(p.Command)
	p.begin(c.Attempt, c.Reserved)
	said := &orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt}
	p.worked(ctx, c, said)
	return *said
}

//go:noinline
func workIn(c orchestration.Command) *orchestration.Work {
	work := c.(orchestration.Work)
	return &work
}

//go:noinline
func (p *performance) performSynthesis(ctx context.Context) orchestration.Said {
	c := p.Command.(orchestration.Synthesize)
	p.begin(c.Attempt, c.Reserved)
	return p.synthesized(ctx, c)
}

//go:noinline
func (p *performance) performCompensation(ctx context.Context) orchestration.Said {
	return p.compensated(ctx, p.Command.(orchestration.Compensate))
}

func (p *performance) begin(attempt int, reserve *orchestration.Reserve) {
	p.attempt = attempt
	if reserve != nil {
		p.purse = &purse{left: *reserve}
	}
}

// cast says who performs it from now on. Copies of the model that it makes would
// stay on the stacks of calls that wait, were it inlined.
//
//go:noinline
func (p *performance) cast(role llm.Role, worker, model string) {
	p.role, p.worker, p.model = role, worker, p.Spec.Model(model)
}

// room splits what is left to a call: what its prompt may take (negative: any
// number of tokens), and how long its answer may be (0: as the endpoint likes).
// That is the model's window or, where it is less, what the attempt may spend.
func (p *performance) room(wanted int) (budget, answer int) {
	budget, answer = budgetOf(p.windows.of(p.model), wanted)
	if p.purse == nil {
		return budget, answer
	}
	free := p.purse.free()
	if budget < 0 || budget > free.PromptTokens {
		budget = free.PromptTokens
	}
	if answer == 0 || answer > free.AnswerTokens {
		answer = free.AnswerTokens
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
	p.log.Error("agent panicked", zap.String("run", p.Run), zap.String("command", p.Command.Key()),
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
