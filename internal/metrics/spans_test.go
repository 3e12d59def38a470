package metrics

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The spans cover each second exactly when a call did, in whatever order the
// calls are told, and stay apart and in order.
func TestSpansAreTheUnionOfCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const seconds = 30
		var s spans
		var busy [seconds]bool
		for range rapid.IntRange(0, 12).Draw(t, "calls") {
			from := rapid.IntRange(0, seconds-1).Draw(t, "from")
			to := rapid.IntRange(from, seconds).Draw(t, "to")
			s.add(at(float64(from)), at(float64(to)))
			for i := from; i < to; i++ {
				busy[i] = true
			}
		}
		low := rapid.IntRange(0, seconds).Draw(t, "low")
		high := rapid.IntRange(low, seconds).Draw(t, "high")
		want := 0
		for i := low; i < high; i++ {
			if busy[i] {
				want++
			}
		}
		if got := s.within(at(float64(low)), at(float64(high))); got != time.Duration(want)*time.Second {
			t.Fatalf("%v between %d and %d, want %ds: %v", got, low, high, want, s.list)
		}
		for i, one := range s.list {
			if one.to <= one.from || i > 0 && s.list[i-1].to >= one.from {
				t.Fatalf("not apart, or not in order: %v", s.list)
			}
		}
	})
}
