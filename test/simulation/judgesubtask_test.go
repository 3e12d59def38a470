package simulation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// judgeSubtask judges what is said of a subtask by what it is a part of, and made of.
func (t *trial) judgeSubtask(e durable) {
	s := t.run.Subtask(e.Subtask)
	switch f := e.Fact.(type) {
	case *orchestration.PlanSubtaskAdded:
		t.judgeAdded(e, f.Subtask)
	case *orchestration.SubtaskStarted:
		t.judgeDraft(e, f)
		for _, id := range s.DependsOn {
			if t.ended[id] == 0 {
				t.fault(e, "it starts before %s has ended", id)
			}
		}
	case *orchestration.SubtaskRetrying:
		if f.Feedback != "" && s.Kind == orchestration.KindWorker && s.Revisions >= t.mostRevisions(s) {
			t.fault(e, "revision %d of %d", s.Revisions+1, t.mostRevisions(s))
		}
	case *orchestration.SubtaskSucceeded:
		t.hasEnded(e, s)
		t.judgeOutput(e, s, f)
	case *orchestration.SubtaskSkipped:
		t.hasEnded(e, s)
		t.judgeSkipped(e, s, f)
	case *orchestration.SubtaskFailed, *orchestration.SubtaskCanceled:
		t.hasEnded(e, s)
	case *orchestration.SubtaskCompensated:
		if e.Attempt > 3 {
			t.fault(e, "attempt %d at a compensation", e.Attempt)
		}
	}
}

// hasEnded notes that a subtask has ended, and judges that what it expanded to has.
func (t *trial) hasEnded(e durable, s *orchestration.SubtaskState) {
	t.ended[e.Subtask] = e.Seq
	for _, child := range t.children(s) {
		if t.ended[child.ID] == 0 {
			t.fault(e, "it ends before %s", child.ID)
		}
	}
}

func (t *trial) children(s *orchestration.SubtaskState) (children []*orchestration.SubtaskState) {
	if !s.Kind.Composite() {
		return nil
	}
	for _, child := range t.run.Subtasks {
		if child.Parent == s.ID {
			children = append(children, child)
		}
	}
	return children
}

func (t *trial) judgeAdded(e durable, s orchestration.Subtask) {
	if s.Parent == "" {
		return
	}
	p := t.run.Subtask(s.Parent)
	if p == nil || p.Status != orchestration.StatusRunning || !strings.HasPrefix(s.ID, fmt.Sprintf("%s.%d.", s.Parent, s.Round)) {
		t.fault(e, "it is round %d of %s, which does not run", s.Round, s.Parent)
		return
	}
	if p.Kind != orchestration.KindLoop {
		return
	}
	if most := cmp.Or(p.Loop.MaxIterations, t.spec.Limits.MaxIterations, orchestration.DefaultIterations); s.Round > most {
		t.fault(e, "round %d of %d", s.Round, most)
	}
	if p.Loop.Until != goodEnough {
		return
	}
	for _, child := range t.children(p) { // the body of such a loop is one subtask
		if child.Round < s.Round && child.Status == orchestration.StatusSucceeded && isGood(child.Output.Whole) {
			t.fault(e, "round %d follows round %d, which was good enough", s.Round, child.Round)
		}
	}
}

func isGood(output string) bool {
	var object struct{ Good bool }
	return json.Unmarshal([]byte(output), &object) == nil && object.Good
}

func (t *trial) mostRevisions(s *orchestration.SubtaskState) int {
	most := 0
	checks := t.spec.Policy
	if s.Check != nil {
		checks = append(slices.Clip(checks), *s.Check)
	}
	for _, c := range checks {
		if c.MaxRevisions == nil {
			most = max(most, orchestration.DefaultRevisions)
		} else {
			most = max(most, *c.MaxRevisions)
		}
	}
	return most
}

// judgeOutput holds the list of a for_each against what its items gave, and a
// fallback value against the plan.
func (t *trial) judgeOutput(e durable, s *orchestration.SubtaskState, f *orchestration.SubtaskSucceeded) {
	if own := s.OnFailure.Fallback; !f.Fallback && own != nil && own.Value != nil && f.Output == fallbackValue {
		t.fault(e, "the fallback value is not marked as one")
	}
	if s.Kind != orchestration.KindForEach || f.Fallback || s.Status == orchestration.StatusWaiting { // then a person said so
		return
	}
	var list []struct{ Output json.RawMessage }
	if json.Unmarshal([]byte(f.Output), &list) != nil {
		t.fault(e, "it gives no list")
		return
	}
	for _, child := range t.children(s) { // the body of one is one subtask
		if child.Status != orchestration.StatusSucceeded {
			continue
		}
		body := []byte(t.w.durable[e.Run][t.ended[child.ID]-1].Body())
		if !json.Valid(body) {
			body, _ = json.Marshal(string(body))
		}
		if child.Round > len(list) || !sameJSON(list[child.Round-1].Output, body) {
			t.fault(e, "item %d of its list is not what %s gave", child.Round, child.ID)
		}
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

// judgeSkipped judges that what is skipped for a dependency has one that failed.
func (t *trial) judgeSkipped(e durable, s *orchestration.SubtaskState, f *orchestration.SubtaskSkipped) {
	t.w.seen["skipped: "+string(f.Because)]++
	if f.Because != "" || f.Failure.Code != orchestration.CodeDependencyFailed || e.Attempt > 0 {
		return
	}
	for _, id := range s.DependsOn {
		if on := t.run.Subtask(id); on.Status.Ended() && on.Status != orchestration.StatusSucceeded && on.Because == "" {
			return
		}
	}
	t.fault(e, "it is skipped: %s", f.Failure.Detail)
}
