package orchestration

import "testing"

// TestPartsAreNoSuccess ends runs whose plan has come to nothing, though parts of its
// composite subtasks did succeed.
func TestPartsAreNoSuccess(t *testing.T) {
	for name, run := range map[string]*Run{
		"loop": ended(
			t,
			"| subtasks:",
			"|   - {id: l, kind: loop, loop: {max_iterations: 2, body: [{id: a, description: x}, {id: b, description: x, depends_on: [a]}]}}",
			"start max_attempts=1", "worked l.1.a#1 A", "worked l.1.b#1 failed upstream_error",
		),
		"until": ended(
			t,
			"| subtasks:",
			"|   - {id: l, kind: loop, loop: {max_iterations: 2, until: 'output.none', body: [{id: a, description: x}]}}",
			"start max_attempts=1 synthesizer=none", "worked l.1.a#1 A",
		),
	} {
		if run.Status != StatusFailed || run.Failure == nil || run.Subtask("l").Status != StatusFailed {
			t.Errorf("%s: the run is %s, the loop %s", name, run.Status, run.Subtask("l").Status)
		}
	}
}
