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
	Logger *zap.Logger // told of panics, without their values; nil: nobody
}

// Texts reads what a command refers to. It is safe for concurrent use.
type Texts interface {
	// Text returns the body that the run's event numbered seq brings.
	Text(ctx context.Context, run string, seq int64) (string, error)
	// Attachment returns the bytes of the run's attachment i, as in Spec.Attachments.
	Attachment(ctx context.Context, run string, i int) ([]byte, error)
}

// An Agent performs commands with models. It is safe for concurrent use.
type Agent struct {
	client   llm.Client
	texts    Texts
	log      *zap.Logger
	windows  windows
	pictures pictures
}

// New returns an Agent.
func New(o Options) *Agent {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &Agent{client: o.Client, texts: o.Texts, log: o.Logger}
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

	mu    sync.Mutex // a synthesis has several dialogs at once
	calls []orchestration.Call
}

// cast says who performs it.
func (p *performance) cast(role llm.Role, model string, attempt int) {
	p.role, p.model, p.attempt = role, p.Spec.Model(model), attempt
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
