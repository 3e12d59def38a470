package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A call is one performance of a command, as the models saw it.
type call struct {
	by           *process
	run, unit    string // what it is for: "plan", "synthesis", "subtask/T1" or "compensation/T1"
	command, key string // of the command; that the provider knows it by
	attempt      int
	given        []string // of a plan: ids of what is there of it already
	model        string
	begun, ended time.Time // ended is zero while it is in flight
	output       string    // of one that ended well
	failure      *orchestration.Failure
	cost         float64 // that it told of, in dollars
	made         int     // requests that it told of
}

func (c *call) String() string { return fmt.Sprintf("%s of %s by %s", c.command, c.run, c.by) }

// Perform answers as a model might: soon or late, well or badly, and not always
// at once when it is asked to end.
func (p *process) Perform(ctx context.Context, perf orchestration.Performance) orchestration.Said {
	w := p.w
	r := w.roll("call", perf.Spec.Task, perf.Command.Key())
	c := p.begin(&perf)
	if c == nil {
		<-ctx.Done()
		return said(perf.Command, &orchestration.Failure{Code: orchestration.CodeCanceled}, nil, orchestration.Plan{}, nil)
	}
	time.Sleep(upTo(r, step))
	p.count()
	var plan orchestration.Plan // a first one
	stop := func() {}
	if cmd, ok := perf.Command.(orchestration.MakePlan); ok && cmd.Revision == nil {
		plan = w.writes(perf.Spec.Task, cmd)
		stop = p.write(ctx, &perf, plan)
	}
	answer := p.cached(perf.Command, perf.Spec)
	var failure *orchestration.Failure
	var calls []orchestration.Call
	if answer == nil {
		failure, calls = p.converse(ctx, c, &perf, r)
		answer = said(perf.Command, failure, calls, plan, r)
	}
	stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	c.ended, c.failure, c.output = time.Now(), failure, outputOf(answer)
	for _, request := range calls {
		c.made++
		c.cost += request.CostUSD
	}
	p.flying[c.run]--
	if strings.HasPrefix(c.unit, "subtask/") {
		p.working[c.run]--
	}
	p.effect()
	return answer
}

// begin enters the call in the ledger, and judges it. It returns nil when the
// process is dead: then nobody sees it.
func (p *process) begin(perf *orchestration.Performance) *call {
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.state == dead {
		return nil
	}
	c := &call{
		by: p, run: perf.Run, command: perf.Command.Key(), key: orchestration.CallKey(perf.Command), begun: time.Now(),
	}
	switch cmd := perf.Command.(type) {
	case orchestration.MakePlan:
		c.unit, c.attempt, c.model = "plan", cmd.Attempt, cmd.Model
		for i := range cmd.Given {
			c.given = append(c.given, cmd.Given[i].ID)
			w.seen["draft given"]++
		}
	case orchestration.Work:
		c.unit, c.attempt, c.model = "subtask/"+cmd.Subtask.ID, cmd.Attempt, cmd.Model
		w.judgeWork(cmd, p, perf)
		p.working[c.run]++
	case orchestration.Compensate:
		c.unit, c.attempt = "compensation/"+cmd.Subtask, cmd.Attempt
	case orchestration.Synthesize:
		c.unit, c.attempt, c.model = "synthesis", cmd.Attempt, cmd.Model
	}
	p.flying[c.run]++
	w.seen["call"]++
	w.judgeCall(c)
	w.calls = append(w.calls, c)
	w.performed[c.run+" "+c.command] = c
	return c
}

// cached returns the outcome of a call that the tenant's cache answers, nil if it
// does not.
func (p *process) cached(c orchestration.Command, spec *orchestration.Spec) orchestration.Said {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	find := func(key string) (string, bool) {
		found, ok := p.w.cache[spec.Tenant+" "+key]
		ok = ok && key != "" && time.Now().Before(found.Expires)
		if ok {
			p.w.seen["cached"]++
		}
		return found.Output, ok
	}
	switch c := c.(type) {
	case orchestration.Work:
		if output, ok := find(c.CacheKey); ok {
			return orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Output: output, Cached: true}
		}
	case orchestration.Synthesize:
		if output, ok := find(c.CacheKey); ok {
			return orchestration.Synthesized{Attempt: c.Attempt, Output: output, Cached: true}
		}
	}
	return nil
}

// asks reports whether a command asks a model.
func asks(c orchestration.Command) bool {
	switch c := c.(type) {
	case orchestration.Work:
		return c.Subtask.Kind != orchestration.KindTool
	case orchestration.Compensate:
		return false
	}
	return true
}

// converse takes the time that the call takes, and returns how it failed, nil if
// it did not, and what it cost.
func (p *process) converse(ctx context.Context, c *call, perf *orchestration.Performance, r *rand.Rand) (*orchestration.Failure, []orchestration.Call) {
	if !asks(perf.Command) {
		return c.tool(ctx, r, p.w.endless()), nil
	}
	usage := orchestration.Usage{PromptTokens: 1 + r.IntN(1500), CompletionTokens: 1 + r.IntN(500)}
	if held := reserved(perf.Command); held != nil {
		usage.PromptTokens = min(usage.PromptTokens, held.PromptTokens)
		usage.CompletionTokens = min(usage.CompletionTokens, held.AnswerTokens)
	}
	price := perf.Spec.Model(c.model).Price
	if perf.Spec.Held {
		err := p.hold(orchestration.Hold{
			Tenant: perf.Spec.Tenant, Run: c.run, Command: c.command, Call: 1,
			CostUSD: price.Cost(orchestration.Usage{PromptTokens: 1500, CompletionTokens: 500}),
		})
		switch {
		case errors.Is(err, orchestration.ErrBudget):
			return &orchestration.Failure{Code: orchestration.CodeBudgetExceeded}, nil
		case err != nil:
			return &orchestration.Failure{Code: orchestration.CodeInternal, Retryable: true}, nil
		}
	}
	record := orchestration.Call{Role: c.unit, Model: c.model, Attempt: c.attempt, Queued: time.Now().UTC(), Started: time.Now().UTC(), Outcome: "ok"}
	failure := c.wait(ctx, r, p.w.endless())
	record.Ended, record.Usage, record.CostUSD = time.Now().UTC(), usage, price.Cost(usage)
	if failure != nil {
		record.Outcome = string(failure.Code)
	}
	return failure, []orchestration.Call{record}
}

// tool takes the time of a tool's call, which has a timeout of its own.
func (c *call) tool(ctx context.Context, r *rand.Rand, endless int) *orchestration.Failure {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	failure := c.wait(limited, r, endless)
	if failure != nil && failure.Code == orchestration.CodeCanceled && ctx.Err() == nil {
		failure = &orchestration.Failure{Code: orchestration.CodeToolFailed, Detail: "it took too long", Retryable: true}
	}
	return failure
}

func reserved(c orchestration.Command) *orchestration.Reserve {
	switch c := c.(type) {
	case orchestration.MakePlan:
		return c.Reserved
	case orchestration.Work:
		return c.Reserved
	case orchestration.Synthesize:
		return c.Reserved
	}
	return nil
}

// slowest is how long a call that was asked to end may go on.
const slowest = 3 * time.Second

// endless says that one in so many calls would never end by itself.
func (w *world) endless() int {
	if w.grim {
		return 3
	}
	return 40
}

// wait lets the time of a call pass.
func (c *call) wait(ctx context.Context, r *rand.Rand, endless int) *orchestration.Failure {
	takes := pick(r, upTo(r, 2*time.Second), upTo(r, 20*time.Second), upTo(r, 20*time.Second))
	if oneIn(r, endless) {
		takes = 24 * time.Hour
	}
	failure := drawFailure(r)
	heedless := upTo(r, slowest)
	manner := r.IntN(4)
	select {
	case <-time.After(takes):
		return failure
	case <-ctx.Done():
	}
	if manner == 0 {
		time.Sleep(heedless) // and its answer comes all the same
		return failure
	}
	time.Sleep(heedless % step)
	return &orchestration.Failure{Code: orchestration.CodeCanceled}
}

func drawFailure(r *rand.Rand) *orchestration.Failure {
	if r.IntN(10) < 7 {
		return nil
	}
	f := &orchestration.Failure{Detail: "the model says no", Retryable: r.IntN(4) > 0}
	f.Code = pick(r, orchestration.CodeUpstreamError, orchestration.CodeUpstreamRateLimited, orchestration.CodeUpstreamTimeout,
		orchestration.CodeContextTooLong, orchestration.CodeTruncated, orchestration.CodeOutputInvalid, orchestration.CodeInternal)
	if f.Code == orchestration.CodeUpstreamRateLimited {
		f.RetryAfter = pick(r, 0, upTo(r, 30*time.Second), 10*time.Minute)
	}
	return f
}

// said is the outcome of a command, of a first plan with that. A nil r: there is no
// answer to be drawn.
func said(c orchestration.Command, f *orchestration.Failure, calls []orchestration.Call, plan orchestration.Plan, r *rand.Rand) orchestration.Said {
	text := ""
	if f == nil {
		text = c.Key() + " is done"
		if oneIn(r, 12) {
			text += strings.Repeat(".", pick(r, 5000, 5000, 20_000)) // longer than a command carries, than is allowed
		}
		if oneIn(r, 25) {
			text = ""
		}
	}
	switch c := c.(type) {
	case orchestration.MakePlan:
		p := orchestration.Planned{Attempt: c.Attempt, Failure: f, Calls: calls}
		if f != nil {
			return p
		}
		p.Answer = "an answer"
		switch {
		case c.Revision == nil && !oneIn(r, 8): // otherwise it contradicts itself
			p.Plan.Subtasks = slices.Clone(plan.Subtasks)
		case c.Revision != nil && !oneIn(r, 8):
			p.Plan = revise(r, c.Revision)
		default:
			p.Plan = drawPlan(r, 8)
		}
		if oneIn(r, 5) && len(p.Plan.Subtasks) > 0 {
			spoil(r, &p.Plan)
		}
		return p
	case orchestration.Work:
		return worked(c, text, f, calls, r)
	case orchestration.Compensate:
		return orchestration.Compensated{Subtask: c.Subtask, Attempt: c.Attempt, Failure: f}
	case orchestration.Synthesize:
		return orchestration.Synthesized{Attempt: c.Attempt, Output: text, Failure: f, Calls: calls}
	}
	panic("a command that no agent performs")
}

// worked draws the outcome of an attempt at a subtask.
func worked(c orchestration.Work, text string, f *orchestration.Failure, calls []orchestration.Call, r *rand.Rand) orchestration.Worked {
	o := orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Output: text, Failure: f, Calls: calls}
	if f != nil {
		return o
	}
	switch c.Subtask.Kind {
	case orchestration.KindDecide:
		o.Output = pick(r, append(c.Subtask.Decide.Options, "none of them")...)
		return o
	case orchestration.KindPlan:
		part := drawParts(r)
		if o.Plan = &part; oneIn(r, 4) {
			spoil(r, o.Plan)
		}
		return o
	}
	if text != "" && oneIn(r, 2) {
		o.Output = pick(r, `{"good": true, "items": [1, 2]}`, `{"good": false, "items": []}`, "[1, 2, 3]", "0.7")
	}
	for i, check := range c.Checks {
		for _, part := range []struct {
			name string
			made bool
		}{{"regex", check.Regex != ""}, {"rubric", check.Rubric != ""}} {
			if part.made {
				o.Findings = append(o.Findings, orchestration.Finding{Check: part.name, Policy: i < c.Policy, Passed: !oneIn(r, 3)})
			}
		}
	}
	if c.Judge != nil && c.Judge.Seq == 0 {
		o.Output = c.Judge.Whole
	}
	return o
}

func outputOf(s orchestration.Said) string {
	switch s := s.(type) {
	case orchestration.Worked:
		return s.Output
	case orchestration.Synthesized:
		return s.Output
	}
	return ""
}
