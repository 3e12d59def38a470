package llm

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// refusing returns a Client that refuses the first calls of each model, and
// when calls of a model went out.
func refusing(first int, after time.Duration) (Client, func(model string) []time.Duration) {
	var mu sync.Mutex
	sent := map[string][]time.Duration{}
	start := time.Now()
	client := Func(func(_ context.Context, req *Request) (*Response, error) {
		mu.Lock()
		defer mu.Unlock()
		sent[req.Model] = append(sent[req.Model], time.Since(start))
		if len(sent[req.Model]) <= first && req.Model == "held" {
			return nil, &Error{Outcome: RateLimited, RetryAfter: after, Calls: []Call{{Outcome: RateLimited}}}
		}
		return Answer("x"), nil
	})
	return client, func(model string) []time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(sent[model])
	}
}

func TestGateHoldsUntilRetryAfter(t *testing.T) {
	tests := []struct {
		name        string
		after       time.Duration
		least, most time.Duration // when the next call goes out
	}{
		{"seconds", 20 * time.Second, 20 * time.Second, 22 * time.Second},
		{"more than is waited", 24 * time.Hour, 5 * time.Minute, 330 * time.Second},
		{"not told", 0, time.Millisecond, time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, sent := refusing(1, test.after)
				pool := NewPool(client, 4, nil)
				if _, err := pool.Chat(t.Context(), &Request{Model: "held"}); outcome(err) != RateLimited {
					t.Fatal(err)
				}
				var all sync.WaitGroup
				for range 20 {
					all.Go(func() { _, _ = pool.Chat(t.Context(), &Request{Model: "held"}) })
				}
				synctest.Wait()
				if pool.InUse() != 0 || pool.Waiting() != 20 {
					t.Errorf("%d in use and %d waiting while the model is held", pool.InUse(), pool.Waiting())
				}
				for range 10 { // the other model has all the slots
					if _, err := pool.Chat(t.Context(), &Request{Model: "free"}); err != nil {
						t.Error(err)
					}
				}
				if times := sent("free"); len(times) != 10 || times[9] != 0 {
					t.Errorf("another model waited: %v", times)
				}
				all.Wait()
				times := sent("held")
				if len(times) != 21 || times[1] < test.least || times[1] > test.most {
					t.Errorf("sent at %v, want the second one between %v and %v", times, test.least, test.most)
				}
				if times[2] == times[1] || times[20]-times[1] > 20*time.Second {
					t.Errorf("after the hold, sent at %v, want them apart, but not for long", times[1:])
				}
			})
		})
	}
}

func TestRequestsLeaveAHeldGateWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, sent := refusing(1, time.Minute)
		pool := NewPool(client, 4, nil)
		_, _ = pool.Chat(t.Context(), &Request{Model: "held"})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := pool.Chat(ctx, &Request{Model: "held"})
		if outcome(err) != Timeout || len(Calls(nil, err)) != 0 || time.Since(start) != time.Second || pool.Waiting() != 0 {
			t.Errorf("got %v with %d calls after %v, %d waiting", err, len(Calls(nil, err)), time.Since(start), pool.Waiting())
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := pool.Chat(ctx, &Request{Model: "held"}); outcome(err) != Canceled || time.Since(start) != 2*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		if n := len(sent("held")); n != 1 {
			t.Errorf("%d calls", n)
		}
		time.Sleep(time.Hour) // the alarm that nobody waits for does no harm
		if _, err := pool.Chat(t.Context(), &Request{Model: "held"}); err != nil {
			t.Error(err)
		}
	})
}

// Models behind one upstream share a gate, others do not.
func TestGatesAreOfWhatStandsBehindAModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router := &Router{Routes: map[string]Route{
			"held":  {Provider: "p", Name: "m"},
			"alias": {Provider: "p", Name: "m"},
			"other": {Provider: "q", Name: "m"},
		}}
		client, sent := refusing(1, time.Minute)
		pool := NewPool(client, 4, router.Upstream)
		for _, model := range []string{"held", "alias", "other"} {
			_, _ = pool.Chat(t.Context(), &Request{Model: model})
		}
		if alias, other := sent("alias"), sent("other"); len(alias) != 1 || alias[0] < time.Minute || len(other) != 1 || other[0] > alias[0] {
			t.Errorf("sent at %v and %v", alias, other)
		}
		if pool.Limit("alias") != pool.Limit("held") || pool.Limit("other") != 4 || pool.Limit("never asked") != 4 {
			t.Error("limits are not those of the gates")
		}
	})
}

func TestGateLimit(t *testing.T) {
	now := time.Now()
	g := newGate(64)
	burst := make([]pass, 64)
	for i := range burst {
		burst[i] = g.enter(now)
	}
	refused := &Error{Outcome: RateLimited}
	for i, p := range burst[:60] {
		g.leave(now, p, refused)
		if want := min(32, 63-i); i >= 31 && g.limit != want {
			t.Fatalf("a burst of %d refusals leaves %d of 64, want %d", i+1, g.limit, want)
		}
	}
	for _, p := range burst[60:] {
		g.leave(now, p, &Error{Outcome: Unavailable})
	}
	if g.limit != 4 || g.inFlight != 0 {
		t.Fatalf("%d in flight, limit %d: failures that are no refusals count", g.inFlight, g.limit)
	}
	full := func() {
		now = now.Add(time.Hour)
		round := make([]pass, g.limit)
		for i := range round {
			round[i] = g.enter(now)
		}
		for _, p := range round {
			g.leave(now, p, &Error{Outcome: OK})
		}
	}
	for want := 5; want <= 64; want++ {
		if full(); g.limit != want {
			t.Fatalf("a limit of %d, want %d: one more a round", g.limit, want)
		}
	}
	one := g.enter(now)
	for range 100 {
		g.leave(now, one, refused) // all of one round
		g.inFlight++
	}
	if g.limit < 1 {
		t.Fatal("the limit fell below 1")
	}
}

// Where all of a burst are refused the endpoint is not there, and it is not known
// how many it will take.
func TestGateLimitWhereNothingIsTaken(t *testing.T) {
	now := time.Now()
	g := newGate(64)
	burst := make([]pass, 64)
	for i := range burst {
		burst[i] = g.enter(now)
	}
	for _, p := range burst {
		g.leave(now, p, &Error{Outcome: Overloaded})
	}
	if g.limit != 32 || g.edge != 0 {
		t.Fatalf("the limit is %d of 64, want half, and the edge %d", g.limit, g.edge)
	}
}

// Names of models that callers invent do not fill the memory.
func TestGatesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := refusing(0, 0)
		pool := NewPool(client, 4, nil)
		for i := range 10 * maxGates {
			_, _ = pool.Chat(t.Context(), &Request{Model: fmt.Sprint(i)})
		}
		if len(pool.gates) > maxGates {
			t.Errorf("%d gates", len(pool.gates))
		}
	})
}

// Whatever happens to calls, a gate's numbers stay within their bounds, and it
// opens again.
func TestGateStaysWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, 0)
		slots := rapid.IntRange(1, 9).Draw(t, "slots")
		g := newGate(slots)
		var out []pass
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				if !g.open(now) {
					t.Skip("closed")
				}
				out = append(out, g.enter(now))
			},
			"leave": func(t *rapid.T) {
				if len(out) == 0 {
					t.Skip("empty")
				}
				i := rapid.IntRange(0, len(out)-1).Draw(t, "which")
				ended := &Error{
					Outcome:    rapid.SampledFrom([]Outcome{OK, OK, RateLimited, Overloaded, Unavailable, Canceled}).Draw(t, "outcome"),
					RetryAfter: time.Duration(rapid.Int64Range(-1, int64(time.Hour)).Draw(t, "after")),
				}
				g.leave(now, out[i], ended)
				out = slices.Delete(out, i, i+1)
				if wait := ended.RetryAfter; (ended.Outcome == RateLimited || ended.Outcome == Overloaded) && g.next().Before(now.Add(min(wait, holdMost))) {
					t.Fatalf("opens %v from now, though it was asked to wait for %v", g.next().Sub(now), wait)
				}
			},
			"pass": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "time")))
			},
			"": func(t *rapid.T) {
				switch {
				case g.inFlight != len(out):
					t.Fatalf("%d in flight, want %d", g.inFlight, len(out))
				case g.limit < 1 || g.limit > slots:
					t.Fatalf("a limit of %d of %d", g.limit, slots)
				case g.next().Sub(now) > holdMost*12/10:
					t.Fatalf("closed for %v", g.next().Sub(now))
				case g.pace.rate < 0 || g.pace.rate > paceMost || g.pace.rate != g.pace.rate:
					t.Fatalf("a pace of %v", g.pace.rate)
				}
			},
		})
	})
}

// Who comes in the moment in which a gate opens does not go before those who
// waited for it.
func TestNobodyGoesBeforeThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		pool := NewPool(Func(func(_ context.Context, req *Request) (*Response, error) {
			order = append(order, req.Place.Run) // one slot: one at a time
			return Answer("x"), nil
		}), 1, nil)
		_, _ = pool.Chat(t.Context(), &Request{})
		g := pool.gates[""]
		g.until = time.Now().Add(time.Hour)
		var all sync.WaitGroup
		all.Go(func() { _, _ = pool.Chat(t.Context(), &Request{Place: Place{Run: "waits"}}) })
		synctest.Wait()
		g.until = time.Now() // it is open, and the alarm is late
		_, _ = pool.Chat(t.Context(), &Request{Place: Place{Run: "comes"}})
		all.Wait()
		if !slices.Equal(order, []string{"", "waits", "comes"}) {
			t.Errorf("served %q", order)
		}
	})
}
