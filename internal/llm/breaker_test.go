package llm

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// A patient is a Client whose calls end as it is told, after a while.
type patient struct {
	mu    sync.Mutex
	ends  Outcome
	takes time.Duration
	calls int
}

func (p *patient) set(ends Outcome, takes time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends, p.takes = ends, takes
}

func (p *patient) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

func (p *patient) Chat(ctx context.Context, _ *Request) (*Response, error) {
	p.mu.Lock()
	ends, takes := p.ends, p.takes
	p.calls++
	p.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, Ended(ctx, Call{Outcome: Canceled})
	}
	if ends == OK {
		return Answer("x"), nil
	}
	return nil, Failure(ends)
}

// broken reports whether the breaker itself refused, and what it told.
func broken(t *testing.T, err error) (wait time.Duration, yes bool) {
	t.Helper()
	if err == nil || len(Calls(nil, err)) > 0 {
		return 0, false
	}
	failed := asError(err)
	if failed.Outcome != Unavailable || !failed.Spared || failed.RetryAfter <= 0 || failed.RetryAfter > 20*time.Second {
		t.Errorf("refused with %v and %v", failed, failed.RetryAfter)
	}
	return failed.RetryAfter, true
}

func TestBreakerOpens(t *testing.T) {
	tests := []struct {
		name  string
		calls []Outcome // again and again
		opens bool
	}{
		{"no connection", []Outcome{Unavailable}, true},
		{"timeouts", []Outcome{Timeout}, true},
		{"every second call", []Outcome{OK, Unavailable}, true},
		{"every third call", []Outcome{OK, OK, Unavailable}, false},
		{"rate limits", []Outcome{RateLimited}, false},
		{"no capacity", []Outcome{Overloaded}, false},
		{"bad requests", []Outcome{InvalidRequest, Auth, Refused, Empty, ContextTooLong}, false},
		{"given up", []Outcome{Canceled}, false},
		{"given up, and failures", []Outcome{Canceled, Canceled, Canceled, Unavailable}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &patient{}
				b := NewBreaker(p)
				opened := 0
				for i := range 100 {
					p.set(test.calls[i%len(test.calls)], time.Millisecond)
					if _, err := b.Chat(t.Context(), &Request{}); err != nil {
						if _, yes := broken(t, err); yes {
							opened = i
							break
						}
					}
				}
				if (opened > 0) != test.opens || opened > 0 && opened < 10 {
					t.Errorf("open after %d calls", opened)
				}
			})
		})
	}
}

// open returns a breaker that has just opened.
func open(t *testing.T) (*patient, *Breaker) {
	t.Helper()
	p := &patient{ends: Unavailable}
	b := NewBreaker(p)
	for range 10 {
		_, _ = b.Chat(t.Context(), &Request{})
	}
	if _, yes := broken(t, second(b.Chat(t.Context(), &Request{}))); !yes {
		t.Fatal("it is not open")
	}
	return p, b
}

func second(_ *Response, err error) error { return err }

func TestBreakerLetsOneThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := open(t)
		start, before := time.Now(), p.asked()
		wait, _ := broken(t, second(b.Chat(t.Context(), &Request{})))
		time.Sleep(wait - time.Millisecond)
		if _, yes := broken(t, second(b.Chat(t.Context(), &Request{}))); !yes {
			t.Error("asked before the time that was told")
		}
		time.Sleep(time.Millisecond)
		p.set(Unavailable, time.Second)
		probe := func() {
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() { _, _ = b.Chat(t.Context(), &Request{}) })
			}
			all.Wait()
		}
		probe()
		if n := p.asked() - before; n != 1 {
			t.Errorf("%d calls at once, want one", n)
		}
		wait, yes := broken(t, second(b.Chat(t.Context(), &Request{})))
		if !yes {
			t.Fatal("it is closed after a call that failed")
		}
		time.Sleep(wait)
		p.set(RateLimited, time.Second) // it is there
		probe()
		p.set(OK, 0)
		for range 10 {
			if _, err := b.Chat(t.Context(), &Request{}); err != nil {
				t.Errorf("after a good call: %v", err)
			}
		}
		if took := time.Since(start); took < 25*time.Second || took > 40*time.Second {
			t.Errorf("it all took %v", took)
		}
	})
}

// However the one call ends, another one is let through in time.
func TestBreakerIsNotWedged(t *testing.T) {
	ends := map[string]func(t *testing.T, p *patient, b *Breaker){
		"canceled": func(t *testing.T, p *patient, b *Breaker) {
			p.set(OK, time.Hour)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			_, _ = b.Chat(ctx, &Request{})
		},
		"out of the caller's time": func(t *testing.T, p *patient, b *Breaker) {
			p.set(OK, time.Hour)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, _ = b.Chat(ctx, &Request{})
		},
		"a panic": func(t *testing.T, p *patient, b *Breaker) {
			b.next = Func(func(context.Context, *Request) (*Response, error) { panic("boom") })
			defer func() { _ = recover(); b.next = p }()
			_, _ = b.Chat(t.Context(), &Request{})
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, b := open(t)
				time.Sleep(20 * time.Second)
				before := p.asked()
				end(t, p, b)
				if name != "a panic" && p.asked() != before+1 {
					t.Fatal("no call was let through")
				}
				p.set(OK, 0)
				if _, err := b.Chat(t.Context(), &Request{}); err != nil {
					t.Errorf("the next one: %v", err)
				}
			})
		})
	}
}

// One call that hangs, or that takes its time, does not keep all others out.
func TestBreakerWaitsForNoSlowCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := open(t)
		time.Sleep(20 * time.Second)
		p.set(OK, 5*time.Minute)
		var slow sync.WaitGroup
		defer slow.Wait()
		slow.Go(func() { _, _ = b.Chat(t.Context(), &Request{}) })
		synctest.Wait()
		p.set(OK, 0)
		before := p.asked()
		for range 19 {
			time.Sleep(time.Second)
			if _, yes := broken(t, second(b.Chat(t.Context(), &Request{}))); !yes {
				t.Fatal("two calls at once, so soon")
			}
		}
		time.Sleep(2 * time.Second)
		for range 10 {
			if _, err := b.Chat(t.Context(), &Request{}); err != nil {
				t.Errorf("the first call is slow, and the endpoint is there: %v", err)
			}
		}
		if n := p.asked() - before; n != 10 {
			t.Errorf("%d calls", n)
		}
	})
}

// An endpoint is there when its answer begins, however long that takes to end.
func TestBreakerClosesWhenAnAnswerBegins(t *testing.T) {
	heard := ""
	listeners := map[string]func(string){
		"to a listener": func(text string) { heard += text },
		"to nobody":     nil,
	}
	for name, listener := range listeners {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, b := open(t)
				time.Sleep(20 * time.Second)
				b.next = Func(func(_ context.Context, req *Request) (*Response, error) {
					req.OnText("a")
					time.Sleep(5 * time.Minute)
					req.OnText("b")
					return nil, Failure(Unavailable)
				})
				var slow sync.WaitGroup
				slow.Go(func() { _, _ = b.Chat(t.Context(), &Request{Stream: true, OnText: listener}) })
				synctest.Wait()
				b.next = p
				p.set(OK, 0)
				for range 10 {
					if _, err := b.Chat(t.Context(), &Request{}); err != nil {
						t.Errorf("the endpoint is answering: %v", err)
					}
				}
				slow.Wait()
				if _, err := b.Chat(t.Context(), &Request{}); err != nil {
					t.Errorf("opened by one call that broke off: %v", err)
				}
			})
		})
	}
	if heard != "ab" {
		t.Errorf("heard %q", heard)
	}
}

// Calls that began before it opened do not close it, nor let more through.
func TestBreakerIgnoresLateCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{ends: OK, takes: 17 * time.Second} // they end while the one call is under way
		b := NewBreaker(p)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { _, _ = b.Chat(t.Context(), &Request{}) })
		}
		synctest.Wait()
		p.set(Unavailable, 0)
		for range 10 {
			_, _ = b.Chat(t.Context(), &Request{})
		}
		time.Sleep(16900 * time.Millisecond)
		p.set(OK, time.Minute)
		before := p.asked()
		all.Go(func() { _, _ = b.Chat(t.Context(), &Request{}) })
		synctest.Wait()
		time.Sleep(time.Second)
		if _, yes := broken(t, second(b.Chat(t.Context(), &Request{}))); !yes || p.asked() != before+1 {
			t.Errorf("%d calls were let through, want one", p.asked()-before)
		}
		all.Wait()
	})
}

// Callers with deadlines too short for the endpoint do not shut out the others.
func TestBreakerAndShortDeadlines(t *testing.T) {
	tests := []struct {
		deadline time.Duration
		opens    bool
	}{{time.Second, false}, {time.Minute, true}}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			p := &patient{ends: OK, takes: time.Hour}
			b := NewBreaker(p)
			var err error
			for range 30 {
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
				_, err = b.Chat(ctx, &Request{})
				cancel()
			}
			if _, yes := broken(t, err); yes != test.opens {
				t.Errorf("deadlines of %v: open is %v", test.deadline, yes)
			}
		})
	}
}

// After any calls in any order, once the endpoint is well a breaker closes
// within the time that it tells.
func TestBreakerRecovers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type step struct {
			ends          Outcome
			takes, cancel time.Duration
			pause         time.Duration
		}
		seconds := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second
		})
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{
				rapid.SampledFrom([]Outcome{OK, Unavailable, Unavailable, Timeout, RateLimited, Canceled}).Draw(t, "ends"),
				seconds.Draw(t, "takes"), seconds.Draw(t, "cancel"), seconds.Draw(t, "pause") / 10,
			}
		}), 0, 60).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			p := &patient{}
			b := NewBreaker(p)
			var all sync.WaitGroup
			for _, s := range steps {
				p.set(s.ends, s.takes)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(s.cancel, cancel)
				all.Go(func() { _, _ = b.Chat(ctx, &Request{}) })
				time.Sleep(s.pause)
			}
			all.Wait()
			p.set(OK, 0)
			_, err := b.Chat(t.Context(), &Request{})
			if wait, yes := broken(t, err); yes {
				time.Sleep(wait)
				_, err = b.Chat(t.Context(), &Request{})
			}
			if err != nil {
				rt.Fatalf("it does not close: %v", err)
			}
		})
	})
}
