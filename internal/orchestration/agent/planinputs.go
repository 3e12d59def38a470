package agent

import "github.com/tutti-run/tutti/internal/orchestration"

// inputsOf counts how many worker subtasks of a plan have an input of each name,
// those in bodies included. Under "" is how many workers there are.
func inputsOf(plan *orchestration.Plan) map[string]int {
	counts := map[string]int{}
	if plan != nil {
		orchestration.Every(plan.Subtasks, func(s *orchestration.Subtask) {
			if s.Kind != "" && s.Kind != orchestration.KindWorker {
				return
			}
			counts[""]++
			for name := range s.Input {
				if name != "" {
					counts[name]++
				}
			}
		})
	}
	return counts
}

// commonInputs returns the inputs that every worker subtask of a plan has. None
// is, where a planner is to add subtasks: nobody knows what theirs will be.
func commonInputs(plan *orchestration.Plan) map[string]bool {
	counts, common := inputsOf(plan), map[string]bool{}
	for name, n := range counts {
		common[name] = name != "" && n == counts[""]
	}
	if plan != nil {
		orchestration.Every(plan.Subtasks, func(s *orchestration.Subtask) {
			if s.Kind == orchestration.KindPlan {
				clear(common)
			}
		})
	}
	return common
}
