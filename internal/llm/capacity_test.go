package llm

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Of an endpoint that takes so many calls at once, which nobody tells, the pool
// uses nearly as much as one that was told, from the first call on, and few calls
// are refused: those that were found out by, and now and then one to see whether
// it takes more by now.
func TestPoolFindsACapacity(t *testing.T) {
	second := func(time.Duration) time.Duration { return time.Second }
	for _, capacity := range []int{2, 10, 40} {
		for _, latency := range []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second} {
			for name, ask := range map[string]func(time.Duration) time.Duration{"no wait": nil, "a wait": second} {
				t.Run(fmt.Sprintf("capacity=%d/latency=%v/%s told", capacity, latency, name), func(t *testing.T) {
					t.Parallel()
					calls := max(3000, capacity*int(30*time.Second/latency))
					// pursue returns the calls a second that succeed in a pool of so many slots, and
					// which part of all is refused.
					pursue := func(slots int) (goodput, refused float64) {
						synctest.Test(t, func(t *testing.T) {
							e := &endpoint{capacity: capacity, latency: latency, ask: ask, outcome: RateLimited}
							began := time.Now()
							s := blow(t, NewPool(e, slots, nil), calls)
							goodput, refused = float64(len(e.taken))/time.Since(began).Seconds(), float64(e.refused)/float64(s.attempts)
						})
						return goodput, refused
					}
					const plays = 3 // chance has a hand in each: the one in the middle counts
					var of, refused [plays]float64
					best, _ := pursue(capacity)
					for i := range plays {
						of[i], refused[i] = pursue(64)
						of[i] /= best
					}
					slices.Sort(of[:])
					slices.Sort(refused[:])
					t.Logf("%.3f of the best fixed limit's goodput, %.1f %% of the calls refused", of[plays/2], 100*refused[plays/2])
					if of[plays/2] < 0.9 || refused[plays/2] > 0.05 {
						t.Errorf("%.3f of the best fixed limit's goodput and %.1f %% refused, want at least 0.9 and at most 5 %%", of[plays/2], 100*refused[plays/2])
					}
				})
			}
		}
	}
}
