package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
)

func TestWhatWaitsIsShown(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	id := c.start(`{"task":"t","plan":{"subtasks":[{"description":"a"},{"description":"b"}]}}`)
	get := func() Run { return c.do("GET", "/v1/runs/"+id, "").is(http.StatusOK).run() }
	until := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	asked := orchestration.Waiting{
		For: orchestration.WaitingForEscalation, Message: "Which?", Options: []orchestration.Action{orchestration.ActionEdit}, Choices: []string{"x", "y"}, Until: &until,
	}
	review := orchestration.Waiting{For: orchestration.WaitingForPlanReview, Message: "Good?", Options: []orchestration.Action{orchestration.ActionApprove}}

	c.world.tell(id, orchestration.Event{Subtask: "T2", Attempt: 1, Fact: &orchestration.SubtaskWaiting{Waiting: asked}})
	want := &Waiting{
		For: asked.For, SubtaskId: "T2", Message: "Which?", Options: asked.Options, Choices: asked.Choices, Until: &until,
	}
	run := get()
	if diff := cmp.Diff(want, run.Waiting); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, run.Plan.Subtasks[1].Waiting); diff != "" || run.Plan.Subtasks[0].Waiting != nil {
		t.Error(diff)
	}
	asked.Message = "Sure?"
	c.world.tell(id, orchestration.Event{Subtask: "T1", Attempt: 1, Fact: &orchestration.SubtaskWaiting{Waiting: asked}})
	if run := get(); run.Waiting.SubtaskId != "T1" || run.Plan.Subtasks[1].Waiting == nil {
		t.Errorf("the first in plan order is %+v", run.Waiting)
	}
	c.world.tell(id, orchestration.Event{Fact: &orchestration.PlanWaiting{Version: 2, Waiting: review}})
	if run := get(); run.Waiting.For != review.For || run.Waiting.Version != 2 || run.Waiting.SubtaskId != "" {
		t.Errorf("%+v", run.Waiting)
	}
	c.world.tell(
		id, orchestration.Event{Fact: &orchestration.PlanDecided{Version: 2, Action: orchestration.ActionApprove}},
		orchestration.Event{Subtask: "T1", Attempt: 1, Fact: &orchestration.SubtaskDecided{Action: orchestration.ActionApprove}},
		orchestration.Event{Subtask: "T2", Attempt: 1, Fact: &orchestration.SubtaskCanceled{}},
	)
	if run := get(); run.Waiting != nil || run.Plan.Subtasks[0].Waiting != nil || run.Plan.Subtasks[1].Waiting != nil {
		t.Errorf("%+v", run.Waiting)
	}
	c.world.tell(id, orchestration.Event{Subtask: "T1", Fact: &orchestration.SubtaskWaiting{Waiting: asked}}, orchestration.Event{Fact: &orchestration.RunCanceled{Reason: orchestration.Reason{Code: orchestration.CodeCanceled}}})
	if run := get(); run.Waiting != nil {
		t.Error("a run that has ended waits for nobody")
	}
}

func TestWhatCameOfASubtaskIsShown(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	id := c.start(`{"task":"t","plan":{"subtasks":[{"description":"a"},{"description":"b"},{"description":"c"}]}}`)
	broken := &orchestration.Failure{Code: orchestration.CodeToolFailed, Detail: "broken"}
	now := time.Now()
	judged := &orchestration.EvaluationCompleted{
		Verdict: orchestration.VerdictNeedsRevision, Revision: 1,
		Findings: []orchestration.Finding{{Check: "rubric", Policy: true, Detail: "Mend it."}, {Check: "regex", Passed: true}},
	}
	subtask := func(id string, facts ...orchestration.Fact) (all []orchestration.Event) {
		for _, f := range facts {
			all = append(all, orchestration.Event{Subtask: id, Attempt: 1, Fact: f})
		}
		return all
	}
	c.world.tell(id, subtask("T1", judged, &orchestration.SubtaskSucceeded{Output: "o", Cached: true}, &orchestration.SubtaskCompensated{Failure: broken, RetryAt: &now})...)
	c.world.tell(id, subtask("T2", &orchestration.SubtaskSucceeded{Output: "o", Fallback: true}, &orchestration.SubtaskCompensated{Failure: broken})...)
	c.world.tell(id, subtask("T3", &orchestration.SubtaskSkipped{Because: orchestration.BecauseCondition, Failure: orchestration.Failure{Detail: "Its condition does not hold."}}, &orchestration.SubtaskCompensated{})...)
	s := c.do("GET", "/v1/runs/"+id, "").is(http.StatusOK).run().Plan.Subtasks
	if !s[0].Cached || s[0].Fallback || s[1].Cached || !s[1].Fallback {
		t.Errorf("%+v", s)
	}
	if e := s[0].Evaluation; e == nil || e.Verdict != judged.Verdict || e.Revision != 1 || !cmp.Equal(e.Findings, judged.Findings) || s[1].Evaluation != nil {
		t.Errorf("%+v", e)
	}
	if s[0].Compensation.Status != orchestration.StatusPending || s[1].Compensation.Status != orchestration.StatusFailed || s[1].Compensation.Error.Detail != "broken" ||
		s[2].Compensation.Status != orchestration.StatusSucceeded || s[2].Compensation.Error != nil {
		t.Errorf("%+v %+v %+v", s[0].Compensation, s[1].Compensation, s[2].Compensation)
	}
	if s[2].Error != nil || *s[2].Detail != "Its condition does not hold." || s[0].Detail != nil {
		t.Errorf("%+v", s[2])
	}
}

func TestExpandedSubtasks(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	id := c.start(`{"task":"t","plan":{"subtasks":[{"id":"each","description":"a"}]}}`)
	child := orchestration.Subtask{ID: "each.1.T1", Kind: orchestration.KindMerge, Parent: "each", Round: 1, Merge: orchestration.MergeConcat}
	c.world.tell(id, orchestration.Event{Subtask: "each.1.T1", Fact: &orchestration.PlanSubtaskAdded{Subtask: child}}, orchestration.Event{Fact: &orchestration.RunCanceled{Reason: orchestration.Reason{Code: orchestration.CodeCanceled}}})
	run := c.do("GET", "/v1/runs/"+id, "").is(http.StatusOK).run()
	if s := run.Plan.Subtasks; len(s) != 2 || *s[1].Parent != "each" || s[0].Parent != nil || s[1].Kind != orchestration.KindMerge || len(run.Result.WorkerResults) != 1 {
		t.Errorf("%+v", run)
	}
	graph := string(c.do("GET", "/v1/runs/"+id+"/graph", "").is(http.StatusOK).body)
	if !strings.Contains(graph, "s0 -.-> s1\n") || !strings.Contains(graph, `s1["each.1.T1 #40;merge#41;"]`) {
		t.Error(graph)
	}
	if graph := string(c.do("GET", "/v1/runs/"+id+"/graph?format=dot", "").is(http.StatusOK).body); !strings.Contains(graph, "s0 -> s1 [style=dashed]") {
		t.Error(graph)
	}
	if g := decode[Graph](c.do("GET", "/v1/runs/"+id+"/graph?format=json", "").is(http.StatusOK)); *g.Subtasks[1].Parent != "each" || g.Subtasks[0].Kind != orchestration.KindWorker {
		t.Errorf("%+v", g)
	}
}

// Every fact has a form in the contract, the emptiest too.
func TestEveryEventIsAsTheContractSays(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	id := c.start(`{"task":"t","plan":{"subtasks":[{"description":"a"}]}}`)
	now, output := time.Now(), "edited"
	asked := orchestration.Waiting{For: orchestration.WaitingForApproval, Message: "Good?", Options: []orchestration.Action{orchestration.ActionApprove}, Until: &now}
	broken := orchestration.Failure{Code: orchestration.CodeCheckFailed, Detail: "broken"}
	subtask := func(f orchestration.Fact) orchestration.Event {
		return orchestration.Event{Subtask: "T1", Attempt: 1, Fact: f}
	}
	told := []orchestration.Event{
		{Fact: &orchestration.RunWaiting{Waiting: asked}},
		{Fact: &orchestration.RunResumed{}},
		{Fact: &orchestration.RunResumed{Starts: 2}},
		{Fact: &orchestration.PlanWaiting{Version: 1, Waiting: asked}},
		{Fact: &orchestration.PlanDecided{Version: 1, Action: orchestration.ActionReject, Comment: "No"}},
		subtask(&orchestration.PlanCreated{Version: 1, Source: orchestration.PlanOfPlanner}),
		{Fact: &orchestration.PlanCreated{Version: 1, Source: orchestration.PlanOfFork}},
		subtask(&orchestration.SubtaskStarted{Items: []byte(`[1,{"a":2}]`), CacheKey: "abc"}),
		subtask(&orchestration.SubtaskWaiting{Waiting: asked}),
		subtask(&orchestration.SubtaskWaiting{Waiting: asked, Failure: &broken, Output: strings.Repeat("x", 2*maxShown)}),
		subtask(&orchestration.SubtaskDecided{Action: orchestration.ActionEdit, Output: &output, Comment: "So"}),
		subtask(&orchestration.SubtaskDecided{Action: orchestration.ActionReject, Expired: true}),
		subtask(&orchestration.EvaluationCompleted{Verdict: orchestration.VerdictSatisfied}),
		subtask(&orchestration.SubtaskRetrying{Failure: broken, Output: "refused", Feedback: "Mend it.", RetryAt: now}),
		subtask(&orchestration.SubtaskSucceeded{Output: "o", Cached: true, Fallback: true}),
		subtask(&orchestration.SubtaskSkipped{Failure: orchestration.Failure{Detail: "Its condition does not hold."}}),
		subtask(&orchestration.SubtaskCompensated{Failure: &broken, RetryAt: &now}),
		subtask(&orchestration.SubtaskCompensated{}),
	}
	c.world.tell(id, told...)
	page := c.do("GET", "/v1/runs/"+id+"/events?limit=200", "").is(http.StatusOK) // which is held to the contract
	all := decode[struct{ Data []frame }](page).Data
	all = all[len(all)-len(told):]
	data := func(i int) map[string]any { return all[i].Data.(map[string]any) }
	if data(7)["items"] != 2.0 || data(7)["cache_key"] != "abc" || data(7)["model"] != nil {
		t.Errorf("%v", data(7))
	}
	if len(data(9)["output"].(string)) != maxShown || data(13)["feedback"] != "Mend it." || data(13)["output"] != nil {
		t.Error("outputs that were refused are not as they are to be shown")
	}
	if data(10)["output"] != "edited" || data(11)["output"] != nil || fmt.Sprint(data(11)["expired"]) != "true" || data(15)["error"] != nil || data(15)["detail"] == nil {
		t.Errorf("%v %v %v", data(10), data(11), data(15))
	}
	if data(2)["starts"] != 2.0 || len(data(1)) != 0 || all[5].SubtaskID != "T1" || !strings.Contains(toJSON(t, data(14)), `"cached":true,`) || !strings.Contains(toJSON(t, data(14)), `"fallback":true,`) {
		t.Errorf("%v %v %v", data(1), data(2), data(14))
	}
}
