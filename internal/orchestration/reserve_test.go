package orchestration

import "testing"

// TestARevisionIsReservedAtItsPlannersPrice holds back for a revision what the planner
// itself may cost, also where the plan that it revises was made by the fallback.
func TestARevisionIsReservedAtItsPlannersPrice(t *testing.T) {
	spec := specOf(t, []string{"on_failure=replan", "max_attempts=1", "max_replans=1"})
	spec.Limits.MaxCostUSD = 100
	spec.Planner.Model = "dear"
	spec.Models = []Model{
		{Name: "dear", Price: &Price{Output: 100}, Fallback: "cheap"},
		{Name: "cheap", Price: &Price{Output: 1}},
		{Name: "m", Price: &Price{Output: 1}},
	}
	run := New(storyFuncs())
	reserved := map[string]float64{}
	for _, said := range []Said{
		Start{ID: "run_1", Spec: spec},
		Planned{Attempt: 1, Failure: &Failure{Code: CodeUpstreamError}},
		Planned{Attempt: 2, Plan: planOf([]string{"a"})},
		Worked{Subtask: "a", Attempt: 1, Failure: &Failure{Code: CodeUpstreamError}},
	} {
		events, _, err := run.Step(Input{Time: epoch, Said: said})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if f, ok := e.Fact.(*PlanStarted); ok && (e.Attempt == 2) == (f.Model == "cheap") {
				reserved[f.Model] = f.Reserved.CostUSD
			}
		}
	}
	if run.Planning.Attempt != 3 || len(reserved) != 2 || run.Planning.Reserved.CostUSD < 99*reserved["cheap"] {
		t.Errorf("held back are %v, and for attempt %d %v", reserved, run.Planning.Attempt, run.Planning.Reserved)
	}
}
