package llm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// What an endpoint refuses while it fails says nothing of how fast it takes calls when it
// is well again: nobody waits any more within some minutes of minutes in which hardly any
// call was taken. The mean of some storms is looked at, as they differ.
func TestPoolRecoversFromAStorm(t *testing.T) {
	const storms = 4
	for _, percent := range []int{50, 80, 100} {
		t.Run(fmt.Sprintf("%d%%", percent), func(t *testing.T) {
			t.Parallel()
			took := time.Duration(0)
			for range storms {
				synctest.Test(t, func(t *testing.T) { took += recovers(t, percent) })
			}
			if mean := took / storms; mean > 25*time.Minute {
				t.Errorf("it takes %v until nobody waits any more", mean)
			}
		})
	}
}

// recovers returns how long after a storm of five minutes, in which so many per cent of the
// calls are refused, there are still some that wait, of ten new ones a second.
func recovers(t *testing.T, percent int) time.Duration {
	const calm, storm = 2 * time.Minute, 5 * time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	begin := time.Now()
	pool := NewPool(Func(func(context.Context, *Request) (*Response, error) {
		if at := time.Since(begin); at > calm && at < calm+storm && rand.IntN(100) < percent {
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
		all.Go(func() {
			patient, stop := context.WithTimeout(ctx, 10*time.Minute)
			defer stop()
			_, _ = pool.Chat(patient, &Request{Model: "m"})
		})
		if took := time.Since(begin) - calm - storm; took > 0 && pool.Waiting() == 0 {
			return took
		}
	}
	return 2 * time.Hour
}

// As long as calls go on being refused, or no more was ever taken, what is remembered of
// better times changes nothing.
func TestThePaceWhileRefusalsGoOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, 0)
		remembers, forgets, streak := new(pace), new(pace), 0
		refused := rapid.Bool().Draw(t, "refused") // calls are, again and again; else no more was taken
		both := func(do func(*pace)) { do(remembers); do(forgets) }
		t.Repeat(map[string]func(*rapid.T){
			"sent": func(*rapid.T) { both(func(p *pace) { p.sent(now) }) },
			"taken": func(t *rapid.T) {
				for range rapid.IntRange(1, 2*paceCalm).Draw(t, "calls") {
					fresh := !refused || streak < paceCalm-1
					streak++
					both(func(p *pace) { p.succeed(fresh) })
				}
			},
			"refused": func(t *rapid.T) {
				hold := time.Duration(rapid.Int64Range(1, int64(holdMost)).Draw(t, "hold"))
				tooFast := rapid.Bool().Draw(t, "too fast")
				both(func(p *pace) { p.blame(now); p.refuse(tooFast, now.Add(hold), hold) })
				streak = 0
			},
			"pass": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "time")))
			},
			"": func(t *rapid.T) {
				if got, want := *remembers, *forgets; got.rate != want.rate || got.edge != want.edge || got.step != want.step || !got.next.Equal(want.next) {
					t.Fatalf("%+v, want %+v", got, want)
				}
				if remembers.best = paceMost; !refused {
					remembers.best = 2 * remembers.rate
				}
				forgets.best = 0
			},
		})
	})
}

// An endpoint that takes less than it did for good is asked too much of a few times, by
// what is remembered of it, and then no more.
func TestThePaceForgetsWhatIsOver(t *testing.T) {
	const takes = 4 // calls a second
	now := time.Unix(0, 0)
	p := &pace{rate: 2, best: 100}
	wrong := 0
	for range 30 {
		for p.rate <= takes {
			now = now.Add(p.gap())
			p.sent(now)
			p.succeed(true)
		}
		if p.back {
			wrong++
		}
		p.blame(now)
		now = now.Add(time.Second)
		p.refuse(true, now, time.Second)
	}
	if wrong < 1 || wrong > 6 {
		t.Errorf("it was asked too much of %d times, by what it took before", wrong)
	}
}
