package orchestration

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// keysOf plays a run of a<b and returns the keys of a, of b and of the synthesis.
func keysOf(t *testing.T, change func(*Spec)) [3]string {
	spec := specOf(t, []string{"plan=a,b<a", "cache=1h"})
	change(spec)
	run := New(storyFuncs())
	now := epoch
	for _, said := range []Said{
		Start{ID: "run_1", Spec: spec},
		Worked{Subtask: "a", Attempt: 1, Output: "A"},
		Worked{Subtask: "b", Attempt: 1, Output: "B"},
	} {
		now = now.Add(time.Second)
		if _, _, err := run.Step(Input{Time: now, Said: said}); err != nil {
			t.Fatal(err)
		}
	}
	return [3]string{run.Subtask("a").CacheKey, run.Subtask("b").CacheKey, run.Synthesis.CacheKey}
}

// TestCacheKeys has a key change with all that its call depends on, and with
// nothing else.
func TestCacheKeys(t *testing.T) {
	base := keysOf(t, func(*Spec) {})
	for i, key := range base {
		if len(key) != 64 {
			t.Errorf("key %d is %q", i, key)
		}
	}
	for name, test := range map[string]struct {
		change func(*Spec)
		want   [3]bool // changed: of a, of b, of the synthesis
	}{
		"nothing":            {func(*Spec) {}, [3]bool{}},
		"labels":             {func(s *Spec) { s.Labels = map[string]string{"team": "x"} }, [3]bool{}},
		"limits":             {func(s *Spec) { s.Limits.MaxConcurrency, s.Limits.Timeout = 1, time.Hour }, [3]bool{}},
		"the ttl":            {func(s *Spec) { s.Cache = Duration(time.Minute) }, [3]bool{}},
		"the version":        {func(s *Spec) { s.Version = "v9" }, [3]bool{}},
		"the simulator":      {func(s *Spec) { s.Simulated = true }, [3]bool{true, true, true}},
		"the task":           {func(s *Spec) { s.Task = "another" }, [3]bool{true, true, true}},
		"the context":        {func(s *Spec) { s.Context = json.RawMessage(`{"a":1}`) }, [3]bool{true, true, true}},
		"the worker":         {func(s *Spec) { s.Worker.System = "Be brief." }, [3]bool{true, true, false}},
		"the model":          {func(s *Spec) { s.Worker.Model = "other" }, [3]bool{true, true, false}},
		"the policy":         {func(s *Spec) { s.Policy = []Check{{Regex: "A|B"}} }, [3]bool{true, true, false}},
		"the synthesizer":    {func(s *Spec) { s.Synthesizer.Prompt = "{results}" }, [3]bool{false, false, true}},
		"a's description":    {func(s *Spec) { s.Plan.Subtasks[0].Description = "else" }, [3]bool{true, true, true}},
		"b's description":    {func(s *Spec) { s.Plan.Subtasks[1].Description = "else" }, [3]bool{false, true, true}},
		"b's input":          {func(s *Spec) { s.Plan.Subtasks[1].Input = map[string]string{"x": "1"} }, [3]bool{false, true, false}},
		"how long it may be": {func(s *Spec) { s.Limits.MaxOutputBytes = 1000 }, [3]bool{true, true, true}},
		"images":             {func(s *Spec) { s.Attachments = []Attachment{{Name: "x"}} }, [3]bool{true, true, true}},
		"tools with power":   {func(s *Spec) { s.Worker.Tools = []string{"hammer"} }, [3]bool{true, true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			got := keysOf(t, test.change)
			for i := range got {
				if changed := got[i] != base[i]; changed != test.want[i] {
					t.Errorf("key %d changed: %v, want %v", i, changed, test.want[i])
				}
			}
		})
	}
}

// TestRunInCacheKey has a key tell runs apart where the output, or what it must satisfy,
// says which one it is of.
func TestRunInCacheKey(t *testing.T) {
	key := func(id, gives, check, policy string) string {
		spec := specOf(t, []string{"cache=1h"})
		spec.Plan = &Plan{Subtasks: []Subtask{{ID: "a", Description: "x", Gives: gives, Check: &Check{Regex: "x", Expr: check}}}}
		spec.Policy = []Check{{Expr: policy}}
		run := New(storyFuncs())
		if _, _, err := run.Step(Input{Time: epoch, Said: Start{ID: id, Spec: spec}}); err != nil {
			t.Fatal(err)
		}
		return run.Subtask("a").CacheKey
	}
	for gives, want := range map[string]bool{"": false, "output + 'run'": false, "{'text': output, 'by': run.id}": true} {
		if apart := key("run_1", gives, "", "") != key("run_2", gives, "", ""); apart != want {
			t.Errorf("with the output %q the keys of two runs differ: %v", gives, apart)
		}
	}
	for check, want := range map[string]bool{"output != 'run'": false, "output.contains(run.id)": true} {
		if apart := key("run_1", "", check, "") != key("run_2", "", check, ""); apart != want {
			t.Errorf("with the check %q the keys of two runs differ: %v", check, apart)
		}
		if apart := key("run_1", "", "", check) != key("run_2", "", "", check); apart != want {
			t.Errorf("with the policy %q the keys of two runs differ: %v", check, apart)
		}
	}
}

// TestCaches keeps what a call made, once, until its time is over.
func TestCaches(t *testing.T) {
	run := New(storyFuncs())
	spec := specOf(t, []string{"cache=1h"})
	var kept []Cached
	for _, said := range []Said{
		Start{ID: "run_1", Spec: spec},
		Planned{Attempt: 1, Plan: planOf([]string{"a", "b<a"}), Answer: "the plan"},
		Worked{Subtask: "a", Attempt: 1, Output: "A"},
		Worked{Subtask: "b", Attempt: 1, Output: "old", Cached: true},
		Synthesized{Attempt: 1, Output: "all"},
	} {
		events, _, err := run.Step(Input{Time: epoch, Said: said})
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, run.Caches(events)...)
	}
	if len(kept) != 3 || kept[1].Output != "A" || kept[2].Output != "all" {
		t.Fatalf("kept %+v", kept)
	}
	var plan Plan
	if err := json.Unmarshal([]byte(kept[0].Output), &plan); err != nil || len(plan.Subtasks) != 2 || plan.Subtasks[1].DependsOn[0] != "a" {
		t.Errorf("the plan is kept as %s: %v", kept[0].Output, err)
	}
	for _, c := range kept {
		if c.Tenant != spec.Tenant || !c.Expires.Equal(epoch.Add(time.Hour)) || len(c.Key) != 64 {
			t.Errorf("kept %+v", c)
		}
	}
}

// TestCachedDecision takes a decision from the cache as what it is, which makes it no
// younger.
func TestCachedDecision(t *testing.T) {
	run := New(storyFuncs())
	spec := specOf(t, []string{"cache=1h"})
	spec.Plan = &Plan{Subtasks: []Subtask{
		{ID: "d", Kind: KindDecide, Decide: &Decide{By: DecideByModel, Prompt: "x", Options: []string{"yes", "no"}}},
		{ID: "a", Description: "x"},
	}}
	if _, _, err := run.Step(Input{Time: epoch, Said: Start{ID: "run_1", Spec: spec}}); err != nil {
		t.Fatal(err)
	}
	events, _, err := run.Step(Input{Time: epoch, Said: Worked{Subtask: "d", Attempt: 1, Output: "yes", Cached: true}})
	if kept := run.Caches(events); err != nil || len(kept) > 0 || !run.Subtask("d").Cached {
		t.Errorf("kept %+v: %v", kept, err)
	}
}

// TestCachesNothingShortened keeps nothing for others that was made of less than they
// may have room for.
func TestCachesNothingShortened(t *testing.T) {
	run := New(storyFuncs())
	spec := specOf(t, []string{"cache=1h", "max_attempts=3"})
	spec.Plan = &Plan{Subtasks: []Subtask{
		{ID: "a", Description: "x"},
		{ID: "b", Description: "x", DependsOn: []string{"a"}},
		{ID: "p", Kind: KindPlan, Plan: &Nested{Task: "a.output"}},
		{ID: "d", Kind: KindDecide, Decide: &Decide{By: DecideByModel, Prompt: "x", Options: []string{"yes", "no"}}, DependsOn: []string{"a"}},
		{ID: "r", Description: "x", Check: &Check{Rubric: "x"}, DependsOn: []string{"a"}},
	}}
	part := planOf([]string{"T1"})
	var kept []string
	for i, said := range []Said{
		Start{ID: "run_1", Spec: spec},
		Worked{Subtask: "a", Attempt: 1, Output: "A"},
		Worked{Subtask: "b", Attempt: 1, Output: "B", Shortened: true},
		Worked{Subtask: "p", Attempt: 1, Output: "the plan", Plan: &part, Shortened: true},
		Worked{Subtask: "p.1.T1", Attempt: 1, Output: "P"},
		Worked{Subtask: "d", Attempt: 1, Output: "yes", Shortened: true},
		Worked{Subtask: "r", Attempt: 1, Output: "R", Shortened: true, Failure: &Failure{Code: CodeUpstreamError, Retryable: true}},
		Due{Timer: "subtask/r/2"},
		Worked{Subtask: "r", Attempt: 2, Output: "R"}, // looked at once more
		Synthesized{Attempt: 1, Output: "all", Shortened: true},
	} {
		events, _, err := run.Step(Input{Time: epoch.Add(time.Duration(i) * time.Second), Said: said})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range run.Caches(events) {
			kept = append(kept, c.Output)
		}
	}
	if diff := cmp.Diff([]string{"A", "P"}, kept); diff != "" || !run.Done() {
		t.Errorf("the run is %s, and kept is\n%s", run.Status, diff)
	}
	for _, id := range []string{"b", "p", "d", "r"} {
		if !run.Subtask(id).Shortened {
			t.Errorf("%s is not told to have seen less", id)
		}
	}
}
