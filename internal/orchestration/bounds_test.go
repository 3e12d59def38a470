package orchestration

import (
	"fmt"
	"strings"
	"testing"
)

// TestItemsThatComeToTooMuchAreNotBegun has a for_each whose rounds a run has no room
// for fail before anything of it is paid for.
func TestItemsThatComeToTooMuchAreNotBegun(t *testing.T) {
	te := &teller{t: t, run: New(storyFuncs()), now: epoch, depth: map[string]int{}}
	te.text = "subtasks:\n- {id: l, description: x}\n- {id: f, kind: for_each, for_each: {items: l.output, max_items: 1000, body: [" + many("{id: s%d, description: x}", 11) + "]}}\n"
	te.hear("start max_output_bytes=10000")
	te.hear("worked l#1 [" + many("%d", 1000) + "]")
	if f := te.run.Subtask("f"); f.Status != StatusFailed || f.Failure.Code != CodePlanInvalid || len(te.run.Subtasks) != 2 {
		t.Errorf("it is %s with %v, in a run of %d subtasks", f.Status, f.Failure, len(te.run.Subtasks))
	}
}

// TestWhatIsUnderWayEndsBeforeItsWhole has a for_each that finds the run full on its
// way fail when nothing of it is left to be done.
func TestWhatIsUnderWayEndsBeforeItsWhole(t *testing.T) {
	te := &teller{t: t, run: New(storyFuncs()), now: epoch, depth: map[string]int{}}
	te.text = `subtasks:
- {id: f, kind: for_each, for_each: {items: "[1, 2, 3, 4, 5, 6, 7, 8]", max_concurrency: 2, body: [{id: s, description: x}]}}
- {id: l, description: x}
- {id: g, kind: for_each, for_each: {items: l.output, max_items: 1000, body: [` + many("{id: m%d, kind: merge, merge: concat}", 10) + `]}}
`
	te.hear("start max_output_bytes=1000000")
	te.hear("worked l#1 [" + many("%d", 999) + "]") // which leaves room for five more
	for _, s := range []string{"f.1.s", "f.2.s", "f.3.s", "f.4.s", "f.5.s", "f.6.s"} {
		if f := te.run.Subtask("f"); f.Status != StatusRunning {
			t.Fatalf("before %s has ended f is %s", s, f.Status)
		}
		te.hear("worked " + s + "#1 done")
	}
	if f := te.run.Subtask("f"); f.Status != StatusRunning || len(te.run.Subtasks) != maxSubtasks {
		t.Fatalf("f is %s, in a run of %d subtasks", f.Status, len(te.run.Subtasks))
	}
	te.hear("worked f.7.s#1 done")
	if f := te.run.Subtask("f"); f.Status != StatusFailed {
		t.Errorf("f is %s", f.Status)
	}
}

// many repeats a text, with a number in it.
func many(text string, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(text, i)
	}
	return strings.Join(all, ", ")
}
