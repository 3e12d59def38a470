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

// once makes the call of that key unless its output is at hand, from the cache or
// from an identical call that is under way, which is waited for: use is then told
// it, and refuses what it cannot read. Where such a call fails, or gives what is
// not good for others, the next of those who wait makes its own. An empty key has
// the call made. It fails only when ctx ends while it waits.
//
// Between the end of a call and the commit that puts its output into the cache,
// the same call may be made again.
func (p *performance) once(ctx context.Context, key string, use func(output string) bool, call func() (output string, good bool)) *orchestration.Failure {
	if key == "" {
		call()
		return nil
	}
	at := flightKey{p.Spec.Tenant, key}
	for {
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
}

// lead finds or makes the output that others may be waiting for.
func (p *performance) lead(ctx context.Context, at flightKey, f *flight, use func(output string) bool, call func() (output string, good bool)) {
	defer p.flights.leave(at, f)
	if p.cache != nil {
		if output, ok, err := p.cache.Cached(ctx, at.tenant, at.key, time.Now()); err == nil && ok && use(output) {
			f.output, f.good = output, true
			return
		}
	}
	f.output, f.good = call()
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
