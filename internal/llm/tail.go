package llm

import (
	"slices"
	"time"
)

// A tail is what is known of the longest of the times that calls take: the last
// few hundred of them, so that what was true yesterday does not count.
type tail struct {
	recent []time.Duration // by age; a ring once there are tailCalls
	oldest int             // of the ring
	sorted []time.Duration // the same, by length
}

const (
	tailCalls = 512
	tailLeast = 48   // before anything is said of them
	tailShare = 0.97 // of the calls take no longer
)

// add takes note of a call's time.
func (t *tail) add(took time.Duration) {
	if len(t.recent) < tailCalls {
		t.recent = append(t.recent, took)
	} else {
		gone, _ := slices.BinarySearch(t.sorted, t.recent[t.oldest])
		t.sorted = slices.Delete(t.sorted, gone, gone+1)
		t.recent[t.oldest] = took
		t.oldest = (t.oldest + 1) % tailCalls
	}
	at, _ := slices.BinarySearch(t.sorted, took)
	t.sorted = slices.Insert(t.sorted, at, took)
}

// begins returns the time that tailShare of the calls take at most, and whether
// enough are known to say so.
func (t *tail) begins() (time.Duration, bool) {
	if len(t.sorted) < tailLeast {
		return 0, false
	}
	return t.sorted[int(tailShare*float64(len(t.sorted)))], true
}
