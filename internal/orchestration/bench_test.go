package orchestration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkScaling performs whole runs of 100 and of 1,000 subtasks by turns and
// reports the cost of one with the bigger plan over one with the smaller plan,
// as the median of the rounds. At 10 the core is linear.
func BenchmarkScaling(b *testing.B) { scale(b, wideSpec) }

// BenchmarkScalingItems is the same of a for_each with so many items.
func BenchmarkScalingItems(b *testing.B) { scale(b, itemsSpec) }

func scale(b *testing.B, specOf func(n int) *Spec) {
	var ratios []float64
	for b.Loop() {
		small := timed(func() {
			for range 10 {
				wholeRun(b, specOf(100))
			}
		})
		large := timed(func() { wholeRun(b, specOf(1000)) })
		ratios = append(ratios, 10*float64(large)/float64(small))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x1000/x100")
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// wideSpec is of n subtasks, each of which depends on up to three of those before
// it.
func wideSpec(n int) *Spec {
	spec := specOf(nil, nil)
	spec.Limits.MaxSubtasks, spec.Limits.MaxConcurrency = 1000, 100
	spec.Plan = &Plan{}
	for i := range n {
		s := Subtask{ID: fmt.Sprint("s", i), Description: "do it"}
		for _, back := range []int{7, 12, 31} {
			if i >= back {
				s.DependsOn = append(s.DependsOn, fmt.Sprint("s", i-back))
			}
		}
		spec.Plan.Subtasks = append(spec.Plan.Subtasks, s)
	}
	return spec
}

// itemsSpec is of a for_each with n items of some size.
func itemsSpec(n int) *Spec {
	spec := specOf(nil, nil)
	spec.Limits.MaxConcurrency = 100
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf("%s %d", strings.Repeat("x", 300), i)
	}
	spec.Context = encoded(map[string]any{"items": items})
	spec.Plan = &Plan{Subtasks: []Subtask{{ID: "F", Kind: KindForEach, ForEach: &ForEach{
		Items: "context.items", MaxItems: n, Body: []Subtask{
			{ID: "a", Description: "do it", Input: map[string]string{"of": "item"}},
			{ID: "b", Description: "do it", DependsOn: []string{"a"}},
		},
	}}}}
	return spec
}

// wholeRun carries a run from its start to its end.
func wholeRun(b *testing.B, spec *Spec) {
	run := New(storyFuncs())
	inputs := []Said{Start{ID: "run_1", Spec: spec}}
	for !run.Done() {
		_, commands, err := run.Step(Input{Time: epoch, Said: inputs[0]})
		if err != nil {
			b.Fatal(err)
		}
		inputs = inputs[1:]
		for _, c := range commands {
			switch c := c.(type) {
			case Work:
				inputs = append(inputs, Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Output: "done"})
			case Synthesize:
				inputs = append(inputs, Synthesized{Attempt: c.Attempt, Output: "all"})
			}
		}
	}
}

// BenchmarkItems performs a body for a thousand items of a kilobyte each.
func BenchmarkItems(b *testing.B) {
	items := "[" + strings.Repeat(`"`+strings.Repeat("x", 1000)+`",`, 999) + `"last"]`
	for b.Loop() {
		spec := specOf(nil, []string{"max_concurrency=100", "synthesizer=none"})
		spec.Context = json.RawMessage(`{"items":` + items + `}`)
		spec.Plan = &Plan{Subtasks: []Subtask{{ID: "F", Kind: KindForEach, ForEach: &ForEach{
			Items: "context.items", MaxItems: 1000,
			Body: []Subtask{{ID: "w", Description: "Look", Input: map[string]string{"it": "item"}}},
		}}}}
		run := New(storyFuncs())
		inputs := []Said{Start{ID: "run_1", Spec: spec}}
		for len(inputs) > 0 {
			_, commands, err := run.Step(Input{Time: epoch, Said: inputs[0]})
			if err != nil {
				b.Fatal(err)
			}
			inputs = inputs[1:]
			for _, c := range commands {
				if c, ok := c.(Work); ok {
					inputs = append(inputs, Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Output: "seen"})
				}
			}
		}
		if !run.Done() {
			b.Fatal(run.Status)
		}
	}
}
