package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// A plan of the caller's own, of which "doomed" is performed by a model that
// refuses it, until it is told otherwise.
const doomedPlan = `"plan": {"subtasks": [
	{"id": "good", "description": "what goes well"},
	{"id": "doomed", "description": "what is doomed"},
	{"id": "after", "description": "what follows", "depends_on": ["doomed"]}]}`

// dooms has the calls for what is doomed fail, by a 400 that no retry mends.
func dooms(r simulator.Request) simulator.Fault {
	if r.Role == simulator.Worker && strings.Contains(r.Prompt(), "what is doomed") && !strings.Contains(r.Prompt(), "<output id=\"doomed\"") {
		return simulator.Unauthorized
	}
	return simulator.NoFault
}

func shown(t *testing.T, value any, path ...string) any {
	t.Helper()
	for _, key := range path {
		object, ok := value.(map[string]any)
		if !ok {
			t.Fatalf("no %s in %v", key, value)
		}
		value = object[key]
	}
	return value
}

func TestAPlanIsRevised(t *testing.T) {
	r := launch(t, func(c *Config) {
		c.simulator.Fail = dooms
		c.simulator.Answer = func(r simulator.Request) (simulator.Reply, bool) {
			if r.Role != simulator.Planner {
				return simulator.Reply{}, false
			}
			return simulator.Reply{Text: `{"analysis": "in another way", "subtasks": [
				{"id": "other", "type": "default", "description": "another way", "depends_on": ["good"]}]}`}, true
		}
	}).untilReady()
	got := r.ask("POST", "/v1/runs", `{"task": "t", "on_failure": "replan", `+doomedPlan+`}`, "Prefer: wait=60")
	got.wantSucceeded(t, true)
	plan := shown(t, got.json, "plan")
	if v := shown(t, plan, "version"); v != 2.0 || shown(t, got.json, "result", "partial") != any(false) {
		t.Errorf("version %v: %s", v, got.text)
	}
	versions := shown(t, plan, "versions").([]any)
	if len(versions) != 2 || shown(t, versions[0], "source") != "caller" || shown(t, versions[1], "source") != "planner" ||
		shown(t, versions[1], "reason", "code") != "upstream_error" || !strings.Contains(shown(t, versions[1], "reason", "detail").(string), "doomed") {
		t.Errorf("versions %v", versions)
	}
	dropped := shown(t, plan, "dropped").([]any)
	if len(dropped) != 1 || shown(t, dropped[0], "id") != "after" || shown(t, dropped[0], "status") != "canceled" {
		t.Errorf("dropped %v", dropped)
	}
	r.wantMetrics(`tutti_subtasks_total{status="failed",worker="default"} 1`, `tutti_runs_total{status="succeeded"} 1`)
}

func TestAFallbackIsMarked(t *testing.T) {
	r := launch(t, func(c *Config) {
		c.Models = map[string]Model{"big": {Fallback: "small"}, "small": {}}
		c.Model = "big"
		c.simulator.Fail = func(r simulator.Request) simulator.Fault {
			if r.Model == "big" && r.Role != simulator.Synthesizer {
				return simulator.Unauthorized
			}
			return simulator.NoFault
		}
	}).untilReady()
	got := r.ask("POST", "/v1/runs", threeSubtasks, "Prefer: wait=60")
	got.wantSucceeded(t, true)
	for _, s := range shown(t, got.json, "plan", "subtasks").([]any) {
		if shown(t, s, "fallback") != any(true) || shown(t, s, "model") != "small" || shown(t, s, "attempts") != 2.0 {
			t.Errorf("subtask %v", s)
		}
	}
	if n := shown(t, got.json, "usage", "llm_calls"); n != 9.0 { // the planner and three workers twice, the synthesizer once
		t.Errorf("%v calls", n)
	}
}

// What a run may spend is kept, by ten workers side by side too, and the run ends
// with what it has.
func TestABudgetIsKept(t *testing.T) {
	var calls atomic.Int64
	r := launch(t, func(c *Config) {
		c.Models = map[string]Model{"priced": {Price: &Price{Input: 1, Output: 10}}, "free": {}}
		c.Model = "priced"
		c.simulator.Fail = func(simulator.Request) simulator.Fault { calls.Add(1); return simulator.NoFault }
	}).untilReady()
	const task = `{"task": "Say hello in ten ways [[sim subtasks=10]]", "limits": {%s}}`
	got := r.ask("POST", "/v1/runs", fmt.Sprintf(task, `"max_llm_calls": 7`), "Prefer: wait=60")
	got.wantSucceeded(t, true)
	if n := calls.Load(); n != 7 || shown(t, got.json, "result", "partial") != any(true) || shown(t, got.json, "reason", "code") != "budget_exceeded" ||
		!strings.Contains(shown(t, got.json, "reason", "detail").(string), "5 of 10 subtasks") {
		t.Errorf("%d calls: %s", n, got.text)
	}
	for _, limit := range []string{`"max_tokens": 20000`, `"max_cost_usd": 0.05`} {
		got = r.ask("POST", "/v1/runs", fmt.Sprintf(task, limit), "Prefer: wait=60")
		got.wantSucceeded(t, true)
		tokens := shown(t, got.json, "usage", "prompt_tokens").(float64) + shown(t, got.json, "usage", "completion_tokens").(float64)
		if cost := shown(t, got.json, "usage", "cost_usd").(float64); cost > 0.05 && strings.Contains(limit, "cost") || tokens > 20000 && strings.Contains(limit, "tokens") {
			t.Errorf("%s: %v tokens, %v dollars", limit, tokens, cost)
		}
	}
	got = r.ask("POST", "/v1/runs", fmt.Sprintf(task, `"max_tokens": 100`), "Prefer: wait=60")
	if shown(t, got.json, "status") != "failed" || shown(t, got.json, "error", "code") != "budget_exceeded" {
		t.Errorf("nothing is affordable: %s", got.text)
	}
	got = r.ask("POST", "/v1/runs", `{"task": "t", "worker": {"model": "free"}, "limits": {"max_cost_usd": 1}}`)
	if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.text, "/limits/max_cost_usd") || !strings.Contains(got.text, "unknown_price") {
		t.Errorf("a price that is not known: %s", got.text)
	}
}

// The budget of a tenant is shared by its runs, and nothing of it is lost.
func TestATenantsBudgetIsKept(t *testing.T) {
	const key = "Authorization: Bearer k"
	r := launch(t, func(c *Config) {
		c.Models = map[string]Model{"priced": {Price: &Price{Input: 1, Output: 10}}}
		c.Tenants = map[string]Tenant{"acme": {
			Keys:   []string{"8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a"}, // of k
			Limits: TenantLimits{CostUSDPerDay: 0.3, MaxRuns: 2},
		}}
	}).untilReady()
	var runs []string
	for range 2 {
		got := r.ask("POST", "/v1/runs", `{"task": "Say hello [[sim subtasks=20]]"}`, key)
		runs = append(runs, "/v1/runs/"+shown(t, got.json, "id").(string))
	}
	cost, codes := 0.0, []any{}
	for _, run := range runs {
		got := r.ask("GET", run+"?wait=60", "", key)
		cost += shown(t, got.json, "usage", "cost_usd").(float64)
		if reason, ok := shown(t, got.json, "reason").(map[string]any); ok {
			codes = append(codes, reason["code"])
		}
	}
	if cost > 0.3 || !slices.Contains(codes, any("budget_exceeded")) {
		t.Errorf("%v dollars were spent of 0.3, reasons %v", cost, codes)
	}
}

func TestACopyWhileInUse(t *testing.T) {
	dir := t.TempDir()
	file, copied := filepath.Join(dir, "tutti.db"), filepath.Join(dir, "copy.db")
	r := launch(t, func(c *Config) { c.Journal = "sqlite:" + file }).untilReady()
	id := shown(t, r.ask("POST", "/v1/runs", threeSubtasks, "Prefer: wait=60").json, "id").(string)
	var out, faults strings.Builder
	if code := run([]string{"backup", copied, "-journal", "sqlite:" + file}, &out, &faults); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &faults)
	}
	if code := run([]string{"backup", copied, "-journal", "sqlite:" + file}, &out, &faults); code == exitOK || !strings.Contains(faults.String(), "exists") {
		t.Errorf("a file that exists: exit code %d: %s", code, &faults)
	}
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v", info, err)
	}
	second := launch(t, func(c *Config) { c.Journal = "sqlite:" + copied }).untilReady()
	second.ask("GET", "/v1/runs/"+id, "").wantSucceeded(t, true)
}

// A cancel is answered once nothing of the run is on the wire any more.
func TestACancelIsTrue(t *testing.T) {
	options, asked := stuck()
	var underWay atomic.Int64
	answer := options.Answer
	options.Answer = func(r simulator.Request) (simulator.Reply, bool) {
		underWay.Add(1)
		defer underWay.Add(-1)
		return answer(r)
	}
	r := launch(t, func(c *Config) { c.simulator = options }).untilReady()
	path := "/v1/runs/" + shown(t, r.ask("POST", "/v1/runs", threeSubtasks).json, "id").(string)
	for range 3 {
		<-asked
	}
	got := r.ask("POST", path+"/cancel", `{"detail": "enough"}`)
	r.wantMetrics(`tutti_pool_in_use 0`)
	if got.status != http.StatusOK || shown(t, got.json, "status") != "canceled" || shown(t, got.json, "reason", "detail") != "enough" {
		t.Errorf("status %d: %s", got.status, got.text)
	}
	var events struct{ Data []struct{ Type string } }
	if err := json.Unmarshal([]byte(r.ask("GET", path+"/events", "").text), &events); err != nil {
		t.Fatal(err)
	}
	if last := events.Data[len(events.Data)-1].Type; last != "run.canceled" {
		t.Errorf("the last event is %s", last)
	}
}
