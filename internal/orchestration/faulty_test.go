package orchestration_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// What is wrong with a plan is looked for until there are a hundred problems: to find
// all of a plan in which everything is wrong would take many times its own memory.
func TestManyProblemsCostLittle(t *testing.T) {
	plan := orchestration.Plan{}
	for i := range 1000 {
		s := orchestration.Subtask{ID: fmt.Sprintf("s%d", i), Description: "d", Input: map[string]string{"a": "1", "b": "2"}}
		for range 250 {
			s.DependsOn = append(s.DependsOn, "nobody")
		}
		plan.Subtasks = append(plan.Subtasks, s)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	problems := plan.Check(orchestration.Rules{MaxSubtasks: 1000})
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; len(problems) != 100 || took > 5<<20 {
		t.Errorf("%d problems, and they took %d MB", len(problems), took>>20)
	}
}
