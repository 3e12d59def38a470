package api

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// drafts tells a run the first subtasks of a plan that is still being written.
func (w *world) drafts(run string, subtasks ...orchestration.Subtask) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs {
		if r.run.ID == run {
			w.step(r, orchestration.Drafted{Attempt: 1, Subtasks: subtasks})
		}
	}
}

// gone has the calls of a run that was canceled end.
func (w *world) gone(run string) {
	w.release(run)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs {
		if r.run.ID == run {
			w.step(r, orchestration.Planned{Attempt: 1, Failure: &orchestration.Failure{Code: orchestration.CodeCanceled}})
		}
	}
}

// A run shows what there is of its plan while that is being written.
func TestRunWhileItIsPlanned(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) {
		w.held = true
		w.perform = func(cmd orchestration.Command) orchestration.Said {
			if plan, ok := cmd.(orchestration.MakePlan); ok {
				return orchestration.Planned{Attempt: plan.Attempt, Plan: orchestration.Plan{Subtasks: []orchestration.Subtask{
					{ID: "T1", Description: "one"}, {ID: "T2", Description: "otherwise", DependsOn: []string{"T1"}},
				}}}
			}
			return perform(cmd)
		}
	})
	id := c.start(`{"task":"t"}`)
	c.world.drafts(id, orchestration.Subtask{ID: "T1", Description: "one"})
	c.world.drafts(id, orchestration.Subtask{ID: "T1", Description: "one"}, orchestration.Subtask{ID: "T2", Description: "two", DependsOn: []string{"T1"}})

	run := c.do("GET", "/v1/runs/"+id, "").is(http.StatusOK).run()
	p := run.Plan
	if p == nil || p.Version != 0 || p.Source != orchestration.PlanOfPlanner || len(p.Versions) != 0 || len(p.Subtasks) != 2 {
		t.Fatalf("the plan is %+v", p)
	}
	if got := fmt.Sprint(run.Status, run.Progress, p.Subtasks[0].Status, p.Subtasks[1].Status, p.Subtasks[1].DependsOn); got != "running{2 1 0 0 0}runningpending[T1]" {
		t.Errorf("the run shows %s", got)
	}
	g := decode[Graph](c.do("GET", "/v1/runs/"+id+"/graph?format=json", "").is(http.StatusOK))
	if len(g.Subtasks) != 2 || len(g.Edges) != 1 {
		t.Errorf("the graph is %+v", g)
	}

	c.world.release(id)
	run = c.do("GET", "/v1/runs/"+id, "").is(http.StatusOK).run()
	if p := run.Plan; p.Version != 1 || len(p.Subtasks) != 2 || p.Subtasks[1].Id != "T2-2" || len(p.Dropped) != 1 || p.Dropped[0].Id != "T2" || p.Dropped[0].Status != orchestration.StatusCanceled {
		t.Errorf("the plan is %+v", p)
	}
	if got := len(run.Result.WorkerResults); got != 2 {
		t.Errorf("the result has %d workers' results", got)
	}

	answer := c.follow("/v1/runs/" + id + "/events")
	defer answer.Body.Close()
	const want = "run.created,run.started,plan.started,plan.subtask_added,subtask.started,plan.subtask_added,plan.subtask_added,plan.created,subtask.canceled," +
		"subtask.succeeded,subtask.started,subtask.succeeded,synthesis.started,synthesis.succeeded,run.succeeded"
	if got := types(frames(t, answer.Body, nil)); got != want {
		t.Errorf("frames %s", got)
	}
}

// A run that was canceled before its plan was there shows what was begun.
func TestRunCanceledWhileItIsPlanned(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	id := c.start(`{"task":"t"}`)
	c.world.drafts(id, orchestration.Subtask{ID: "T1", Description: "one"}, orchestration.Subtask{ID: "T2", Description: "two", DependsOn: []string{"T1"}})
	c.do("POST", "/v1/runs/"+id+"/cancel", "", "Prefer", "wait=0")
	c.world.gone(id)
	run := c.do("GET", "/v1/runs/"+id, "").is(http.StatusOK).run()
	if run.Status != orchestration.StatusCanceled || run.Plan.Version != 0 || len(run.Result.WorkerResults) != 2 {
		t.Fatalf("the run is %+v", run)
	}
	for _, s := range run.Plan.Subtasks {
		if s.Status != orchestration.StatusCanceled {
			t.Errorf("%s is %s", s.Id, s.Status)
		}
	}
	c.do("POST", "/v1/runs/"+id+"/fork", `{}`).is(http.StatusUnprocessableEntity)
}
