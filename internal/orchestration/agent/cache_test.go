package agent

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// A store is a cache by tenant/key.
type store map[string]string

func (s store) Cached(_ context.Context, tenant, key string, _ time.Time) (string, bool, error) {
	output, ok := s[tenant+"/"+key]
	if output == "lost" {
		return output, true, errLost
	}
	return output, ok, nil
}

func TestWhatWasMadeBefore(t *testing.T) {
	const plan = `{"version":0,"subtasks":[{"id":"T1","kind":"worker","type":"x","description":"do it"}]}`
	cache := store{"acme/k": "from before", "acme/plan": plan, "acme/bad": "no plan", "acme/lost": "lost", "other/theirs": "secret"}
	m := model(says(`{"subtasks":[{"id":"T1","type":"x","description":"anew"}]}`))
	perform := func(c orchestration.Command, deltas func(orchestration.Delta)) orchestration.Said {
		spec := testSpec()
		m.sent = nil
		return New(Options{Client: m, Texts: &shelf{}, Cache: cache}).Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: c, Deltas: deltas})
	}
	shown := ""
	show := func(d orchestration.Delta) { shown += d.Text }
	want := orchestration.Worked{Subtask: "T2", Attempt: 1, Output: "from before", Cached: true}
	if diff := cmp.Diff(want, perform(orchestration.Work{Subtask: formal, Attempt: 1, CacheKey: "k"}, show)); diff != "" || len(m.sent) > 0 || shown != want.Output {
		t.Errorf("%d calls, shown %q\n%s", len(m.sent), shown, diff)
	}
	if said := perform(orchestration.Synthesize{Attempt: 1, CacheKey: "k"}, nil).(orchestration.Synthesized); !said.Cached || said.Output != "from before" || len(m.sent) > 0 {
		t.Errorf("said %+v", said)
	}
	if said := perform(orchestration.MakePlan{Attempt: 1, CacheKey: "plan"}, nil).(orchestration.Planned); !said.Cached || said.Plan.Subtasks[0].Description != "do it" || len(m.sent) > 0 {
		t.Errorf("said %+v", said)
	}
	part := planning
	part.CacheKey = "plan"
	if said := perform(part, nil).(orchestration.Worked); !said.Cached || said.Plan == nil || said.Plan.Subtasks[0].Description != "do it" || said.Output != plan {
		t.Errorf("said %+v", said)
	}
	for name, c := range map[string]orchestration.Command{
		"another tenant's":    orchestration.Work{Subtask: formal, Attempt: 1, CacheKey: "theirs"},
		"unreadable":          orchestration.Work{Subtask: formal, Attempt: 1, CacheKey: "lost"},
		"a revision":          reworked(orchestration.Work{Subtask: formal, CacheKey: "k"}),
		"no plan":             orchestration.MakePlan{Attempt: 1, CacheKey: "bad"},
		"a repair":            orchestration.MakePlan{Attempt: 1, CacheKey: "plan", Repair: &orchestration.Repair{Answer: whole("x")}},
		"a part that is none": func() orchestration.Work { c := planning; c.CacheKey = "bad"; return c }(),
		"without a key":       orchestration.Work{Subtask: formal, Attempt: 1},
	} {
		perform(c, nil)
		if len(m.sent) != 1 {
			t.Errorf("%s: %d calls", name, len(m.sent))
		}
	}
}

// slow answers after a minute, and counts.
func slow(n *atomic.Int32, answer func(n int32, req *llm.Request) (*llm.Response, error)) llm.Client {
	return llm.Func(func(ctx context.Context, req *llm.Request) (*llm.Response, error) {
		mine := n.Add(1)
		select {
		case <-time.After(time.Minute):
			return answer(mine, req)
		case <-ctx.Done():
			return nil, llm.Ended(ctx)
		}
	})
}

// Identical calls of a process are made once, and none waits for more than two others.
func TestIdenticalCallsAreMadeOnce(t *testing.T) {
	always := func(r reply) func(int32, *llm.Request) (*llm.Response, error) {
		return func(_ int32, req *llm.Request) (*llm.Response, error) { return r(req) }
	}
	ok := always(says("made"))
	tests := map[string]struct {
		answer func(int32, *llm.Request) (*llm.Response, error)
		checks []orchestration.Check
		cancel bool // the first
		calls  int32
		cached int
		took   time.Duration
	}{
		"the first makes it":    {ok, nil, false, 1, 4, time.Minute},
		"the first is canceled": {ok, nil, true, 2, 3, time.Minute},
		"the first fails": {func(n int32, req *llm.Request) (*llm.Response, error) {
			if n == 1 {
				return fails(&llm.Error{Outcome: llm.Unavailable})(req)
			}
			return ok(n, req)
		}, nil, false, 2, 3, 2 * time.Minute},
		"the first is refused": {func(n int32, req *llm.Request) (*llm.Response, error) {
			if n == 1 {
				return says("wrong")(req)
			}
			return ok(n, req)
		}, []orchestration.Check{{Regex: "made"}}, false, 2, 3, 2 * time.Minute},
		"every one fails":             {always(fails(&llm.Error{Outcome: llm.Unavailable})), nil, false, 5, 0, 3 * time.Minute},
		"every one is refused":        {always(says("wrong")), []orchestration.Check{{Regex: "made"}}, false, 5, 0, 3 * time.Minute},
		"the core has still to check": {ok, []orchestration.Check{{Expr: "true"}}, false, 5, 0, time.Minute},
		"the first panics": {func(n int32, req *llm.Request) (*llm.Response, error) {
			if n == 1 {
				panic("words")
			}
			return ok(n, req)
		}, nil, false, 2, 3, 2 * time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int32
				a := New(Options{Client: slow(&n, test.answer), Texts: &shelf{}, Cache: store{}})
				spec := testSpec()
				spec.Limits.SubtaskTimeout = 0
				first, cancel := context.WithCancel(t.Context())
				defer cancel()
				said := make([]orchestration.Worked, 5)
				var all sync.WaitGroup
				started := time.Now()
				for i := range said {
					ctx := t.Context()
					if i == 0 {
						ctx = first
					}
					all.Go(func() {
						c := orchestration.Work{Subtask: formal, Attempt: 1, CacheKey: "k", Checks: test.checks}
						said[i] = a.Perform(ctx, orchestration.Performance{Run: "run_1", Spec: spec, Command: c}).(orchestration.Worked)
					})
					synctest.Wait() // so that they come in order
				}
				if test.cancel {
					cancel()
				}
				all.Wait()
				cached, good := 0, 0
				for _, s := range said {
					if s.Cached {
						cached++
						if len(s.Calls) > 0 {
							t.Errorf("a call was counted for %+v", s)
						}
					}
					if s.Output == "made" {
						good++
					}
				}
				if n.Load() != test.calls || cached != test.cached || test.cached > 0 && good < test.cached+1 || time.Since(started) != test.took {
					t.Errorf("%d calls, %d cached, %d good, after %v", n.Load(), cached, good, time.Since(started))
				}
				if len(a.flights.under) > 0 {
					t.Error("a flight was left behind")
				}
			})
		})
	}
}

// Who waits gives up with its own context, and tenants share nothing.
func TestWaitingForAnIdenticalCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		a := New(Options{Client: slow(&n, func(_ int32, req *llm.Request) (*llm.Response, error) { return says("made")(req) }), Texts: &shelf{}})
		perform := func(ctx context.Context, tenant string) orchestration.Worked {
			spec := testSpec()
			spec.Tenant = tenant
			return a.Perform(ctx, orchestration.Performance{Run: "run_1", Spec: spec, Command: orchestration.Work{Subtask: formal, Attempt: 1, CacheKey: "k"}}).(orchestration.Worked)
		}
		var all sync.WaitGroup
		all.Go(func() { perform(t.Context(), "acme") })
		all.Go(func() { perform(t.Context(), "other") })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantFailure(t, perform(ctx, "acme").Failure, orchestration.CodeCanceled, false)
		all.Wait()
		if n.Load() != 2 {
			t.Errorf("%d calls", n.Load())
		}
	})
}

// An output of which the core has still to make another one is not shared: it would
// be taken for that one.
func TestAnOutputThatIsNotYetWhatOthersSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		a := New(Options{Client: slow(&n, func(_ int32, req *llm.Request) (*llm.Response, error) { return says("made")(req) }), Texts: &shelf{}})
		c := orchestration.Work{Subtask: formal, Attempt: 1, CacheKey: "k"}
		c.Subtask.Gives = "output.size"
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				said := a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: testSpec(), Command: c}).(orchestration.Worked)
				if said.Cached {
					t.Errorf("%q was shared", said.Output)
				}
			})
		}
		all.Wait()
	})
}

// What was made with less room than another one has is not shared with that one.
func TestWhatWasShortenedIsNotShared(t *testing.T) {
	narrow, wide := testSpec(), testSpec()
	for i := range narrow.Models {
		narrow.Models[i].ContextWindow = 2000
	}
	big := bigDependency(5000)
	decision, part := big, planning
	decision.Subtask = orchestration.Subtask{ID: "D", Kind: orchestration.KindDecide, Decide: &orchestration.Decide{By: orchestration.DecideByModel, Options: []string{"a", "b"}}}
	part.Dependencies = big.Dependencies
	big.CacheKey, decision.CacheKey, part.CacheKey = "k", "k", "k"
	for name, test := range map[string]struct {
		command orchestration.Command
		answer  string
	}{
		"an output":   {big, "made"},
		"a decision":  {decision, `{"option":"a"}`},
		"a part":      {part, `{"subtasks":[{"id":"T1","description":"do it"}]}`},
		"a synthesis": {orchestration.Synthesize{Attempt: 1, CacheKey: "k", Results: big.Dependencies}, "made"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int32
				a := New(Options{Client: slow(&n, func(_ int32, req *llm.Request) (*llm.Response, error) { return says(test.answer)(req) }), Texts: &shelf{}})
				said := make([]orchestration.Said, 2)
				var all sync.WaitGroup
				for i, spec := range []*orchestration.Spec{narrow, wide} {
					all.Go(func() {
						said[i] = a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: test.command})
					})
					synctest.Wait()
				}
				all.Wait()
				for i, shortened := range []bool{true, false} {
					switch s := said[i].(type) {
					case orchestration.Worked:
						if s.Failure != nil || s.Shortened != shortened || s.Cached {
							t.Errorf("%d: %+v", i, s)
						}
					case orchestration.Synthesized:
						if s.Failure != nil || s.Shortened != shortened || s.Cached {
							t.Errorf("%d: %+v", i, s)
						}
					}
				}
			})
		})
	}
}

// A part of a plan is shared whole, however long the answer that it was read from.
func TestALongPartIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		description := strings.Repeat("do it ", maxAnswer/4)
		a := New(Options{Client: slow(&n, func(_ int32, req *llm.Request) (*llm.Response, error) {
			return says(`{"subtasks":[{"id":"T1","description":"` + description + `"}]}`)(req)
		}), Texts: &shelf{}})
		c := planning
		c.CacheKey = "k"
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				said := a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: testSpec(), Command: c}).(orchestration.Worked)
				if said.Plan == nil || strings.TrimSpace(said.Plan.Subtasks[0].Description) != strings.TrimSpace(description) || !said.Cached && len(said.Output) > maxAnswer {
					t.Errorf("%d bytes, cached %v: %v", len(said.Output), said.Cached, said.Failure)
				}
			})
		}
		all.Wait()
		if n.Load() != 1 {
			t.Errorf("%d calls", n.Load())
		}
	})
}
