package llm

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// An endpoint that takes so much and refuses the rest. Refusals take a moment,
// answers their latency.
type endpoint struct {
	capacity int                                    // calls at once; 0: any number
	rate     float64                                // calls a second; 0: any number
	burst    float64                                // of the rate
	window   time.Duration                          // 0: a bucket that fills steadily; else it is filled at the start of each window
	ask      func(left time.Duration) time.Duration // the Retry-After, when there is room again after left
	latency  time.Duration                          // on the average
	outcome  Outcome                                // of a refusal

	mu       sync.Mutex
	began    time.Time
	at       time.Time // when tokens was true
	tokens   float64
	inFlight int
	until    time.Time // what was asked for
	early    int       // calls that came before that
	taken    []time.Time
	refused  int
}

func (e *endpoint) Chat(ctx context.Context, _ *Request) (*Response, error) {
	e.mu.Lock()
	now := time.Now()
	if e.began.IsZero() {
		e.began, e.at, e.tokens = now, now, e.burst
	}
	if now.Before(e.until) {
		e.early++
	}
	left, ok := e.take(now)
	if !ok {
		e.refused++
		after := time.Duration(0)
		if e.ask != nil {
			after = e.ask(left)
		}
		e.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		e.mu.Lock()
		if after > 0 && time.Now().Add(after).After(e.until) {
			e.until = time.Now().Add(after)
		}
		e.mu.Unlock()
		return nil, &Error{Outcome: e.outcome, RetryAfter: after, Calls: []Call{{Outcome: e.outcome}}}
	}
	e.inFlight++
	e.taken = append(e.taken, now)
	e.mu.Unlock()
	select {
	case <-time.After(time.Duration(float64(e.latency) * (0.5 + rand.Float64()))):
	case <-ctx.Done():
	}
	e.mu.Lock()
	e.inFlight--
	e.mu.Unlock()
	return Answer("x"), nil
}

// take reports whether one more call is taken, and if not, when it might be.
func (e *endpoint) take(now time.Time) (left time.Duration, ok bool) {
	if e.capacity > 0 && e.inFlight >= e.capacity {
		return e.latency, false
	}
	if e.rate == 0 {
		return 0, true
	}
	if e.window > 0 {
		if start := e.began.Add(now.Sub(e.began).Truncate(e.window)); start.After(e.at) {
			e.at, e.tokens = start, e.burst
		}
		left = e.at.Add(e.window).Sub(now)
	} else {
		e.tokens = min(e.burst, e.tokens+e.rate*now.Sub(e.at).Seconds())
		e.at = now
		left = time.Duration((1 - e.tokens) / e.rate * float64(time.Second))
	}
	if e.tokens < 1 {
		return left, false
	}
	e.tokens--
	return 0, true
}

// seconds is how most endpoints say it: whole ones.
func seconds(left time.Duration) time.Duration { return (left + time.Second - 1).Truncate(time.Second) }

func exactly(left time.Duration) time.Duration { return left }

// A storm is what came of it.
type storm struct {
	failed   int // callers
	attempts int
	refused  [4]int // callers by how often they were refused
}

// blow has callers ask at once, each with up to three attempts and the waits
// that the core makes between them.
func blow(t *testing.T, pool *Pool, callers int) (s storm) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for range callers {
		all.Go(func() {
			refused := 0
			for attempt := 1; attempt <= 3; attempt++ {
				_, err := pool.Chat(t.Context(), &Request{Model: "m", Timeout: time.Minute})
				mu.Lock()
				s.attempts++
				mu.Unlock()
				if err == nil {
					break
				}
				refused++
				failed := asError(err)
				if len(failed.Calls) == 0 {
					t.Errorf("failed in the pool: %v", err)
				}
				delay := max(500*time.Millisecond<<(attempt-1), failed.RetryAfter)
				time.Sleep(delay + time.Duration(rand.Float64()*0.5*float64(delay)))
			}
			mu.Lock()
			defer mu.Unlock()
			s.refused[refused]++
		})
	}
	all.Wait()
	s.failed = s.refused[3]
	return s
}

// Whatever an endpoint limits, and however it says so: nothing goes out while it
// wants none, most of what it takes is used, little is refused, and hardly any
// caller (three, or one in a thousand) is refused so often that it gives up.
func TestPoolIsCalmInAStorm(t *testing.T) {
	second := func(time.Duration) time.Duration { return time.Second }
	tests := []struct {
		name     string
		endpoint func() *endpoint
		callers  int
		used     float64 // of what the endpoint takes, once the pool knows it
		refused  float64 // of all attempts
	}{
		{"a rate, by windows", func() *endpoint {
			return &endpoint{rate: 50, burst: 50, window: time.Second, ask: exactly, latency: 100 * time.Millisecond}
		}, 3000, 0.9, 0.05},
		{"a rate, whole seconds", func() *endpoint { return &endpoint{rate: 50, burst: 50, ask: seconds, latency: 100 * time.Millisecond} }, 3000, 0.9, 0.05},
		{"a rate, slow answers", func() *endpoint { return &endpoint{rate: 20, burst: 20, ask: seconds, latency: 2 * time.Second} }, 3000, 0.9, 0.05},
		{"a rate, no wait told", func() *endpoint { return &endpoint{rate: 50, burst: 50, latency: time.Second} }, 3000, 0.9, 0.05},
		{"a low rate", func() *endpoint {
			return &endpoint{rate: 10, burst: 10, window: time.Second, ask: seconds, latency: 100 * time.Millisecond}
		}, 1000, 0.75, 0.1},
		{"a rate by the minute", func() *endpoint {
			return &endpoint{rate: 10, burst: 600, window: time.Minute, ask: seconds, latency: time.Second}
		}, 5000, 0.85, 0.05},
		{"few callers", func() *endpoint { return &endpoint{rate: 10, burst: 10, ask: seconds, latency: time.Second} }, 100, 0.5, 0.5},
		{"a rate, as no capacity", func() *endpoint {
			return &endpoint{rate: 50, burst: 50, ask: seconds, latency: 100 * time.Millisecond, outcome: Overloaded}
		}, 3000, 0.9, 0.05},
		{"a capacity", func() *endpoint { return &endpoint{capacity: 10, latency: time.Second} }, 3000, 0.9, 0.05},
		{"a small capacity", func() *endpoint { return &endpoint{capacity: 3, latency: 2 * time.Second} }, 3000, 0.9, 0.05},
		{"a large capacity", func() *endpoint { return &endpoint{capacity: 40, latency: 5 * time.Second} }, 3000, 0.9, 0.05},
		{"a capacity, a wait told", func() *endpoint {
			return &endpoint{capacity: 10, ask: second, latency: time.Second, outcome: Overloaded}
		}, 3000, 0.85, 0.05},
	}
	const plays = 5 // chance has a hand in each: the one in the middle counts
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var used, refused []float64
			failed := 0
			for range plays {
				synctest.Test(t, func(t *testing.T) {
					e := test.endpoint()
					if e.outcome == "" {
						e.outcome = RateLimited
					}
					pool := NewPool(e, 64, nil)
					s := blow(t, pool, test.callers)
					failed += s.failed
					used, refused = append(used, e.used()), append(refused, float64(e.refused)/float64(s.attempts))
					if e.early > 0 {
						t.Errorf("%d calls came before they were asked to", e.early)
					}
					if pool.InUse() != 0 || pool.Waiting() != 0 {
						t.Errorf("%d in use and %d waiting at the end", pool.InUse(), pool.Waiting())
					}
				})
			}
			slices.Sort(used)
			slices.Sort(refused)
			t.Logf("used %.2f, refused %.3f, %d callers failed", used, refused, failed)
			if used[plays/2] < test.used || refused[plays/2] > test.refused {
				t.Errorf("%.3f used and %.3f refused, want at least %v and at most %v", used[plays/2], refused[plays/2], test.used, test.refused)
			}
			if failed > max(3, plays*test.callers/1000) {
				t.Errorf("%d callers of %d failed", failed, plays*test.callers)
			}
		})
	}
}

// used returns which share was used of what the endpoint takes: of the calls
// after the first 30 %, and without the last 10 %, when few callers are left.
func (e *endpoint) used() float64 {
	from, to := len(e.taken)*3/10, len(e.taken)*9/10
	best := e.rate
	if e.capacity > 0 {
		best = float64(e.capacity) / e.latency.Seconds() // what the best fixed limit gets
	}
	return float64(to-from) / e.taken[to].Sub(e.taken[from]).Seconds() / best
}
