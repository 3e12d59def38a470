package orchestration

import (
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestManyItems holds a for_each to costs that grow as its items do: what it
// allocates is measured, since that is the same on each machine.
func TestManyItems(t *testing.T) {
	if few, many := allocatedFor(t, 125), allocatedFor(t, 1000); many > 12*few {
		t.Errorf("8 times as many items take %.1f times the memory", float64(many)/float64(few))
	}
}

// TestLongChains holds what is said of a whole plan because of its first subtask to
// one look at each dependency, in whatever order a planner has them.
func TestLongChains(t *testing.T) {
	const n = 2000
	p, same := Plan{}, map[string]bool{}
	for i := n; i > 0; i-- { // each one before what it depends on
		s := Subtask{ID: strconv.Itoa(i)}
		for on := max(0, i-3); on < i; on++ {
			s.DependsOn = append(s.DependsOn, strconv.Itoa(on))
		}
		p.Subtasks = append(p.Subtasks, s)
		same[s.ID] = true
	}
	looks := 0
	p.othersWith(same, func(string) bool { return true }, func(id string) bool { looks++; return same[id] })
	if others := slices.Collect(maps.Values(same)); slices.Contains(others, true) || looks > 3*n {
		t.Errorf("%d looks at %d dependencies; the same are %v", looks, 3*n, slices.Contains(others, true))
	}
}

// TestManyLongIDs holds the renaming of ids that differ only where new ones are cut off
// to costs that grow as they do.
func TestManyLongIDs(t *testing.T) {
	renaming := func(n int) float64 {
		r, p := New(storyFuncs()), Plan{}
		for i := range n {
			s := Subtask{ID: strings.Repeat("x", 60) + strconv.Itoa(1000+i)}
			r.addSubtask(s)
			p.Subtasks = append(p.Subtasks, s)
		}
		bytes := allocated(func() {
			if ids, _ := r.renamed(p, map[string]bool{}); ids[n-1] != strings.Repeat("x", 56)+"-"+strconv.Itoa(n+1) {
				t.Errorf("the last one is %s", ids[n-1])
			}
		})
		return bytes / float64(n)
	}
	if few, many := renaming(100), renaming(800); many > 2*few {
		t.Errorf("%.0f bytes each where there are 100, and %.0f where there are 800", few, many)
	}
}

// allocatedFor performs a run of so many items, and returns the bytes allocated.
func allocatedFor(t *testing.T, items int) uint64 {
	t.Helper()
	list := "[" + strings.TrimSuffix(strings.Repeat(`{"n": 1, "text": "`+strings.Repeat("x", 500)+`"},`, items), ",") + "]"
	plan := &Plan{Subtasks: []Subtask{
		{ID: "listed", Description: "list them"},
		{ID: "each", Kind: KindForEach, ForEach: &ForEach{
			Items: "listed.output", MaxItems: items,
			Body: []Subtask{{ID: "look", Description: "look at it", Input: map[string]string{"n": "item.n"}}},
		}},
	}}
	spec := &Spec{Format: SpecFormat, Task: "look", Plan: plan, Synthesizer: Synthesizer{Mode: SynthesizeNone}, Limits: Limits{
		MaxConcurrency: 10, Timeout: time.Hour, MaxAttempts: 3, MaxSubtasks: 1000, MaxOutputBytes: 1 << 20,
	}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := New(Funcs{Expressions: StoryExpressions})
	said := []Said{Start{ID: "run_1", Spec: spec}}
	for len(said) > 0 {
		_, commands, err := r.Step(Input{Time: time.Unix(0, 0), Said: said[0]})
		if err != nil {
			t.Fatal(err)
		}
		said = said[1:]
		for _, c := range commands {
			if w, ok := c.(Work); ok {
				output := "done"
				if w.Subtask.ID == "listed" {
					output = list
				}
				said = append(said, Worked{Subtask: w.Subtask.ID, Attempt: w.Attempt, Output: output})
			}
		}
	}
	runtime.ReadMemStats(&after)
	if r.Status != StatusSucceeded || r.Progress.Succeeded != items+2 {
		t.Fatalf("the run is %s: %+v", r.Status, r.Progress)
	}
	return after.TotalAlloc - before.TotalAlloc
}
