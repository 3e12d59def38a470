package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// drawSpec is a run with some specialists, which have tools or have not.
func drawSpec(t *rapid.T) *orchestration.Spec {
	words := rapid.StringMatching(`[a-zé<&/ "{}]{0,60}`)
	spec := testSpec()
	spec.Task = words.Draw(t, "task") + "!"
	spec.Context, _ = json.Marshal(rapid.MapOfN(rapid.StringMatching(`[a-z]{1,8}`), words, 0, 4).Draw(t, "context"))
	spec.Worker.System = rapid.SampledFrom([]string{"", "Be brief."}).Draw(t, "system")
	withTools(spec)
	spec.Worker.Tools = nil
	spec.Workers = nil
	for i := range rapid.IntRange(0, 3).Draw(t, "specialists") {
		w := orchestration.Worker{Role: orchestration.Role{Model: "small", System: words.Draw(t, "special")}, Name: fmt.Sprintf("w%d", i)}
		if rapid.Bool().Draw(t, "tools") {
			w.Tools = []string{"look"}
		}
		spec.Workers = append(spec.Workers, w)
	}
	return spec
}

// drawWork is an attempt of one of its workers, whichever.
func drawWork(t *rapid.T, spec *orchestration.Spec, shown []orchestration.Result) orchestration.Work {
	words := rapid.StringMatching(`[a-z<&/ ]{0,40}`)
	c := orchestration.Work{
		Subtask: orchestration.Subtask{
			ID: rapid.StringMatching(`T[0-9]{1,3}`).Draw(t, "id"), Type: words.Draw(t, "type"), Description: words.Draw(t, "description"),
		},
		Attempt: rapid.IntRange(1, 3).Draw(t, "attempt"), Dependencies: shown,
	}
	if i := rapid.IntRange(0, len(spec.Workers)).Draw(t, "worker"); i > 0 {
		c.Worker = spec.Workers[i-1].Name
	}
	if rapid.Bool().Draw(t, "inputs") {
		c.Inputs = inputWork.Inputs
	}
	if rapid.Bool().Draw(t, "checked") {
		c.Checks = []orchestration.Check{schemaCheck(`{"type":"object"}`)}
	}
	if rapid.Bool().Draw(t, "refused") {
		c = reworked(c)
	}
	return c
}

// Whatever the workers of a run are and do, their prompts begin alike: up to the end
// of the outputs that they share and, in another run of the same, to the last byte.
func TestWorkersShareTheirBeginning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		shown := rapid.SampledFrom([][]orchestration.Result{nil, {facts}}).Draw(t, "shown")
		one, other := drawWork(t, spec, shown), drawWork(t, spec, shown)
		m := model(says("{}"))
		a := New(Options{Client: m, Texts: &shelf{}, Tools: &bench{}})
		sent := func(run string, c orchestration.Work) llm.Request {
			before := len(m.sent)
			a.Perform(context.Background(), orchestration.Performance{Run: run, Spec: spec, Command: c})
			return m.sent[before]
		}
		first, second, again := sent("run_1", one), sent("run_1", other), sent("run_2", one)

		end := "</task>\n\n"
		if string(spec.Context) != "{}" {
			end = "</context>\n\n"
		}
		if shown != nil {
			end = "</dependencies>\n\n"
		}
		head, _, found := strings.Cut(first.Messages[1].Text, end)
		if !found || first.Messages[0].Text != second.Messages[0].Text || !strings.HasPrefix(second.Messages[1].Text, head+end) {
			t.Fatalf("of one run:\n%s\n%s", show(first), show(second))
		}
		if first.CacheKey == "" || first.CacheKey != second.CacheKey || first.CacheKey == again.CacheKey || strings.Contains(first.CacheKey, "run") {
			t.Fatalf("keys %q and %q, of another run %q", first.CacheKey, second.CacheKey, again.CacheKey)
		}
		if show(first) != show(again) {
			t.Fatalf("of two runs:\n%s\n%s", show(first), show(again))
		}
	})
}

// A worker that has its own system message begins otherwise, and says so.
func TestASystemMessageOfItsOwn(t *testing.T) {
	spec := testSpec()
	spec.Worker.System, spec.Workers[0].SystemFirst = "Be brief.", true
	m := model(says("x"))
	performWork(t, m, spec, orchestration.Work{Subtask: formal, Attempt: 1})
	performWork(t, m, spec, orchestration.Work{Subtask: formal, Attempt: 1, Worker: "researcher"})
	if m.sent[0].CacheKey == m.sent[1].CacheKey || m.sent[0].Messages[0].Text != "Be brief." || m.sent[1].Messages[0].Text != spec.Workers[0].System {
		t.Errorf("%+v\n%+v", m.sent[0], m.sent[1])
	}
	if strings.Contains(m.last(1), spec.Workers[0].System) {
		t.Errorf("it is told twice:\n%s", m.last(1))
	}
}

// A provider answers a call after a while, and keeps when it was asked.
type provider struct {
	first, whole time.Duration
	fails        func(call int) error // nil: none does

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
	if req.Stream && req.OnText != nil {
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
		change       func(*orchestration.Spec)
		want         []time.Duration
	}{
		"first token":     {first: 800 * time.Millisecond, whole: 5 * time.Second, want: seconds(0, .8, .8, .8)},
		"too slow":        {first: 30 * time.Second, whole: 31 * time.Second, want: seconds(0, 10, 10, 10)},
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
				p := &provider{first: test.first, whole: test.whole, fails: test.fails, began: time.Now()}
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
		time.Sleep(prefixKept)
		together(t.Context(), a, spec, "run_1", 2)
		later := (8*time.Second + prefixKept).Seconds()
		if want := seconds(0, 1, 1, 3, 3, 5, 6, later, later+1); !slices.Equal(p.asked, want) {
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
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		time.AfterFunc(500*time.Millisecond, func() {
			if pool.InUse() != 1 || pool.Waiting() != 0 {
				t.Errorf("%d slots are in use, %d calls wait for one", pool.InUse(), pool.Waiting())
			}
		})
		for _, said := range together(ctx, a, staggered(), "run_1", 4) {
			wantFailure(t, said.Failure, orchestration.CodeCanceled, false)
		}
		if time.Since(p.began) != time.Second || len(p.asked) != 1 {
			t.Errorf("it took %v and %d calls", time.Since(p.began), len(p.asked))
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
