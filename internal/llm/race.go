package llm

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A race is a request that may go out twice.
type race struct {
	pool  *Pool
	req   *Request
	ctx   context.Context // of both calls
	began time.Time

	mu            sync.Mutex
	first, second runner
	leader        *runner       // whose answer is taken; nil: nobody's yet
	led           time.Duration // when that was known
	over          bool          // the first call has ended, so there will be no second one
	ended         chan struct{} // closed when the second call has ended; nil: there is none
}

// A runner is one of the calls.
type runner struct {
	cancel   context.CancelFunc // nil: it has not begun
	queued   time.Time          // of the second one
	resp     *Response
	err      error
	panicked any
}

// run makes one of the calls.
func (r *race) run(one *runner, with pass) {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	r.mu.Lock()
	if one.cancel = cancel; r.leader != nil {
		cancel() // it comes too late
	}
	r.mu.Unlock()
	if one.resp, one.err = r.pool.call(ctx, with, r.request(one)); one.err == nil {
		r.leads(one)
	}
}

// request returns what a call asks for.
func (r *race) request(of *runner) *Request {
	req := *r.req
	if req.Stream {
		req.OnText = func(text string) {
			if r.leads(of) && r.req.OnText != nil {
				r.req.OnText(text)
			}
		}
	}
	if of == &r.second && req.IdempotencyKey != "" {
		req.IdempotencyKey += hedgeKey
	}
	return &req
}

// leads reports whether a call's answer is the one that is taken, as it is when
// it has something to say before the other one does. That is given up then.
func (r *race) leads(one *runner) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leader == nil {
		r.leader, r.led = one, time.Since(r.began)
		for _, other := range []*runner{&r.first, &r.second} {
			if other != one && other.cancel != nil {
				other.cancel()
			}
		}
	}
	return r.leader == one
}

// start makes the second call, if there is to be one.
func (r *race) start(g *gate) {
	with, ok := r.enter(g)
	if !ok {
		return
	}
	defer close(r.ended)
	defer func() { r.second.panicked = recover() }() // for the goroutine that asked
	r.run(&r.second, with)
}

func (r *race) enter(g *gate) (with pass, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.leader != nil {
		return pass{}, false
	}
	if with, ok = r.pool.second(g); ok {
		r.ended, r.second.queued = make(chan struct{}), time.Now()
	}
	return with, ok
}

// wait returns when there is no second call any more, nor will be.
func (r *race) wait() {
	r.mu.Lock()
	r.over = true
	ended := r.ended
	r.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// outcome makes the first call, and returns what has come of both. When both
// failed, it is how the first one did.
func (r *race) outcome(first pass) (*Response, error) {
	defer r.wait() // also when the first call panics
	r.run(&r.first, first)
	r.wait()
	if r.ended == nil {
		return r.first.resp, r.first.err
	}
	if r.second.panicked != nil {
		panic(r.second.panicked)
	}
	taken := &r.first
	if r.leader != nil {
		taken = r.leader
	}
	calls := append(r.first.calls(taken), r.second.calls(taken)...)
	if taken.err != nil {
		failed := asError(taken.err)
		failed.Calls = calls
		return nil, failed
	}
	answered := *taken.resp // a copy, as the Client inside may hand one Response to many
	answered.Calls = calls
	return &answered, nil
}

// calls returns those that went out, marked unless they are of the one taken.
func (one *runner) calls(taken *runner) []Call {
	calls := slices.Clone(Calls(one.resp, one.err))
	for i := range calls {
		calls[i].Queued, calls[i].Hedged = one.queued, one != taken
	}
	return calls
}
