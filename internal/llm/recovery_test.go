package llm

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// What an endpoint refuses while it fails says nothing of how fast it takes calls
// when it is well again: the pool is back at its pace within some minutes.
// Here every second call of two minutes is refused, and the mean of what follows is
// looked at, as it differs from storm to storm.
func TestPoolRecoversFromAStorm(t *testing.T) {
	const storms = 8
	took := time.Duration(0)
	for range storms {
		synctest.Test(t, func(t *testing.T) { took += recovers(t) })
	}
	if mean := took / storms; mean > 18*time.Minute {
		t.Errorf("it takes %v until nobody waits any more", mean)
	}
}

// recovers returns how long after a storm there are still calls that wait, of ten
// new ones a second.
func recovers(t *testing.T) time.Duration {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	begin := time.Now()
	pool := NewPool(Func(func(context.Context, *Request) (*Response, error) {
		if time.Since(begin) < 2*time.Minute && rand.IntN(2) == 0 {
			return nil, Failure(RateLimited)
		}
		time.Sleep(2 * time.Second)
		return Answer("x"), nil
	}), 64, nil)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
		all.Go(func() { _, _ = pool.Chat(ctx, &Request{Model: "m"}) })
		if took := time.Since(begin) - 2*time.Minute; took > 0 && pool.Waiting() == 0 {
			return took
		}
	}
	return time.Hour
}
