package llm

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A crowd is a run whose callers ask again and again.
type crowd struct {
	place   Place
	callers int
	prompt  int // tokens, as the endpoint counts them
	guessed int // bytes of the prompt
}

// throng has crowds share a pool for ten minutes, and returns how many tokens
// each of them got in the last nine.
func throng(t *testing.T, slots int, crowds ...crowd) []float64 {
	tokens := make([]float64, len(crowds))
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		began := time.Now()
		pool := NewPool(Func(func(_ context.Context, req *Request) (*Response, error) {
			time.Sleep(time.Second)
			resp := Answer("x")
			resp.Calls[0].Usage = Usage{Prompt: req.MaxTokens, Completion: 200}
			return resp, nil
		}), slots, nil)
		var all sync.WaitGroup
		for i, c := range crowds {
			prompt := []Message{{Text: strings.Repeat("x", c.guessed)}}
			for range c.callers {
				all.Go(func() {
					for time.Since(began) < 10*time.Minute {
						_, _ = pool.Chat(t.Context(), &Request{Place: c.place, Messages: prompt, MaxTokens: c.prompt})
						if at := time.Since(began); at > time.Minute && at < 10*time.Minute {
							mu.Lock()
							tokens[i] += float64(c.prompt + 200)
							mu.Unlock()
						}
					}
				})
			}
		}
		all.Wait()
	})
	return tokens
}

func TestPoolSharesTokens(t *testing.T) {
	tests := map[string]struct {
		a, b crowd
		want float64 // what a gets for each token of b
	}{
		"runs of large and of small prompts": {
			crowd{Place{Run: "a"}, 40, 20_000, 80_000}, crowd{Place{Run: "b"}, 40, 2000, 8000}, 1,
		},
		"tenants of many and of few requests": {
			crowd{Place{Tenant: "a"}, 200, 2000, 8000}, crowd{Place{Tenant: "b"}, 20, 2000, 8000}, 1,
		},
		"priorities":             {crowd{Place{Run: "a", Weight: Weight(4)}, 40, 2000, 8000}, crowd{Place{Run: "b"}, 40, 2000, 8000}, 4},
		"priorities of a tenant": {crowd{Place{Tenant: "a", Weight: Weight(10)}, 40, 2000, 8000}, crowd{Place{Tenant: "b"}, 40, 2000, 8000}, 1},
		"prompts that are guessed at half their size": {
			crowd{Place{Run: "a"}, 40, 4000, 8000}, crowd{Place{Run: "b"}, 40, 4000, 16_000}, 1,
		},
		"a near deadline": {
			crowd{Place{Run: "a", Deadline: time.Unix(1, 0)}, 40, 2000, 8000}, crowd{Place{Run: "b"}, 40, 2000, 8000}, 1,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tokens := throng(t, 8, test.a, test.b)
			got := tokens[0] / tokens[1]
			t.Logf("%.3f of %.0f", got, test.want)
			if math.Abs(math.Log(got/test.want)) > math.Log(1.05) {
				t.Errorf("one got %.3f tokens for each of the other's, want about %v", got, test.want)
			}
		})
	}
}

// A run of 3 in the midst of one of 200, with 8 slots and calls of a second: its turn
// comes with the next slots, be the prompts long or short.
func TestASmallRunIsNotHeldUp(t *testing.T) {
	for _, prompt := range []int{400, 8000, 80_000} {
		t.Run(fmt.Sprint(prompt), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { smallBesideLarge(t, prompt) }) })
	}
}

func smallBesideLarge(t *testing.T, prompt int) {
	pool := NewPool(Func(func(context.Context, *Request) (*Response, error) {
		time.Sleep(time.Second)
		return Answer("x"), nil
	}), 8, nil)
	var large, small sync.WaitGroup
	ask := func(all *sync.WaitGroup, run string, times int) {
		for range times {
			all.Go(func() {
				_, _ = pool.Chat(t.Context(), &Request{Place: Place{Run: run}, Messages: []Message{{Text: strings.Repeat("x", prompt)}}})
			})
		}
	}
	began := time.Now()
	ask(&large, "large", 200)
	time.Sleep(2500 * time.Millisecond)
	ask(&small, "small", 3)
	small.Wait()
	if took := time.Since(began) - 2500*time.Millisecond; took > 1500*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	large.Wait()
	if took := time.Since(began); took > 26*time.Second {
		t.Errorf("together they took %v, want 203 calls by 8", took)
	}
}
