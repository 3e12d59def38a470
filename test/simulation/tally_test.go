package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A tally counts what was seen, by name: worlds in which little happens would
// prove little.
type tally map[string]int

func (c tally) add(more tally) {
	for what, n := range more {
		c[what] += n
	}
}

func (c tally) String() string {
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "\n%8d  %s", c[what], what)
	}
	return b.String()
}

// enough has a suite of worlds fail in which something never happened.
func (c tally) enough(t *testing.T) {
	want := []string{
		"crash", "stop", "zombie", "cancel", "queued", "call made again", "append failed", "append fenced", "answer lost", "delivery",
		"decision", "decision refused", "decided: approve", "decided: edit", "decided: reject", "cached",
		"skipped: condition", "skipped: stopped",
		"draft started", "draft dropped", "draft given",
		"ended: timeout", "ended: canceled", "ended: budget_exceeded", "ended: poison_run",
	}
	for _, what := range append(want, orchestration.EventTypes()...) {
		if c[what] == 0 {
			t.Errorf("%s was never seen", what)
		}
	}
}
