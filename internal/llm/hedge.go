package llm

import (
	"context"
	"time"
)

// Hedge has the pool ask a second time where a model is slow to answer: once it
// has taken longer than with 97 % of the last few hundred requests to it in that
// role, the same request goes out again, and the first good answer is taken. The
// other call is canceled at once; it is among the answer's Calls, marked as
// Hedged. of says which models that is done with. It must be called before the
// first request, and only requests whose Hedge is set are asked twice.
//
// An answer that is streamed is taken when its first text has come, so that OnText
// is shown one answer only, and how long that takes is what is measured.
//
// The second call takes a slot and passes the gate as any other, but never waits
// for them, nor goes out while the gate holds calls back or did so of late. For
// each model there is one for every 20 calls at most.
//
// The policy of that name in failsafe-go leaves the other call to end by itself,
// uncounted, while here nothing may be on the wire when Chat returns; and it
// measures answers alone, so that the calls it gives up, the long ones, are not
// among those it measures.
func (p *Pool) Hedge(of func(model string) bool) { p.hedges = of }

const (
	hedgeShare = 0.05        // of a model's calls may be second ones
	hedgeMost  = 10          // of them at once, after a time with few
	hedgeCalm  = time.Minute // without a refusal, before there are any
	hedgeKey   = "/hedge"    // ends the second call's idempotency key, lest it be taken for a repetition
)

// A tempo is what requests have in common whose times are compared.
type tempo struct {
	role   Role
	stream bool
}

// answer makes a request with a pass held, and a second one if need be.
func (p *Pool) answer(ctx context.Context, first pass, req *Request) (*Response, error) {
	if p.hedges == nil || !p.hedges(req.Model) {
		return p.call(ctx, first, req)
	}
	g, of := first.gate, tempo{req.Role, req.Stream}
	patience, known := p.patience(g, of)
	r := &race{pool: p, req: req, ctx: ctx, began: time.Now()}
	if known && req.Hedge {
		timer := time.AfterFunc(patience, func() { r.start(g) })
		defer timer.Stop()
	}
	resp, err := r.outcome(first)
	if r.leader != nil {
		p.took(g, of, r.led)
	}
	return resp, err
}

// patience counts a request, and returns after which time there may be a second
// call for it, if that is known.
func (p *Pool) patience(g *gate, of tempo) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g.spare = min(hedgeMost, g.spare+hedgeShare)
	if g.tails[of] == nil {
		return 0, false
	}
	return g.tails[of].begins()
}

// took takes note of the time after which a request had its answer. Of one that
// was given up it is what it had taken until then, without an answer: all that
// matters is that this is long.
func (p *Pool) took(g *gate, of tempo, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g.tails == nil {
		g.tails = make(map[tempo]*tail, 1)
	}
	if g.tails[of] == nil {
		g.tails[of] = new(tail)
	}
	g.tails[of].add(d)
}

// second returns a pass for a second call, if there may be one now.
func (p *Pool) second(g *gate) (pass, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if g.spare < 1 || p.inUse >= p.slots || p.queue.gates[g] > 0 || !g.open(now) || g.throttled(now) {
		return pass{}, false
	}
	g.spare--
	p.inUse++
	return g.enter(now), true
}

// throttled reports whether the gate holds calls back, or did so of late.
func (g *gate) throttled(now time.Time) bool {
	return g.limit < g.slots || g.pace.rate > 0 || now.Sub(g.cut) < hedgeCalm
}
