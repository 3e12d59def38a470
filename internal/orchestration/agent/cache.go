package agent

import (
	"context"
	"sync"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A Cache has outputs that may be used in the place of a call. It is safe for
// concurrent use.
type Cache interface {
	// Cached returns what the tenant keeps under the key, if that has not expired by
	// now. What cannot be read is not there: the call is made.
	Cached(ctx context.Context, tenant, key string, now time.Time) (output string, ok bool, err error)
}

// flights are the calls with a key that are under way in this process, so that
// identical ones are made once.
type flights struct {
	mu    sync.Mutex
	under map[flightKey]*flight
}

type flightKey struct{ tenant, key string }

// A flight is one of them. Its output may be read when it is done.
type flight struct {
	done   chan struct{}
	output string
	good   bool // the output may be used by those who waited for it
}

// join returns the flight of that key, and whether the caller is to make the
// call. Who is must leave.
func (f *flights) join(key flightKey) (under *flight, leads bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if other := f.under[key]; other != nil {
		return other, false
	}
	if f.under == nil {
		f.under = map[flightKey]*flight{}
	}
	under = &flight{done: make(chan struct{})}
	f.under[key] = under
	return under, true
}

func (f *flights) leave(key flightKey, under *flight) {
	f.mu.Lock()
	delete(f.under, key)
	f.mu.Unlock()
	close(under.done)
}

// mostFlights bounds how many identical calls one waits for: where two of them came
// to nothing good, the rest go out side by side, not one after the other.
const mostFlights = 2

// once makes the call of that key unless its output is at hand, from the cache or
// from an identical call that is under way, which is waited for: use is then told
// it, and refuses what it cannot read. Where such a call fails, or gives what is
// not good for others, one of those who wait makes its own, and the others wait
// for that, once. An empty key has the call made. It fails only when ctx ends while
// it waits.
//
// Between the end of a call and the commit that puts its output into the cache,
// the same call may be made again.
func (p *performance) once(ctx context.Context, key string, use func(output string) bool, call func() (output string, good bool)) *orchestration.Failure {
	if key == "" {
		call()
		return nil
	}
	at := flightKey{p.Spec.Tenant, key}
	for range mostFlights {
		f, leads := p.flights.join(at)
		if leads {
			p.lead(ctx, at, f, use, call)
			return nil
		}
		select {
		case <-f.done:
			if f.good && use(f.output) {
				return nil
			}
		case <-ctx.Done():
			return canceled()
		}
	}
	p.find(ctx, key, use, call)
	return nil
}

// lead finds or makes the output that others may be waiting for.
func (p *performance) lead(ctx context.Context, at flightKey, f *flight, use func(output string) bool, call func() (output string, good bool)) {
	defer p.flights.leave(at, f)
	f.output, f.good = p.find(ctx, at.key, use, call)
}

// find takes the output from the cache, or makes it.
func (p *performance) find(ctx context.Context, key string, use func(output string) bool, call func() (output string, good bool)) (output string, good bool) {
	if p.cache != nil {
		if output, ok, err := p.cache.Cached(ctx, p.Spec.Tenant, key, time.Now()); err == nil && ok && use(output) {
			return output, true
		}
	}
	return call()
}

// showWhole shows an output that nobody has to write any more.
func (p *performance) showWhole(subtask, output string) {
	if p.Deltas == nil {
		return
	}
	d := newDeltas(p, subtask)
	d.next.Text = output
	defer d.contain()
	p.Deltas(d.next)
}
