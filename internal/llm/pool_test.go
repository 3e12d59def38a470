package llm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func outcome(err error) Outcome {
	if failed, ok := errors.AsType[*Error](err); ok {
		return failed.Outcome
	}
	return OK
}

// A gatedClient answers each request when it is told to, and counts them.
type gatedClient struct {
	mu      sync.Mutex
	under   int // under way
	most    int // ever under way at once
	started []string
	let     map[string]chan error // by Request.Model
}

func (c *gatedClient) expect(model string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.let[model] = make(chan error, 1)
}

func (c *gatedClient) Chat(ctx context.Context, req *Request) (*Response, error) {
	c.mu.Lock()
	c.under++
	c.most = max(c.most, c.under)
	c.started = append(c.started, req.Model)
	let := c.let[req.Model]
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.under--
		c.mu.Unlock()
	}()
	select {
	case err := <-let:
		if err != nil {
			return nil, err
		}
		return Answer(req.Model), nil
	case <-ctx.Done():
		return nil, Ended(ctx, Call{Outcome: Canceled})
	}
}

// An act of a test: a request comes, or one of those that are not over is
// canceled, answered, or refused with a wish for a while of silence; or a second
// passes. Acts without a pause between them race.
type act struct {
	kind  string
	place Place
	model string
	after time.Duration
	which int
	pause bool
}

func TestPoolKeepsItsInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		slots := rapid.IntRange(1, 4).Draw(rt, "slots")
		acts := rapid.SliceOf(rapid.Custom(func(t *rapid.T) act {
			return act{
				kind:  rapid.SampledFrom([]string{"come", "come", "come", "cancel", "answer", "refuse", "pass"}).Draw(t, "kind"),
				place: places().Draw(t, "place"),
				model: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "model"),
				after: rapid.SampledFrom([]time.Duration{0, 2500 * time.Millisecond}).Draw(t, "after"),
				which: rapid.IntRange(0, 1000).Draw(t, "which"),
				pause: rapid.Bool().Draw(t, "pause"),
			}
		})).Draw(rt, "acts")
		var fault error
		synctest.Test(t, func(*testing.T) { fault = play(slots, acts) })
		if fault != nil {
			rt.Fatal(fault)
		}
	})
}

// A played request, from when it comes until it is over.
type played struct {
	name               string
	cancel             context.CancelFunc
	canceled, answered bool
	refused            bool
	ended              chan error
}

// play carries the acts out, and returns the first broken invariant.
func play(slots int, acts []act) error {
	client := &gatedClient{let: map[string]chan error{}}
	pool := NewPool(client, slots, func(request string) string { return request[:1] }) // the model
	var open []*played
	for i, a := range acts {
		switch {
		case a.kind == "come":
			ctx, cancel := context.WithCancel(context.Background())
			r := &played{name: fmt.Sprint(a.model, i), cancel: cancel, ended: make(chan error, 1)}
			open = append(open, r)
			client.expect(r.name)
			go func() {
				_, err := pool.Chat(ctx, &Request{Model: r.name, Place: a.place})
				r.ended <- err
			}()
		case a.kind == "pass":
			time.Sleep(time.Second)
		case len(open) == 0:
		case a.kind == "cancel":
			r := open[a.which%len(open)]
			r.cancel()
			r.canceled = true
		default:
			r := open[a.which%len(open)]
			if r.answered || r.refused {
				break
			}
			if r.answered = a.kind == "answer"; r.answered {
				client.let[r.name] <- nil
				break
			}
			r.refused = true
			client.let[r.name] <- &Error{Outcome: RateLimited, RetryAfter: a.after, Calls: []Call{{Outcome: RateLimited}}}
		}
		if !a.pause {
			continue
		}
		if err := check(pool, client, &open); err != nil {
			return err
		}
	}
	for _, r := range open {
		r.cancel()
		r.canceled = true
	}
	if err := check(pool, client, &open); err != nil {
		return err
	}
	if len(open) > 0 {
		return fmt.Errorf("%d requests never end", len(open))
	}
	return nil
}

// check waits until all is quiet, takes out the requests that are over, and
// holds the others against the pool.
func check(pool *Pool, client *gatedClient, open *[]*played) error {
	synctest.Wait()
	var still []*played
	for _, r := range *open {
		started := slices.Contains(client.started, r.name)
		select {
		case err := <-r.ended:
			r.cancel()
			switch {
			case !r.canceled && !r.answered && !r.refused:
				return fmt.Errorf("%s is over, and nobody told it to be", r.name)
			case err == nil && !r.answered, err != nil && !r.canceled && !r.refused:
				return fmt.Errorf("%s ended with %w", r.name, err)
			case outcome(err) == RateLimited && r.refused:
			case err != nil && (outcome(err) != Canceled || started != (len(Calls(nil, err)) == 1)):
				return fmt.Errorf("%s, started %v, ended with %w and %d calls", r.name, started, err, len(Calls(nil, err)))
			}
		default:
			if r.canceled || (r.answered || r.refused) && started {
				return fmt.Errorf("%s hangs", r.name)
			}
			still = append(still, r)
		}
	}
	*open = still
	inUse, waiting := pool.InUse(), pool.Waiting()
	switch {
	case inUse+waiting != len(still):
		return fmt.Errorf("%d in use and %d waiting, want %d in all", inUse, waiting, len(still))
	case client.most > pool.Slots():
		return fmt.Errorf("%d under way at once, %d slots", client.most, pool.Slots())
	}
	return checkGates(pool)
}

// checkGates holds a quiet pool's gates against its slots and its queue.
func checkGates(pool *Pool) error {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	inFlight, waiting := 0, 0
	for name, g := range pool.gates {
		inFlight += g.inFlight
		waiting += pool.queue.gates[g]
		switch {
		case g.limit < 1 || g.limit > pool.slots:
			return fmt.Errorf("gate %s: a limit of %d", name, g.limit)
		case pool.queue.gates[g] > 0 && pool.inUse < pool.slots && g.open(time.Now()):
			return fmt.Errorf("gate %s: %d wait though it is open and %d of %d slots are in use", name, pool.queue.gates[g], pool.inUse, pool.slots)
		}
	}
	if inFlight != pool.inUse || waiting != pool.queue.size {
		return fmt.Errorf("the gates know of %d calls and %d waiters, the pool of %d and %d", inFlight, waiting, pool.inUse, pool.queue.size)
	}
	return nil
}

func TestPoolServesInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		var order []string
		pool := NewPool(Func(func(_ context.Context, req *Request) (*Response, error) {
			order = append(order, req.Model) // one slot: one at a time
			if req.Model == "first" {
				<-hold
			}
			return Answer("x"), nil
		}), 1, nil)
		var all sync.WaitGroup
		come := func(name string, place Place) {
			all.Go(func() { _, _ = pool.Chat(t.Context(), &Request{Model: name, Place: place}) })
			synctest.Wait()
		}
		come("first", Place{})
		come("a1 low", Place{Tenant: "a", Run: "1", Priority: 1})
		come("a1 high", Place{Tenant: "a", Run: "1", Priority: 5})
		come("a1 high, later", Place{Tenant: "a", Run: "1", Priority: 5})
		come("a2", Place{Tenant: "a", Run: "2"})
		come("b1", Place{Tenant: "b", Run: "1"})
		if pool.Waiting() != 5 || pool.InUse() != 1 || pool.Slots() != 1 {
			t.Errorf("%d wait, %d of %d in use", pool.Waiting(), pool.InUse(), pool.Slots())
		}
		close(hold)
		all.Wait()
		want := []string{"first", "a1 high", "b1", "a2", "a1 high, later", "a1 low"}
		if !slices.Equal(order, want) {
			t.Errorf("served %q, want %q", order, want)
		}
	})
}

func TestPoolTimeoutStartsWithTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := NewPool(Func(func(ctx context.Context, req *Request) (*Response, error) {
			if req.Model == "slow" {
				time.Sleep(time.Hour)
				return Answer("x"), nil
			}
			<-ctx.Done()
			return nil, &Error{Outcome: Canceled, Calls: []Call{{Outcome: Canceled}}}
		}), 1, nil)
		go func() { _, _ = pool.Chat(t.Context(), &Request{Model: "slow"}) }()
		synctest.Wait()
		start := time.Now()
		_, err := pool.Chat(t.Context(), &Request{Timeout: time.Minute})
		if took := time.Since(start); took != time.Hour+time.Minute {
			t.Errorf("timed out after %v", took)
		}
		if outcome(err) != Timeout || len(Calls(nil, err)) != 1 {
			t.Errorf("got %v with %d calls", err, len(Calls(nil, err)))
		}
	})
}

func TestPoolOutcomes(t *testing.T) {
	untilDone := Func(func(ctx context.Context, _ *Request) (*Response, error) {
		<-ctx.Done()
		return nil, ctx.Err() // against the contract, on purpose
	})
	tests := []struct {
		name    string
		next    Client
		timeout time.Duration // of the request
		expire  time.Duration // of the caller's context
		cancel  time.Duration
		want    Outcome
	}{
		{"our deadline", untilDone, time.Second, 0, 0, Timeout},
		{"the caller's deadline", untilDone, time.Hour, time.Second, 0, Timeout},
		{"the caller cancels", untilDone, time.Hour, 0, time.Second, Canceled},
		{"not an Error", Func(func(context.Context, *Request) (*Response, error) { return nil, errors.New("boom") }), 0, 0, 0, Unavailable},
		{"kept", Func(func(context.Context, *Request) (*Response, error) { return nil, Failure(Refused) }), time.Second, 0, 0, Refused},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.expire > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.expire)
					defer cancel()
				}
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, cancel)
				}
				pool := NewPool(test.next, 1, nil)
				_, err := pool.Chat(ctx, &Request{Timeout: test.timeout})
				if outcome(err) != test.want {
					t.Errorf("got %v, want %s", err, test.want)
				}
				if pool.InUse() != 0 {
					t.Error("the slot was not given back")
				}
			})
		})
	}
}

func TestPoolLeavesTheQueueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		pool := NewPool(Func(func(context.Context, *Request) (*Response, error) {
			<-hold
			return Answer("x"), nil
		}), 1, nil)
		go func() { _, _ = pool.Chat(t.Context(), &Request{}) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := pool.Chat(ctx, &Request{})
		if outcome(err) != Timeout || len(Calls(nil, err)) != 0 || pool.Waiting() != 0 {
			t.Errorf("got %v, %d waiting", err, pool.Waiting())
		}
		if _, err := pool.Chat(ctx, &Request{}); outcome(err) != Timeout {
			t.Errorf("a request whose context has ended: %v", err)
		}
		close(hold)
	})
}

func TestPoolStampsWhenItWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &Response{Text: "x", Calls: []Call{{Outcome: InvalidRequest}, {Outcome: OK}}}
		failed := &Error{Outcome: Empty, Calls: []Call{{Outcome: Empty}}}
		pool := NewPool(Func(func(_ context.Context, req *Request) (*Response, error) {
			time.Sleep(time.Minute)
			if req.Model == "fails" {
				return nil, failed
			}
			return shared, nil
		}), 1, nil)
		start := time.Now()
		go func() { _, _ = pool.Chat(t.Context(), &Request{}) }()
		synctest.Wait()
		resp, err := pool.Chat(t.Context(), &Request{})
		if err != nil || len(resp.Calls) != 2 || !resp.Calls[0].Queued.Equal(start) || !resp.Calls[1].Queued.Equal(start) {
			t.Errorf("got %+v, %v", resp, err)
		}
		_, err = pool.Chat(t.Context(), &Request{Model: "fails"})
		if calls := Calls(nil, err); len(calls) != 1 || !calls[0].Queued.Equal(start.Add(2*time.Minute)) {
			t.Errorf("got %+v", calls)
		}
		if !shared.Calls[0].Queued.IsZero() || !failed.Calls[0].Queued.IsZero() {
			t.Error("what the Client inside returned was changed")
		}
	})
}

func TestPoolSurvivesAPanic(t *testing.T) {
	pool := NewPool(Func(func(context.Context, *Request) (*Response, error) { panic("boom") }), 1, nil)
	func() {
		defer func() { _ = recover() }()
		_, _ = pool.Chat(t.Context(), &Request{})
	}()
	if pool.InUse() != 0 {
		t.Error("a panic cost a slot")
	}
}

func TestPoolUnderLoad(t *testing.T) {
	const slots, requests = 8, 2000
	var mu sync.Mutex
	under, most := 0, 0
	pool := NewPool(Func(func(context.Context, *Request) (*Response, error) {
		mu.Lock()
		under++
		most = max(most, under)
		mu.Unlock()
		runtime.Gosched()
		mu.Lock()
		under--
		mu.Unlock()
		return Answer("x"), nil
	}), slots, nil)
	var all sync.WaitGroup
	for i := range requests {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 0 {
				go cancel()
			}
			place := Place{Tenant: fmt.Sprint(i % 3), Run: fmt.Sprint(i % 17), Priority: i % 5}
			_, err := pool.Chat(ctx, &Request{Place: place})
			if err != nil && (i%3 != 0 || outcome(err) != Canceled) {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if most > slots || pool.InUse() != 0 || pool.Waiting() != 0 {
		t.Errorf("%d under way at once; %d in use and %d waiting at the end", most, pool.InUse(), pool.Waiting())
	}
}

func BenchmarkPool(b *testing.B) {
	answer := Answer("x")
	client := Func(func(context.Context, *Request) (*Response, error) { return answer, nil })
	for _, timeout := range []time.Duration{0, time.Minute} {
		b.Run(fmt.Sprintf("timeout=%v", timeout), func(b *testing.B) {
			pool := NewPool(client, 4, nil)
			req := &Request{Place: Place{Tenant: "t", Run: "r"}, Timeout: timeout}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = pool.Chat(b.Context(), req)
			}
		})
	}
	b.Run("contended", func(b *testing.B) {
		pool := NewPool(client, 1, nil)
		req := &Request{Place: Place{Tenant: "t", Run: "r"}}
		b.ReportAllocs()
		b.SetParallelism(100)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = pool.Chat(b.Context(), req)
			}
		})
	})
}
