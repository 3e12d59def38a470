package webhook

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// How many tries are made at once.
const (
	maxTries     = 32
	maxPerTenant = 16 // so that no tenant has all of them
	maxPerHost   = 2  // of a tenant's
)

const (
	window  = 4096                   // deliveries looked at, at once
	horizon = time.Minute            // how far the loop looks ahead, and how long it trusts what it saw
	breath  = 250 * time.Millisecond // between two looks: a burst of commits is one look
	again   = 5 * time.Second        // after which storage that failed is asked again
)

// A loop is the state of the one goroutine that starts tries.
type loop struct {
	*Sender
	queues []*queue         // of what was due when last looked, but for what was started since
	seen   time.Time        // the last look
	look   time.Time        // the next one
	under  map[string]place // way, by id
	busy   map[place]int    // tries at each place
	done   chan result
}

// A place is a tenant's host, or a tenant as a whole.
type place struct{ tenant, host string }

func (p place) whole() place { return place{tenant: p.tenant} }

// A queue waits for room at a place, longest due first.
type queue struct {
	at  place
	due []orchestration.Owed
}

// A result is how a try ended.
type result struct {
	id   string
	next time.Time // when it is due again, if it is
}

func (l *loop) run(ctx context.Context) {
	l.under, l.busy, l.done = make(map[string]place), make(map[place]int), make(chan result)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		if now := time.Now(); !now.Before(l.look) {
			l.read(ctx, now)
		}
		l.start(ctx)
		timer.Reset(time.Until(l.look))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-l.woken:
			l.lookBy(l.seen.Add(breath))
		case r := <-l.done:
			l.end(r)
		}
	}
	for len(l.under) > 0 {
		l.end(<-l.done)
	}
}

// lookBy has the outbox looked at by that time.
func (l *loop) lookBy(t time.Time) {
	if t.Before(l.look) {
		l.look = t
	}
}

// read looks at what is due, and at what will be.
func (l *loop) read(ctx context.Context, now time.Time) {
	l.seen, l.look, l.queues = now, now.Add(horizon), nil
	owed, err := l.outbox.Due(ctx, l.look, window)
	if err != nil {
		if ctx.Err() == nil {
			l.log.Warn("webhook deliveries not read", zap.Error(err))
		}
		l.look = now.Add(again)
		return
	}
	byPlace := make(map[place]*queue)
	for _, o := range owed {
		_, trying := l.under[o.ID]
		switch {
		case trying:
		case o.Next.After(now):
			l.lookBy(o.Next)
		default:
			at := place{o.Tenant, hostOf(o.URL)}
			q := byPlace[at]
			if q == nil {
				q = &queue{at: at}
				byPlace[at], l.queues = q, append(l.queues, q)
			}
			q.due = append(q.due, o)
		}
	}
	if len(owed) == window {
		l.lookBy(now.Add(time.Second)) // there may be more
	}
}

// start begins what is due and has room.
func (l *loop) start(ctx context.Context) {
	for _, q := range l.queues {
		for len(q.due) > 0 && l.room(q.at) {
			o := q.due[0]
			q.due = q.due[1:]
			l.under[o.ID] = q.at
			l.busy[q.at]++
			l.busy[q.at.whole()]++
			go func() { l.done <- result{id: o.ID, next: l.try(ctx, o)} }()
		}
	}
	l.queues = slices.DeleteFunc(l.queues, func(q *queue) bool { return len(q.due) == 0 })
}

// room reports whether one more may be tried there.
func (l *loop) room(at place) bool {
	return len(l.under) < maxTries && l.busy[at.whole()] < maxPerTenant && l.busy[at] < maxPerHost
}

func (l *loop) end(r result) {
	at := l.under[r.id]
	delete(l.under, r.id)
	for _, p := range []place{at, at.whole()} {
		if l.busy[p]--; l.busy[p] == 0 {
			delete(l.busy, p)
		}
	}
	if !r.next.IsZero() {
		l.lookBy(r.next)
	}
}

// hostOf returns what tries are counted by: all that is no address is one.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "?"
	}
	return strings.ToLower(u.Hostname())
}

// try tries a delivery once and notes what it led to. It returns when the
// delivery is due again, zero if that is never, or for another process.
func (s *Sender) try(ctx context.Context, o orchestration.Owed) time.Time {
	v := s.post(ctx, o.Delivery)
	if v.fault != "" && ctx.Err() != nil {
		return time.Time{} // it failed because we stop
	}
	t := v.next(o.Tries, time.Now())
	say := s.log.Debug
	if t.State == orchestration.DeliveryDead {
		say = s.log.Warn
	}
	say("webhook tried", zap.String("delivery", o.ID), zap.String("run_id", o.Run), zap.String("state", string(t.State)),
		zap.Int("try", o.Tries+1), zap.Int("status", t.Status), zap.String("fault", t.Error))
	s.note(ctx, o.ID, t)
	return t.Next
}

// note has the outbox know of a try, in the end: until it does, the delivery
// would be due at once, so its place is kept.
func (s *Sender) note(ctx context.Context, id string, t orchestration.Try) {
	for {
		// A receiver that has the message should not get it again because we stop.
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), again)
		err := s.outbox.Tried(patient, id, t)
		cancel()
		if err == nil || errors.Is(err, orchestration.ErrNotFound) {
			return
		}
		s.log.Warn("webhook try not noted", zap.String("delivery", id), zap.Error(err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}
