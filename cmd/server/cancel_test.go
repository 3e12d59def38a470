package main

import (
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// cancel cancels a run and wants it to have ended with the answer, and nothing
// of it to run any more.
func (r *running) cancel(path string) told {
	r.t.Helper()
	got := r.ask("POST", path+"/cancel", "")
	run := got.run(r.t)
	if got.status != 200 || run.Status != "canceled" || run.Reason == nil || run.Reason.Code != "canceled" || run.Error != nil {
		r.t.Errorf("status %d, the run is %s: %s, %s", got.status, run.Status, run.Reason, run.Error)
	}
	r.wantMetrics(`tutti_pool_in_use 0`)
	return run
}

func TestCancelingAbortsTheCalls(t *testing.T) {
	answer, asked, _ := heldBack("Do it")
	r := launch(t, func(c *Config) {
		c.simulator, c.MaxConcurrency = simulator.Options{Answer: answer}, 2
	}).untilReady()
	path := "/v1/runs/" + r.ask("POST", "/v1/runs", `{"task": "Hello", "plan": `+planOf("A: At once; B after A: Do it; C after A: Do it too; D after B: Later")+`}`).run(t).ID
	<-asked
	<-asked
	run := r.cancel(path)
	if got := run.statuses(); got != "A succeeded, B canceled, C canceled, D canceled" {
		t.Errorf("the plan: %s", got)
	}
	if results := run.Result.WorkerResults; len(results) != 4 || results[0].Result == nil || run.Result.FinalOutput != nil {
		t.Errorf("the result: %+v", run.Result)
	}
	if run.Usage.LLMCalls != 3 {
		t.Errorf("it tells of %d calls, with those that were aborted there were 3", run.Usage.LLMCalls)
	}
	all := types(r.history(run.ID, ""))
	if canceled := slices.Index(all, "run.canceling"); all[len(all)-1] != "run.canceled" || len(all)-canceled != 1+3+1 {
		t.Errorf("its events: %v", all)
	}
	for r.models.simulator.Counts().InFlight > 0 {
		runtime.Gosched() // the endpoint notices a little later
	}
	r.start(threeSubtasks) // the slots are free
	if n := r.models.simulator.Counts().Calls; n != 3+5 {
		t.Errorf("%d calls, want 3 of the first run and 5 of the second", n)
	}
	if again := r.ask("POST", path+"/cancel", ""); again.status != 200 || again.run(t).Status != "canceled" {
		t.Errorf("canceled again: status %d: %s", again.status, again.text)
	}
}

func TestCancelingARevision(t *testing.T) {
	asked := make(chan struct{}, 10)
	r := launch(t, func(c *Config) {
		c.simulator = simulator.Options{Fail: refusing("BREAK"), Answer: func(r simulator.Request) (simulator.Reply, bool) {
			if r.Role == simulator.Planner {
				asked <- struct{}{}
				<-r.Context().Done()
			}
			return simulator.Reply{}, false
		}}
	}).untilReady()
	path := "/v1/runs/" + r.ask("POST", "/v1/runs", `{"task": "Hello", "on_failure": "replan", "plan": `+planOf("A: Do A; B after A: BREAK B; C after B: Do C")+`}`).run(t).ID
	<-asked
	if run := r.cancel(path); run.statuses() != "A succeeded, B failed, C canceled" || run.Plan.Version != 1 {
		t.Errorf("plan %d: %s", run.Plan.Version, run.statuses())
	}
}

func TestCancelingARunThatQueues(t *testing.T) {
	options, asked := stuck()
	r := launch(t, func(c *Config) { c.simulator, c.MaxRuns = options, 1 }).untilReady()
	r.ask("POST", "/v1/runs", threeSubtasks)
	<-asked
	queued := r.ask("POST", "/v1/runs", threeSubtasks).run(t)
	got := r.ask("POST", "/v1/runs/"+queued.ID+"/cancel", "")
	if run := got.run(t); queued.Status != "queued" || got.status != 200 || run.Status != "canceled" || run.Usage.LLMCalls != 0 {
		t.Errorf("it was %s; status %d: %s", queued.Status, got.status, got.text)
	}
}

func TestCancelingARunThatWaitsToTryAgain(t *testing.T) {
	r := launch(t, func(c *Config) {
		c.simulator = simulator.Options{RetryAfter: time.Hour, Fail: func(r simulator.Request) simulator.Fault {
			if r.Role == simulator.Worker {
				return simulator.RateLimited
			}
			return simulator.NoFault
		}}
	}).untilReady()
	path := r.startUntil(twoSubtasks, func(e toldEvent) bool { return e.Type == "subtask.retrying" })
	run := r.cancel(path)
	if a := run.subtask(t, "A"); a.Status != "canceled" || a.Attempts != 1 || a.Error == nil {
		t.Errorf("%+v", a)
	}
}

// A deadline goes on counting while no process has the run.
func TestADeadlineOutlivesTheProcess(t *testing.T) {
	options, asked := stuck()
	journal := "sqlite:" + filepath.Join(t.TempDir(), "tutti.db")
	set := func(c *Config) { c.Journal, c.simulator = journal, options }
	first := launch(t, set).untilReady()
	id := first.ask("POST", "/v1/runs", `{"task": "Hello", "limits": {"timeout": "1s"}, "plan": `+planOf("A: Do it")+`}`).run(t).ID
	<-asked
	first.stop()
	second := launch(t, set).untilReady()
	run := second.ask("GET", "/v1/runs/"+id+"?wait=60", "").run(t)
	if run.Status != "failed" || run.Error.Code != "timeout" || run.subtask(t, "A").Status != "canceled" {
		t.Errorf("the run is %s: %s", run.Status, run.Error)
	}
}
