package llm

import (
	"context"
	"time"
)

// A pass is what a request holds while its call is under way: a slot, and its
// place within the gate.
type pass struct {
	gate  *gate
	round int  // of the gate when it was entered
	level int  // calls in flight then, itself included
	full  bool // whether these were all that the gate allowed
	bill  bill // of who had to wait for it
}

// How calls end that are no failures of the endpoint.
var (
	wentWell = &Error{Outcome: OK}
	gaveUp   = &Error{Outcome: Canceled}
)

// maxGates is how many gates there are before the Pool forgets those that
// nobody needs now: callers may invent names of models.
const maxGates = 1000

// gate returns the gate of a model.
func (p *Pool) gate(model string, now time.Time) *gate {
	name := p.gateOf(model)
	g := p.gates[name]
	if g != nil {
		return g
	}
	if len(p.gates) >= maxGates {
		for name, g := range p.gates {
			if g.inFlight == 0 && p.queue.gates[g] == 0 && !now.Before(g.next()) {
				delete(p.gates, name)
			}
		}
	}
	g = newGate(p.slots)
	p.gates[name] = g
	return g
}

// acquire waits for a slot and a gate, and reports whether it got them before
// ctx ended.
func (p *Pool) acquire(ctx context.Context, req *Request) (pass, bool) {
	if ctx.Err() != nil {
		return pass{}, false
	}
	now, prompt := time.Now(), promptTokens(req)
	p.mu.Lock()
	g := p.gate(req.Model, now)
	if p.inUse < p.slots && p.queue.gates[g] == 0 && g.open(now) {
		p.inUse++
		got := g.enter(now)
		p.mu.Unlock()
		return got, true
	}
	w := p.queue.push(req.Place, g, g.expect(prompt, req.MaxTokens))
	p.grant(now)
	p.mu.Unlock()

	select {
	case <-w.granted:
		w.pass.bill.prompt = prompt
		return w.pass, true
	case <-ctx.Done():
	}
	p.mu.Lock()
	waited := p.queue.remove(w)
	p.mu.Unlock()
	if !waited {
		p.release(w.pass, nil, gaveUp) // it came in the same moment
	}
	return pass{}, false
}

// release gives a pass back, and hands what it was to those whose turn it is.
func (p *Pool) release(had pass, calls []Call, ended *Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.inUse--
	had.gate.learn(calls)
	had.bill.settle(calls)
	had.gate.leave(now, had, ended)
	p.grant(now)
}

// grant gives out the slots and gates that are free, and sees to it that this
// happens again when the next gate opens.
func (p *Pool) grant(now time.Time) {
	for p.inUse < p.slots {
		opens, some := p.opens(now)
		if !some {
			return
		}
		if opens.After(now) {
			p.ring(opens.Sub(now))
			return
		}
		w, bill := p.queue.pop(func(g *gate) bool { return g.open(now) })
		p.inUse++
		w.pass = w.gate.enter(now)
		w.pass.bill = bill
		close(w.granted)
	}
}

// opens returns when the first of the gates opens that somebody waits for, and
// false when a call must end before that.
func (p *Pool) opens(now time.Time) (first time.Time, some bool) {
	for g := range p.queue.gates {
		if !g.free() {
			continue
		}
		next := g.next()
		if !next.After(now) {
			return now, true
		}
		if !some || next.Before(first) {
			first, some = next, true
		}
	}
	return first, some
}

// ring has grant called after a while.
func (p *Pool) ring(after time.Duration) {
	if p.alarm != nil {
		p.alarm.Reset(after)
		return
	}
	p.alarm = time.AfterFunc(after, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.grant(time.Now())
	})
}
