package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

const (
	firstPlan  = "A: Do A; B: BREAK B; C after B: Do C"
	secondPlan = "A: Do A; B: Do B otherwise; C after B: Do C"
)

func TestAFailureHasThePlanRevised(t *testing.T) {
	for source, first := range map[string]string{
		"planner": `{"task": "Hello", "on_failure": "replan"}`,
		"caller":  `{"task": "Hello", "on_failure": "replan", "plan": ` + planOf(firstPlan) + `}`,
	} {
		t.Run(source, func(t *testing.T) {
			plans := []string{firstPlan, secondPlan}
			if source == "caller" {
				plans = plans[1:]
			}
			r := launch(t, func(c *Config) {
				c.simulator = simulator.Options{Fail: refusing("BREAK"), Answer: planners(plans...)}
			}).untilReady()
			run := r.start(first)
			if run.Status != "succeeded" || run.Result.Partial || run.Plan.Version != 2 || run.Error != nil {
				t.Errorf("the run is %s, partial %v, plan %d, error %s", run.Status, run.Result.Partial, run.Plan.Version, run.Error)
			}
			if got := run.statuses(); got != "A succeeded, B failed, B-2 succeeded, C-2 succeeded" {
				t.Errorf("the plan in force: %s", got)
			}
			if v := run.Plan.Versions; len(v) != 2 || v[0].Source != source || v[0].Reason != nil || v[1].Source != "planner" ||
				v[1].Reason == nil || v[1].Reason.Code != "upstream_error" || !strings.HasPrefix(v[1].Reason.Detail, "Subtask B failed: ") {
				t.Errorf("the versions: %+v", v)
			}
			if d := run.Plan.Dropped; len(d) != 1 || d[0].ID != "C" || d[0].Status != "canceled" ||
				d[0].Error.String() != "canceled: Left out by version 2 of the plan." {
				t.Errorf("dropped: %+v, %s", d, d[0].Error)
			}
			if a := run.subtask(t, "A"); a.Attempts != 1 || a.Output == nil {
				t.Errorf("what had succeeded was not kept: %+v", a)
			}

			started := r.history(run.ID, "plan.started")
			if reason, _ := started[len(started)-1].Data["reason"].(map[string]any); reason["code"] != "upstream_error" {
				t.Errorf("the revision began because of %v", reason)
			}
			replaced := r.history(run.ID, "plan.replaced")
			for key, want := range map[string][]any{"kept": {"A", "B"}, "added": {"B-2", "C-2"}, "dropped": {"C"}} {
				if got := replaced[0].Data[key]; !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %v, want %v", key, got, want)
				}
			}
			r.wantMetrics(`tutti_subtasks_total{status="succeeded",worker="writer"} 3`,
				`tutti_subtasks_total{status="failed",worker="writer"} 1`,
				`tutti_subtasks_total{status="canceled",worker="writer"} 1`)
		})
	}
}

// breaking is a server whose plans break, each in its turn.
func breaking(t *testing.T) *running {
	t.Helper()
	return launch(t, func(c *Config) {
		c.simulator = simulator.Options{Fail: refusing("BREAK"), Answer: planners(
			"A: Do A; B after A: BREAK B", "A: Do A; B after A: BREAK B again", "A: Do A; B after A: BREAK B once more", "A: Do A; B after A: Do B")}
	}).untilReady()
}

func TestThereAreOnlySoManyRevisions(t *testing.T) {
	for replans, want := range []string{
		"partial true, plan 1: A succeeded, B failed",
		"partial true, plan 2: A succeeded, B failed, B-2 failed",
		"partial true, plan 3: A succeeded, B failed, B-2 failed, B-3 failed",
		"partial false, plan 4: A succeeded, B failed, B-2 failed, B-3 failed, B-4 succeeded",
	} {
		run := breaking(t).start(fmt.Sprintf(
			`{"task": "Hello", "on_failure": "replan", "limits": {"max_replans": %d, "replan_cooldown": "1ms"}}`, replans))
		if got := fmt.Sprintf("partial %v, plan %d: %s", run.Result.Partial, run.Plan.Version, run.statuses()); run.Status != "succeeded" || got != want {
			t.Errorf("%d replans: %s, %s; want %s", replans, run.Status, got, want)
		}
	}
}

// During the cooldown the run goes on, takes no slot, and can be canceled.
func TestACooldownBetweenRevisions(t *testing.T) {
	r := breaking(t)
	path := r.startUntil(`{"task": "Hello", "on_failure": "replan", "limits": {"replan_cooldown": "1h"}}`,
		func(e toldEvent) bool { return e.Type == "subtask.failed" && e.SubtaskID == "B-2" })
	if run := r.ask("GET", path, "").run(t); run.Status != "running" || run.Plan.Version != 2 {
		t.Errorf("the run is %s, plan %d", run.Status, run.Plan.Version)
	}
	r.wantMetrics(`tutti_runs_in_flight 1`, `tutti_pool_in_use 0`)
	canceled := r.ask("POST", path+"/cancel", "")
	if run := canceled.run(t); canceled.status != 200 || run.Status != "canceled" || run.Plan.Version != 2 || run.subtask(t, "A").Output == nil {
		t.Errorf("canceled: status %d, %s", canceled.status, canceled.text)
	}
}

func TestOnFailureOfASubtask(t *testing.T) {
	r := launch(t, func(c *Config) {
		c.simulator = simulator.Options{Fail: refusing("BREAK"), Answer: planners("D: Do it in another way; B: Do B")}
	}).untilReady()
	for policy, want := range map[string]string{
		"fail":     "failed, partial false: A failed, B canceled",
		"skip":     "succeeded, partial true: A skipped, B succeeded",
		"replan":   "succeeded, partial false: A failed, B succeeded, D succeeded",
		"fallback": "succeeded, partial true: A failed, B succeeded",
	} {
		run := r.start(fmt.Sprintf(`{"task": "Hello", "limits": {"max_concurrency": 1}, "plan": {"subtasks": [
			{"id": "A", "type": "writer", "description": "BREAK A", "on_failure": %q},
			{"id": "B", "type": "writer", "description": "Do B"}]}}`, policy))
		if got := fmt.Sprintf("%s, partial %v: %s", run.Status, run.Result.Partial, run.statuses()); got != want {
			t.Errorf("%s: %s; want %s", policy, got, want)
		}
		if a := run.subtask(t, "A"); a.Error == nil || a.Error.Code != "upstream_error" || a.Fallback != (policy == "fallback") {
			t.Errorf("%s: %+v", policy, a)
		}
	}
}

func TestFallbackModels(t *testing.T) {
	down := func(r simulator.Request) simulator.Fault {
		if r.Model == "house" || r.Model == "expert" {
			return simulator.Refusal
		}
		return simulator.NoFault
	}
	r := launch(t, func(c *Config) {
		c.simulator = simulator.Options{Fail: down, Answer: planners("A: Do A; B: Do B")}
		c.Models = map[string]Model{"house": {Fallback: "spare"}, "spare": {}, "expert": {}, "other": {}}
		c.Model = "house"
		c.Workers = map[string]Worker{"writer": {Model: "expert", Fallback: "other"}}
	}).untilReady()
	run := r.start(`{"task": "Hello", "plan": {"subtasks": [
		{"id": "A", "type": "any", "description": "Do A"}, {"id": "B", "type": "writer", "description": "Do B"}]}}`)
	if run.Status != "succeeded" || run.Result.Partial {
		t.Errorf("the run is %s, partial %v: %s", run.Status, run.Result.Partial, run.Error)
	}
	for id, model := range map[string]string{"A": "spare", "B": "other"} {
		if s := run.subtask(t, id); !s.Fallback || s.Model != model || s.Attempts != 2 {
			t.Errorf("%s: %+v", id, s)
		}
	}
	planned := r.start(`{"task": "Hello"}`)
	for _, kind := range []string{"plan.started", "synthesis.started"} {
		var asked []any
		for _, e := range r.history(planned.ID, kind) {
			asked = append(asked, e.Data["model"], e.Data["fallback"])
		}
		if want := []any{"house", nil, "spare", true}; !reflect.DeepEqual(asked, want) {
			t.Errorf("%s: %v, want %v", kind, asked, want)
		}
	}
	r.wantMetrics(`tutti_llm_calls_total{model="spare",outcome="ok",role="planner"} 1`)
}
