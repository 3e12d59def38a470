package main

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Memory is given back once after each time of much work, however much of a
// scrape there is meanwhile.
func TestGiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var total atomic.Uint64
		var freed atomic.Int64
		go giveBack(ctx, total.Load, func() { freed.Add(1) })
		time.Sleep(quietFor / 2)
		pass := func(bytes uint64, want int64, when string) {
			t.Helper()
			for range 4 {
				total.Add(bytes)
				time.Sleep(quietFor)
			}
			if freed := freed.Load(); freed != want {
				t.Errorf("%s: given back %d times, want %d", when, freed, want)
			}
		}
		pass(quietAllocs/8, 0, "quiet from the start")
		pass(100<<20, 0, "at work")
		pass(quietAllocs/8, 1, "quiet again")
		pass(0, 1, "nothing at all")
		pass(100<<20, 1, "at work again")
		pass(quietAllocs/8, 2, "quiet once more")
		cancel()
		synctest.Wait()
	})
}
