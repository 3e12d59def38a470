package llm

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A tail is what the last few hundred times are, sorted.
func TestTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var got tail
		var all []time.Duration
		for range rapid.IntRange(0, 3*tailCalls).Draw(t, "calls") {
			took := time.Duration(rapid.Int64Range(0, 50).Draw(t, "took"))
			got.add(took)
			all = append(all, took)
		}
		last := all[max(0, len(all)-tailCalls):]
		slices.Sort(last)
		begins, known := got.begins()
		if known != (len(last) >= tailLeast) || known && begins != last[len(last)*97/100] || !slices.Equal(got.sorted, last) {
			t.Fatalf("after %d it begins at %v (%v): %v, want %v", len(all), begins, known, got.sorted, last)
		}
	})
}

func BenchmarkTail(b *testing.B) {
	var known tail
	for i := 0; b.Loop(); i++ {
		known.add(time.Duration(i * 7919 % 10_007))
		known.begins()
	}
}
