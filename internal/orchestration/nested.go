package orchestration

import (
	"encoding/json"
	"fmt"
	"slices"
)

// nested takes the plan that a planner made for a part of the run.
func (d *decision) nested(s *SubtaskState, w Worked) {
	problems := w.Problems
	var part Plan
	if w.Cached && w.Plan == nil {
		w.Plan = new(Plan)
		if json.Unmarshal([]byte(w.Output), w.Plan) != nil {
			problems = []Problem{{Code: ProblemEmpty, Detail: "The plan in the cache cannot be read."}}
		}
	}
	if len(problems) == 0 && w.Plan != nil {
		rules := d.run.rules()
		if s.Plan.MaxSubtasks > 0 {
			rules.MaxSubtasks = min(rules.MaxSubtasks, s.Plan.MaxSubtasks)
		}
		part, problems = d.run.deepened(s, d.run.styled(*w.Plan)).Prepare(rules)
	}
	switch {
	case len(problems) == 0 && len(part.Subtasks) == 0:
		problems = []Problem{{"/subtasks", ProblemEmpty, "The plan has no subtasks."}}
	case len(problems) == 0:
		keepEnds(part.Subtasks)
		ids := make([]string, len(part.Subtasks))
		for i := range part.Subtasks {
			ids[i] = childID(s.ID, 1, part.Subtasks[i].ID)
		}
		if !d.expand(s, 1, part.Subtasks) {
			problems = []Problem{{"/subtasks", ProblemTooMany, "The run has too many subtasks."}}
			break
		}
		d.emitFor(s.ID, s.Attempts, &PlanCreated{
			Version: d.run.Planning.Version, Source: PlanOfPlanner, Analysis: part.Analysis, Subtasks: ids,
			Shortened: w.Shortened, Cached: w.Cached, Calls: w.Calls,
		})
		return
	}
	f := Failure{Code: CodePlanInvalid, Detail: firstOf(problems)}
	if s.Revisions > 0 || d.run.over() {
		d.subtaskFailed(s, f, w.Output, w.Calls)
		return
	}
	d.emitFor(s.ID, s.Attempts, &SubtaskRetrying{
		Failure: f, Output: w.Output, Feedback: listed(problems), RetryAt: d.now, Calls: w.Calls,
	})
}

// keepEnds has the run hold the outputs that the plan of a part gives: of those that
// no other one depends on.
func keepEnds(part []Subtask) {
	needed := make(map[string]bool, len(part))
	for i := range part {
		for _, id := range part[i].DependsOn {
			needed[id] = true
		}
	}
	for i := range part {
		part[i].Kept = part[i].Kept || !needed[part[i].ID]
	}
}

// planType is the type by which a planner, where it may, asks for a part to be
// planned by itself.
const planType = "plan"

// deepened has those subtasks of a nested plan that are to be planned themselves
// be so, to the depth that the plan allows.
func (r *Run) deepened(s *SubtaskState, p Plan) Plan {
	p.Subtasks = slices.Clone(p.Subtasks)
	for i := range p.Subtasks {
		if c := &p.Subtasks[i]; c.Type == planType && s.Plan.Depth > 1 {
			c.Kind, c.Type = KindPlan, ""
			c.Plan = &Nested{Task: string(encoded(c.Description)), MaxSubtasks: s.Plan.MaxSubtasks, Depth: s.Plan.Depth - 1}
		}
	}
	return p
}

// listed says what is wrong with a plan, for its planner.
func listed(problems []Problem) string {
	const most = 20
	text := ""
	for i, p := range problems {
		if i == most {
			text += fmt.Sprintf("- and %d more\n", len(problems)-most)
			break
		}
		text += "- " + p.Detail + "\n"
	}
	return text
}
