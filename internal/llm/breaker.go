package llm

import (
	"context"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// A Breaker is a Client round another one that stops asking an endpoint which
// is down, so that requests fail at once instead of each one waiting for its
// own timeout. It opens when at least half of the last calls were Unavailable
// or timed out; any other end, a refusal too, shows that the endpoint is there.
// After a while one call is let through: it closes the breaker, with the first text
// of a stream already, or opens it again. Where it takes its time another one is,
// lest a call that hangs keeps all others out.
//
// While it is open a request is Unavailable and Spared, with no call and with the
// time until the next one is let through as RetryAfter.
//
// A call that its caller gave up counts as none. Nor does one that the caller's
// own deadline cut short: else a caller with short ones could shut out all
// others.
type Breaker struct {
	next Client

	mu      sync.Mutex
	circuit circuitbreaker.CircuitBreaker[any]
	state   int       // how often the circuit has changed its state
	entered time.Time // when the last call was let through
}

const (
	breakerCalls    = 20
	breakerFailures = 10 // of the last breakerCalls
	breakerOpen     = 15 * time.Second
	breakerJitter   = 0.1              // of it
	breakerProbing  = 5 * time.Second  // what is told while the one call is under way
	breakerPatience = 20 * time.Second // what takes longer is the endpoint's fault, whoever set the deadline, and is not waited for alone
)

// NewBreaker returns a closed Breaker round next.
func NewBreaker(next Client) *Breaker {
	b := &Breaker{next: next}
	b.circuit = circuitbreaker.NewBuilder[any]().
		WithFailureThresholdRatio(breakerFailures, breakerCalls).
		WithSuccessThreshold(1).
		WithDelay(breakerOpen).
		WithJitterFactor(breakerJitter).
		OnStateChanged(func(circuitbreaker.StateChangedEvent) { b.state++ }). // mu is held: nobody else touches the circuit
		Build()
	return b
}

// Chat hands the request on unless the breaker is open.
func (b *Breaker) Chat(ctx context.Context, req *Request) (*Response, error) {
	state, alone, open := b.enter()
	if open != nil {
		return nil, open
	}
	if alone && req.Stream {
		req = b.listening(req, state)
	}
	began := time.Now()
	ended := Canceled // which a panic below amounts to
	defer func() { b.leave(state, ended) }()
	resp, err := b.next.Chat(ctx, req)
	switch {
	case err == nil:
		ended = OK
	case ctx.Err() == nil || time.Since(began) >= breakerPatience:
		ended = asError(err).Outcome
	}
	return resp, err
}

// enter returns the state in which a call begins, and whether it is the one that
// is to tell, or why it may not begin.
func (b *Breaker) enter() (state int, alone bool, open *Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.circuit.TryAcquirePermit() || b.circuit.IsHalfOpen() && time.Since(b.entered) >= breakerPatience {
		b.entered = time.Now()
		return b.state, b.circuit.IsHalfOpen(), nil
	}
	wait := b.circuit.RemainingDelay()
	if b.circuit.IsHalfOpen() {
		wait = breakerProbing
	}
	return 0, false, &Error{Outcome: Unavailable, Spared: true, RetryAfter: wait, Detail: "too many calls to the endpoint failed lately; it is asked again in a while"}
}

// listening returns a request whose first text tells that the endpoint is there.
func (b *Breaker) listening(req *Request, state int) *Request {
	told, heard := false, *req
	heard.OnText = func(text string) {
		if !told {
			told = true
			b.leave(state, OK) // the state has changed, so how it ends does not count
		}
		if req.OnText != nil {
			req.OnText(text)
		}
	}
	return &heard
}

// leave counts how a call ended. One that began in an earlier state says
// nothing of this one.
func (b *Breaker) leave(state int, ended Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case state != b.state:
	case ended == Unavailable || ended == Timeout:
		b.circuit.RecordFailure()
	case ended != Canceled:
		b.circuit.RecordSuccess()
	case b.circuit.IsHalfOpen():
		// The call that was to tell was given up: the next one will.
		b.circuit.Open()
		b.circuit.HalfOpen()
	}
}
