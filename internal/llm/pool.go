package llm

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// A Pool is a Client round all others: it holds the process's slots, and a gate
// for each model. A request queues until a slot and its model's gate are free,
// and holds them only while the Client inside works on it. They are shared out
// by tokens: every tenant that waits gets as many, and so does every run of a
// tenant for its weight, a few thousand at a turn. What a call takes is guessed
// before it and corrected after it. Of a tenant's runs alike the one with the
// nearest deadline goes first; within a run it is the highest [Place] priority,
// then first come. So neither a tenant nor a run with hundreds of requests, or
// with huge ones, starves another one, and no model that is held back holds up
// the others.
//
// A gate lets as many calls go at once as the endpoint takes, and none before
// the Retry-After of a 429 or 503 has passed, if that is within 5 minutes.
// Requests wait meanwhile; only their context bounds how long.
//
// A request whose context ends while it waits leaves the queue at once, with
// an [*Error] that holds no calls. Request.Timeout starts with the slot.
type Pool struct {
	next   Client
	slots  int
	gateOf func(model string) string
	hedges func(model string) bool // nil: none

	mu    sync.Mutex
	inUse int
	gates map[string]*gate
	queue queue // holds nobody for whom a slot and a gate are free

	alarm *time.Timer // rings when a gate opens by itself; nil until one did
}

// NewPool returns a Pool of so many slots, at least one, round next. gateOf
// names what stands behind a model: models of one name share a gate (see
// [Router.Upstream]). Where it is nil, each model has its own.
func NewPool(next Client, slots int, gateOf func(model string) string) *Pool {
	if gateOf == nil {
		gateOf = func(model string) string { return model }
	}
	return &Pool{next: next, slots: max(1, slots), gateOf: gateOf, gates: map[string]*gate{}}
}

// Slots returns how many requests may be under way at once.
func (p *Pool) Slots() int { return p.slots }

// InUse returns how many slots are held.
func (p *Pool) InUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inUse
}

// Waiting returns how many requests queue for a slot or a gate.
func (p *Pool) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.size
}

// Limit returns how many calls to a model may be under way at once: all slots,
// as long as its endpoint has not refused any.
func (p *Pool) Limit(model string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.gates[p.gateOf(model)]; g != nil {
		return g.limit
	}
	return p.slots
}

// Chat queues for a slot and a gate, then hands the request on.
func (p *Pool) Chat(ctx context.Context, req *Request) (*Response, error) {
	queued := time.Now()
	pass, ok := p.acquire(ctx, req)
	if !ok {
		return nil, Ended(ctx)
	}
	limited, cancel := ctx, func() {}
	if req.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, req.Timeout)
	}
	defer cancel()
	resp, err := p.answer(limited, pass, req)
	if err != nil {
		failed := asError(err)
		if failed.Outcome == Canceled && limited.Err() != nil && ctx.Err() == nil {
			failed.Outcome = Timeout // our deadline fired and nobody canceled, though it may look so from inside
		}
		failed.Calls = stamp(failed.Calls, queued)
		return nil, failed
	}
	answered := *resp // a copy, as the Client inside may hand one Response to many
	answered.Calls = stamp(answered.Calls, queued)
	return &answered, nil
}

// call makes the request with a pass held, and gives the pass back.
func (p *Pool) call(ctx context.Context, pass pass, req *Request) (*Response, error) {
	ended := gaveUp // which a panic below amounts to
	var calls []Call
	defer func() { p.release(pass, calls, ended) }() // deferred, as it must not cost a slot
	resp, err := p.next.Chat(ctx, req)
	if err != nil {
		ended = asError(err)
		calls = ended.Calls
		return nil, ended
	}
	ended, calls = wentWell, resp.Calls
	return resp, nil
}

// stamp returns the calls with the moment they were queued, where it is not known.
func stamp(calls []Call, queued time.Time) []Call {
	calls = slices.Clone(calls)
	for i := range calls {
		if calls[i].Queued.IsZero() {
			calls[i].Queued = queued
		}
	}
	return calls
}

// asError returns a copy of the Error in err, or one round it when a Client
// has broken the contract that every failure is one.
func asError(err error) *Error {
	if failed, ok := errors.AsType[*Error](err); ok {
		failed := *failed
		return &failed
	}
	outcome := Unavailable
	switch {
	case errors.Is(err, context.Canceled):
		outcome = Canceled
	case errors.Is(err, context.DeadlineExceeded):
		outcome = Timeout
	}
	return &Error{Outcome: outcome, Detail: "the call failed", Err: err}
}
