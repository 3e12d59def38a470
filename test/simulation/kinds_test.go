package simulation

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

const (
	goodEnough    = "output.good"
	fallbackValue = "instead"
)

// drawOwn draws a caller's plan: one of workers, some of which are made subtasks
// of other kinds, or are given more keys.
func drawOwn(r *rand.Rand) *orchestration.Plan {
	p := drawPlan(r, 10)
	for i := range p.Subtasks {
		if s := &p.Subtasks[i]; oneIn(r, 2) {
			dress(r, s)
		} else {
			adorn(r, s)
		}
	}
	return &p
}

// dress makes a worker's subtask one of another kind.
func dress(r *rand.Rand, s *orchestration.Subtask) {
	s.Type = ""
	if s.OnFailure.Do == orchestration.OnFailureFallback {
		s.OnFailure.Do = orchestration.OnFailureEscalate
	}
	body := []orchestration.Subtask{{ID: "w", Description: "do a part of it"}}
	switch r.IntN(8) {
	case 0:
		s.Kind = orchestration.KindTool
		s.Tool = &orchestration.ToolCall{Name: "act", Arguments: map[string]string{"x": reading(r, s)}}
		undoable(r, s)
	case 1:
		s.Kind = orchestration.KindDecide
		s.Decide = &orchestration.Decide{By: orchestration.DecideByModel, Prompt: "Well?", Options: []string{"yes", "no", pick(r, "maybe", "stop", "replan", "escalate")}}
	case 2:
		s.Kind, s.Merge = orchestration.KindMerge, orchestration.MergeConcat
	case 3:
		s.Kind = orchestration.KindForEach
		s.ForEach = &orchestration.ForEach{Items: pick(r, "[1, 2, 3]", "[]", list(r, s)), Body: body, MaxConcurrency: r.IntN(3)}
		body[0].Input = map[string]string{"item": "item", "index": "index"}
		undoable(r, &body[0])
	case 4:
		s.Kind = orchestration.KindLoop
		s.Loop = &orchestration.Loop{Until: goodEnough, MaxIterations: 1 + r.IntN(4), Body: body}
		body[0].Input = map[string]string{"before": "previous"}
	case 5:
		s.Kind, s.Plan = orchestration.KindPlan, &orchestration.Nested{Task: "task", Depth: 1 + r.IntN(2)}
	case 6:
		s.Kind = orchestration.KindApproval
		s.Approval = &orchestration.Approval{Message: "Good?"}
		if oneIn(r, 2) {
			s.Approval.Timeout = orchestration.Duration(pick(r, 10*time.Second, time.Minute))
			s.Approval.Default = pick(r, orchestration.ActionApprove, orchestration.ActionReject)
		}
	case 7:
		s.Kind = orchestration.KindWorkflow
		s.Workflow = &orchestration.Inlined{Name: "w", Context: map[string]string{"given": reading(r, s)}}
		s.Workflow.Body = append(body, orchestration.Subtask{ID: "v", Description: "conclude", When: "context.given != null", DependsOn: []string{"w"}})
	}
}

// adorn gives a worker's subtask more keys.
func adorn(r *rand.Rand, s *orchestration.Subtask) {
	switch r.IntN(8) {
	case 0:
		s.Check = &orchestration.Check{Expr: `output != ""`, Regex: "o", Rubric: pick(r, "", "Is it good?")}
		if oneIn(r, 2) {
			n := r.IntN(3)
			s.Check.MaxRevisions = &n
		}
	case 1:
		s.When = pick(r, `task == ""`, `task != ""`)
	case 2:
		value, _ := json.Marshal(fallbackValue)
		s.OnFailure = orchestration.Recovery{Do: orchestration.OnFailureFallback, Fallback: &orchestration.Fallback{Value: value}}
	case 3:
		s.OnFailure.Do = orchestration.OnFailureEscalate
	case 4:
		s.Input = map[string]string{"of": reading(r, s)}
	case 5:
		s.Cache = orchestration.Duration(time.Minute)
	case 6:
		s.Gives = `{"raw": output}`
	default:
		undoable(r, s)
	}
}

func undoable(r *rand.Rand, s *orchestration.Subtask) {
	if oneIn(r, 2) {
		s.Compensate = &orchestration.ToolCall{Name: "undo", Arguments: map[string]string{"made": "output"}}
	}
}

// reading draws an expression, of a dependency where there is one.
func reading(r *rand.Rand, s *orchestration.Subtask) string {
	if len(s.DependsOn) == 0 || oneIn(r, 4) {
		return "[1, 2]"
	}
	return s.DependsOn[r.IntN(len(s.DependsOn))] + ".output"
}

func list(r *rand.Rand, s *orchestration.Subtask) string {
	if len(s.DependsOn) == 0 {
		return `[task, "x"]`
	}
	return reading(r, s)
}

// drawParts draws a planner's answer for a part of a run.
func drawParts(r *rand.Rand) orchestration.Plan {
	p := drawPlan(r, 3)
	for i := range p.Subtasks {
		p.Subtasks[i].OnFailure.Do, p.Subtasks[i].After = "", ""
		if oneIn(r, 5) {
			p.Subtasks[i].Type = "plan"
		}
	}
	return p
}

// drawLanguage draws what a run asks for besides its plan.
func drawLanguage(r *rand.Rand, s *orchestration.Spec) {
	s.Tools = []orchestration.Tool{{Name: "act"}, {Name: "undo"}}
	s.Limits.MaxIterations = 3
	s.ReviewPlan = oneIn(r, 6)
	if oneIn(r, 3) {
		s.Cache = orchestration.Duration(pick(r, time.Second, time.Hour))
	}
	if oneIn(r, 6) {
		s.Policy = []orchestration.Check{{Regex: "o"}, {Expr: `output != "0.7"`}}
	}
}

// decision draws what a person says of a subtask, or a plan, that waits.
func decision(r *rand.Rand, e orchestration.Event) orchestration.Said {
	if f, ok := e.Fact.(*orchestration.PlanWaiting); ok {
		d := orchestration.DecidePlan{Version: f.Version, Action: pick(r, orchestration.ActionApprove, orchestration.ActionApprove, orchestration.ActionEdit, orchestration.ActionReject)}
		if d.Action == orchestration.ActionEdit && !oneIn(r, 4) {
			d.Plan = drawOwn(r)
			for i := range d.Plan.Subtasks { // ids of their own, for all that is another
				s := &d.Plan.Subtasks[i]
				s.ID, s.DependsOn, s.When, s.Input = fmt.Sprintf("P%d", i+1), nil, "", nil
			}
		}
		return d
	}
	w := e.Fact.(*orchestration.SubtaskWaiting).Waiting
	d := orchestration.DecideSubtask{Subtask: e.Subtask, Action: pick(r, orchestration.ActionApprove, orchestration.ActionEdit, orchestration.ActionReject, orchestration.ActionRetry)}
	if d.Action == orchestration.ActionEdit && !oneIn(r, 5) {
		output := fmt.Sprintf("as a person wants %s", e.Subtask)
		if w.Choices != nil {
			output = pick(r, w.Choices...)
		}
		d.Output = &output
	}
	return d
}
