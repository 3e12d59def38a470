package llm

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A straggler answers in about a second, but for some calls, which take six times
// as long. How long a call takes follows from its key alone, so that a test comes
// to the same each time.
type straggler struct {
	seed   uint64
	spread float64 // of the logarithm
	slow   float64 // share of the calls
	calls  atomic.Int64
	hedges atomic.Int64
}

func (s *straggler) Chat(ctx context.Context, req *Request) (*Response, error) {
	s.calls.Add(1)
	key := fnv.New64a()
	_, _ = key.Write([]byte(req.IdempotencyKey))
	chance := rand.New(rand.NewPCG(s.seed, key.Sum64()))
	took := time.Duration(float64(time.Second) * math.Exp(s.spread*chance.NormFloat64()))
	if chance.Float64() < s.slow {
		took *= 6
	}
	call := Call{Started: time.Now(), Outcome: OK}
	for _, part := range []float64{0.2, 0.8} { // until the first token, and from then on
		select {
		case <-time.After(time.Duration(part * float64(took))):
		case <-ctx.Done():
			return nil, Ended(ctx, Call{Started: call.Started, Ended: time.Now(), Outcome: Canceled})
		}
		if req.Stream {
			req.OnText("x")
		}
	}
	call.Ended = time.Now()
	return &Response{Text: "xx", Calls: []Call{call}}, nil
}

// walls returns how long runs of 1 + 8 + 1 calls take, in order.
func walls(t *testing.T, s *straggler, runs int, hedge bool, streamed ...Role) []time.Duration {
	var took []time.Duration
	synctest.Test(t, func(t *testing.T) {
		pool := NewPool(s, 64, nil)
		pool.Hedge(func(string) bool { return true })
		ask := func(role Role, key string) {
			resp, err := pool.Chat(t.Context(), &Request{Role: role, IdempotencyKey: key, Hedge: hedge, Stream: slices.Contains(streamed, role)})
			if err != nil {
				t.Error(err)
			}
			s.hedges.Add(int64(len(resp.Calls) - 1))
		}
		var mu sync.Mutex
		var all sync.WaitGroup
		const atOnce = 4
		for w := range atOnce {
			all.Go(func() {
				for run := w; run < runs; run += atOnce {
					began := time.Now()
					ask(Planner, fmt.Sprint(run, "/plan"))
					var workers sync.WaitGroup
					for i := range 8 {
						workers.Go(func() { ask(Worker, fmt.Sprint(run, "/", i)) })
					}
					workers.Wait()
					ask(Synthesizer, fmt.Sprint(run, "/synthesis"))
					mu.Lock()
					took = append(took, time.Since(began))
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if pool.InUse() != 0 || pool.Waiting() != 0 {
			t.Errorf("%d in use and %d waiting at the end", pool.InUse(), pool.Waiting())
		}
	})
	slices.Sort(took)
	return took
}

// One call in fifty takes six times as long. Where answers are streamed, hedging
// more than halves the time that all but one run in a hundred take. Where they
// come whole it cannot quite: it shows only after a whole answer's time that a
// call is slow, and one run in a hundred meets two slow calls in series, or a slow
// second call. In both cases it takes less than a twentieth more calls.
func TestHedgingCutsTheTail(t *testing.T) {
	const runs = 2000
	tests := map[string]struct {
		streamed []Role
		want     float64 // of p99
	}{
		"streamed": {[]Role{Planner, Worker, Synthesizer}, 0.5},
		"whole":    {nil, 0.65},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			plain, hedged := straggler{seed: 1, spread: 0.2, slow: 0.02}, straggler{seed: 1, spread: 0.2, slow: 0.02}
			before, after := walls(t, &plain, runs, false, test.streamed...), walls(t, &hedged, runs, true, test.streamed...)
			at := func(walls []time.Duration, share float64) float64 {
				return walls[int(share*float64(len(walls)))].Seconds()
			}
			more := hedged.calls.Load() - plain.calls.Load()
			share := float64(more) / float64(plain.calls.Load())
			ratio := at(after, 0.99) / at(before, 0.99)
			t.Logf("%d runs: p50 %.2f s, p99 %.2f s; hedged p50 %.2f s, p99 %.2f s: p99 is %.3f of what it was, for %.2f %% more calls",
				runs, at(before, 0.5), at(before, 0.99), at(after, 0.5), at(after, 0.99), ratio, 100*share)
			if share > hedgeShare || share < 0.02 || more != hedged.hedges.Load() {
				t.Errorf("%d calls more than %d, and %d are told of", more, plain.calls.Load(), hedged.hedges.Load())
			}
			if ratio > test.want {
				t.Errorf("p99 is %.3f of what it was, want at most %v", ratio, test.want)
			}
		})
	}
}

// However slow all calls become, not more than one in twenty is made twice.
func TestHedgesHaveAnAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		told, slow := 0, false
		pool := NewPool(Func(func(ctx context.Context, req *Request) (*Response, error) {
			took := time.Second
			if calls.Add(1)%2 == 0 && slow {
				took = time.Minute
			}
			select {
			case <-time.After(took):
				return Answer("x"), nil
			case <-ctx.Done():
				return nil, Ended(ctx, Call{Outcome: Canceled})
			}
		}), 8, nil)
		pool.Hedge(func(string) bool { return true })
		const requests = 3000
		for i := range requests {
			slow = i >= 1000
			resp, err := pool.Chat(t.Context(), &Request{Hedge: true})
			if err != nil {
				t.Fatal(err)
			}
			told += len(resp.Calls)
		}
		if n := int(calls.Load()); n > requests*21/20 || n < requests*103/100 || told != n {
			t.Errorf("%d calls for %d requests, %d told of", n, requests, told)
		}
	})
}
