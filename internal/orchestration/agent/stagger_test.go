package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// A provider answers a call after a while, and keeps when it was asked.
type provider struct {
	first, whole time.Duration
	fails        func(call int) error // nil: none does
	silent       bool                 // nothing is seen of an answer before its end

	mu    sync.Mutex
	began time.Time
	asked []time.Duration // since it began
	plain int             // calls that were not streamed
}

func (p *provider) Chat(ctx context.Context, req *llm.Request) (*llm.Response, error) {
	p.mu.Lock()
	call := len(p.asked)
	p.asked = append(p.asked, time.Since(p.began))
	if !req.Stream {
		p.plain++
	}
	p.mu.Unlock()
	if !pause(ctx, p.first) {
		return nil, llm.Ended(ctx)
	}
	if p.fails != nil && p.fails(call) != nil {
		return nil, p.fails(call)
	}
	if req.Stream && req.OnText != nil && !p.silent {
		req.OnText("a")
		req.OnText(" word")
	}
	if !pause(ctx, p.whole-p.first) {
		return nil, llm.Ended(ctx)
	}
	return llm.Answer("a word"), nil
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// staggered is a run of a long task whose model is to be staggered.
func staggered() *orchestration.Spec {
	spec := testSpec()
	spec.Task = strings.Repeat("Look at the matter from all sides. ", 200)
	for i := range spec.Models {
		spec.Models[i].Stagger = true
	}
	return spec
}

// together has so many workers of a run begin at once, and returns what came of them.
func together(ctx context.Context, a *Agent, spec *orchestration.Spec, run string, workers int) []orchestration.Worked {
	said := make([]orchestration.Worked, workers)
	var all sync.WaitGroup
	for i := range said {
		all.Go(func() {
			said[i] = a.Perform(ctx, orchestration.Performance{Run: run, Spec: spec, Command: orchestration.Work{Subtask: formal, Attempt: 1}}).(orchestration.Worked)
		})
	}
	all.Wait()
	return said
}

func seconds(of ...float64) []time.Duration {
	times := make([]time.Duration, len(of))
	for i, s := range of {
		times[i] = time.Duration(s * float64(time.Second))
	}
	return times
}

// The others wait for the first one's first token, and for no longer than it may take.
func TestStagger(t *testing.T) {
	broken := llm.Failure(llm.Unavailable)
	tests := map[string]struct {
		first, whole time.Duration
		fails        func(call int) error
		silent       bool
		change       func(*orchestration.Spec)
		want         []time.Duration
	}{
		"first token":     {first: 800 * time.Millisecond, whole: 5 * time.Second, want: seconds(0, .8, .8, .8)},
		"too slow":        {first: 30 * time.Second, whole: 31 * time.Second, want: seconds(0, 10, 10, 10)},
		"seen at its end": {first: time.Second, whole: 3 * time.Second, silent: true, want: seconds(0, 3, 3, 3)},
		"the first fails": {first: time.Second, whole: 2 * time.Second, fails: only(broken, 0), want: seconds(0, 1, 2, 2)},
		"all fail":        {first: 4 * time.Second, fails: func(int) error { return broken }, want: seconds(0, 4, 8, 10)},
		"a short task":    {first: time.Second, whole: 2 * time.Second, change: func(s *orchestration.Spec) { s.Task = "Hello" }, want: seconds(0, 0, 0, 0)},
		"no stagger":      {first: time.Second, whole: 2 * time.Second, change: func(s *orchestration.Spec) { s.Models[1].Stagger = false }, want: seconds(0, 0, 0, 0)},
		"it panics":       {first: time.Second, whole: 2 * time.Second, fails: func(call int) error { panicFirst(call); return nil }, want: seconds(0, 1, 2, 2)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				spec := staggered()
				if test.change != nil {
					test.change(spec)
				}
				p := &provider{first: test.first, whole: test.whole, fails: test.fails, silent: test.silent, began: time.Now()}
				a := New(Options{Client: p, Texts: &shelf{}})
				said := together(t.Context(), a, spec, "run_1", 4)
				if !slices.Equal(p.asked, test.want) {
					t.Errorf("asked at %v, want %v", p.asked, test.want)
				}
				for _, s := range said {
					if test.fails == nil && s.Output != "a word" {
						t.Errorf("said %+v", s)
					}
				}
			})
		})
	}
}

func only(err error, call int) func(int) error {
	return func(n int) error {
		if n == call {
			return err
		}
		return nil
	}
}

func panicFirst(call int) {
	if call == 0 {
		panic("words")
	}
}

// Only the first is streamed. Once the provider has the prefix nobody waits, until it
// was not used for long; and other runs have prefixes of their own.
func TestStaggerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := staggered()
		p := &provider{first: time.Second, whole: 2 * time.Second, began: time.Now()}
		a := New(Options{Client: p, Texts: &shelf{}})
		together(t.Context(), a, spec, "run_1", 3) // ends at 3 s
		if p.plain != 2 {
			t.Errorf("%d of 3 calls were not streamed", p.plain)
		}
		together(t.Context(), a, spec, "run_1", 2) // ends at 5 s
		together(t.Context(), a, spec, "run_2", 2) // ends at 8 s
		want := []float64{0, 1, 1, 3, 3, 5, 6}
		for _, unused := range []time.Duration{prefixKept - 10*time.Second, prefixKept - 10*time.Second, prefixKept} {
			time.Sleep(unused)
			began := time.Since(p.began).Seconds()
			together(t.Context(), a, spec, "run_1", 2)
			if want = append(want, began, began); unused == prefixKept {
				want[len(want)-1]++
			}
		}
		if want := seconds(want...); !slices.Equal(p.asked, want) {
			t.Errorf("asked at %v, want %v", p.asked, want)
		}
	})
}

// Who is held has no slot, and goes with its run.
func TestHeldCallsAreCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{first: 5 * time.Second, whole: 6 * time.Second, began: time.Now()}
		pool := llm.NewPool(p, 64, nil)
		a := New(Options{Client: pool, Texts: &shelf{}})
		spec := staggered()
		var first sync.WaitGroup
		first.Go(func() { together(t.Context(), a, spec, "run_1", 1) })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		time.AfterFunc(500*time.Millisecond, func() {
			if pool.InUse() != 1 || pool.Waiting() != 0 {
				t.Errorf("%d slots are in use, %d calls wait for one", pool.InUse(), pool.Waiting())
			}
		})
		for _, said := range together(ctx, a, spec, "run_1", 4) {
			wantFailure(t, said.Failure, orchestration.CodeCanceled, false)
		}
		if time.Since(p.began) != time.Second || len(p.asked) != 1 {
			t.Errorf("it took %v and %d calls", time.Since(p.began), len(p.asked))
		}
		first.Wait()
	})
}

// An attempt's time counts from its slot, and not while it is held.
func TestHeldTimeIsNotTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{first: 5 * time.Second, whole: 6 * time.Second, began: time.Now()}
		spec := staggered()
		spec.Limits.SubtaskTimeout = 7 * time.Second
		for _, said := range together(t.Context(), New(Options{Client: llm.NewPool(p, 64, nil), Texts: &shelf{}}), spec, "run_1", 3) {
			wantFailure(t, said.Failure, "", false)
		}
		if took := time.Since(p.began); took != 11*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// What is remembered of prefixes is bounded.
func TestPrefixesAreBounded(t *testing.T) {
	var ps prefixes
	for i := range 3 * maxPrefixes {
		key := fmt.Sprint(i)
		if _, leads := ps.join(key); !leads {
			t.Fatalf("prefix %d is known already", i)
		}
	}
	if len(ps.known) > maxPrefixes {
		t.Errorf("%d prefixes are remembered", len(ps.known))
	}
}
