package llm

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// A Pool is a Client round all others: it holds the process's slots. A request
// queues until one is free, and holds it only while the Client inside works on
// it. Slots go round the tenants that wait, then round that tenant's runs, and
// within a run to the highest [Place] priority first, then first come; so
// neither a tenant nor a run with hundreds of requests starves another one.
//
// A request whose context ends while it waits leaves the queue at once, with
// an [*Error] that holds no calls. Request.Timeout starts with the slot.
type Pool struct {
	next  Client
	slots int

	mu    sync.Mutex
	inUse int
	queue queue // not empty only while every slot is in use
}

// NewPool returns a Pool of so many slots, at least one, round next.
func NewPool(next Client, slots int) *Pool {
	return &Pool{next: next, slots: max(1, slots)}
}

// Slots returns how many requests may be under way at once.
func (p *Pool) Slots() int { return p.slots }

// InUse returns how many slots are held.
func (p *Pool) InUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inUse
}

// Waiting returns how many requests queue for a slot.
func (p *Pool) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.size
}

// Chat queues for a slot, then hands the request on.
func (p *Pool) Chat(ctx context.Context, req *Request) (*Response, error) {
	queued := time.Now()
	if !p.acquire(ctx, req.Place) {
		return nil, Ended(ctx)
	}
	resp, err := p.call(ctx, req)
	if err != nil {
		failed := asError(err)
		failed.Calls = stamp(failed.Calls, queued)
		return nil, failed
	}
	answered := *resp // a copy, as the Client inside may hand one Response to many
	answered.Calls = stamp(answered.Calls, queued)
	return &answered, nil
}

// call makes the request with a slot held, and gives the slot back.
func (p *Pool) call(ctx context.Context, req *Request) (*Response, error) {
	defer p.release() // deferred, as a panic below must not cost a slot
	if req.Timeout <= 0 {
		return p.next.Chat(ctx, req)
	}
	limited, cancel := context.WithTimeout(ctx, req.Timeout)
	defer cancel()
	resp, err := p.next.Chat(limited, req)
	if err == nil || ctx.Err() != nil || limited.Err() == nil {
		return resp, err
	}
	// Our deadline fired and nobody canceled, though it may look so from inside.
	failed := asError(err)
	if failed.Outcome == Canceled {
		failed.Outcome = Timeout
	}
	return nil, failed
}

// acquire waits for a slot, and reports whether it got one before ctx ended.
func (p *Pool) acquire(ctx context.Context, place Place) bool {
	if ctx.Err() != nil {
		return false
	}
	p.mu.Lock()
	if p.inUse < p.slots {
		p.inUse++
		p.mu.Unlock()
		return true
	}
	w := p.queue.push(place)
	p.mu.Unlock()

	select {
	case <-w.granted:
		return true
	case <-ctx.Done():
	}
	p.mu.Lock()
	waited := p.queue.remove(w)
	p.mu.Unlock()
	if !waited {
		p.release() // the slot came in the same moment: it goes to the next one
	}
	return false
}

// release hands the slot to the request whose turn it is, or frees it.
func (p *Pool) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.queue.pop(); w != nil {
		close(w.granted)
		return
	}
	p.inUse--
}

// stamp returns the calls with the moment they were queued.
func stamp(calls []Call, queued time.Time) []Call {
	calls = slices.Clone(calls)
	for i := range calls {
		calls[i].Queued = queued
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
