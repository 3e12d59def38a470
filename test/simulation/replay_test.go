package simulation

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// TestReplay plays worlds twice: all happens at the same moments, so that what
// went wrong once can be looked at.
func TestReplay(t *testing.T) {
	for s := range uint64(10) {
		first, second := trace(t, s+1), trace(t, s+1)
		for i := range min(len(first), len(second)) {
			if first[i] != second[i] {
				t.Fatalf("seed %d, event %d: %s, and then %s", s+1, i, first[i], second[i])
			}
		}
		if len(first) != len(second) {
			t.Fatalf("seed %d: %d events, and then %d", s+1, len(first), len(second))
		}
	}
}

// trace returns what became durable in a world, by runs' tasks in order.
func trace(t *testing.T, seed uint64) (lines []string) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed)
		w.play()
		for _, run := range w.order {
			for _, e := range w.durable[run] {
				lines = append(lines, fmt.Sprint(w.durable[run][0].Fact.(*orchestration.RunCreated).Spec.Task, " ", e.at.Sub(w.born), " ", e.Type(), " ", e.Subtask, " ", e.Attempt))
			}
		}
	})
	slices.Sort(lines)
	return lines
}
