package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// priced has one model with a price: a long answer costs cents.
func priced(c *Config) {
	c.Model, c.Models = "house", map[string]Model{"house": {Price: &Price{Input: 1, Output: 10}}}
}

// billed is what the calls that reached the models used, and cost at that price.
func (r *running) billed() (calls, tokens int, usd float64) {
	for _, call := range r.models.simulator.Requests() {
		calls++
		tokens += call.Usage.Prompt + call.Usage.Completion
		usd += (float64(call.Usage.Prompt) + 10*float64(call.Usage.Completion)) / 1e6
	}
	return calls, tokens, usd
}

// However many workers run in parallel, and however long they would answer, the
// models see no more than a run may spend.
func TestARunSpendsNoMoreThanItMay(t *testing.T) {
	const calls, tokens, usd = "max_llm_calls", "max_tokens", "max_cost_usd"
	for _, limits := range []map[string]float64{
		{calls: 9}, {tokens: 12000}, {tokens: 60000}, {usd: 0.03}, {usd: 0.3}, {calls: 14, tokens: 40000, usd: 0.2},
	} {
		r := launch(t, func(c *Config) {
			priced(c)
			c.simulator = simulator.Options{Ledger: 1000, Latency: time.Millisecond}
		}).untilReady()
		asked, _ := json.Marshal(limits)
		run := r.start(fmt.Sprintf(`{"task": "Hello [[sim subtasks=30 out=20000]]", "limits": %s}`, asked))
		n, used, cost := r.billed()
		spent := map[string]float64{calls: float64(n), tokens: float64(used), usd: cost}
		for limit, most := range limits {
			if spent[limit] > most {
				t.Errorf("%s: the models were asked for %v", asked, spent)
			}
		}
		u := run.Usage
		// Of a call that is aborted, as its subtask is dropped, nobody is told what it used,
		// though all of its answer may be on its way.
		aborted := strings.Contains(r.ask("GET", "/v1/runs/"+run.ID+"/events?limit=200", "").text, `"outcome":"canceled"`)
		if u.LLMCalls != n || !aborted && (u.PromptTokens+u.CompletionTokens != used || math.Abs(u.CostUSD-cost) > 1e-9) {
			t.Errorf("%s: the run tells of %+v, the models of %v", asked, u, spent)
		}
		if n < 2 || run.Reason == nil || (run.Status == "succeeded") != (run.Result.FinalOutput != nil) {
			t.Errorf("%s: after %d calls the run is %s: %s", asked, n, run.Status, run.Reason)
		}
	}
}

func TestABudgetTellsWhatItLeftUndone(t *testing.T) {
	r := launch(t, func(*Config) {}).untilReady()
	run := r.start(`{"task": "Hello [[sim subtasks=10]]", "limits": {"max_llm_calls": 7}}`)
	const detail = "The run's max_llm_calls of 7 allows no further call beside what is kept for the synthesis; 5 of 10 subtasks were left undone."
	if run.Status != "succeeded" || !run.Result.Partial || run.Result.FinalOutput == nil || run.Reason.String() != "budget_exceeded: "+detail {
		t.Errorf("the run is %s, partial %v: %s", run.Status, run.Result.Partial, run.Reason)
	}
	skipped := 0
	for _, s := range run.Plan.Subtasks {
		if s.Status == "skipped" && s.Error.String() == "budget_exceeded: "+detail {
			skipped++
		}
	}
	if skipped != 5 {
		t.Errorf("%d are skipped for it: %s", skipped, run.statuses())
	}
	for _, kind := range []string{"budget.warning", "budget.exceeded"} {
		if e := r.history(run.ID, kind); len(e) != 1 || e[0].Data["limit"] != "max_llm_calls" {
			t.Errorf("%s: %v", kind, e)
		}
	}
	r.wantMetrics(`tutti_runs_total{status="succeeded"} 1`, `tutti_subtasks_total{status="skipped",worker="default"} 3`)
}

// A budget that is too small for anything fails the run, and says why.
func TestABudgetForNothing(t *testing.T) {
	r := launch(t, priced).untilReady()
	for limit, want := range map[string]string{
		`"max_llm_calls": 1`:     "The run's max_llm_calls of 1 allows no further call",
		`"max_llm_calls": 2`:     "No subtask succeeded; T1 was skipped: The run's max_llm_calls of 2 allows no further call",
		`"max_tokens": 100`:      "The run's max_tokens of 100 allows no further call",
		`"max_cost_usd": 0.0001`: "The run's max_cost_usd of 0.0001 allows no further call",
	} {
		run := r.start(`{"task": "Hello [[sim subtasks=3]]", "limits": {` + limit + `}}`)
		if run.Status != "failed" || run.Error.Code != "budget_exceeded" || run.Reason.Code != "budget_exceeded" ||
			!strings.HasPrefix(run.Error.Detail, want) {
			t.Errorf("%s: the run is %s: %s", limit, run.Status, run.Error)
		}
	}
}

func TestACostNeedsPrices(t *testing.T) {
	r := launch(t, func(*Config) {}).untilReady()
	got := r.ask("POST", "/v1/runs", `{"task": "Hello", "limits": {"max_cost_usd": 1}}`)
	if got.status != 422 || !strings.Contains(got.text, `"pointer":"/limits/max_cost_usd"`) || !strings.Contains(got.text, `"unknown_price"`) {
		t.Errorf("status %d: %s", got.status, got.text)
	}
}

const acme = "Authorization: Bearer sesame"

// budgeted has a tenant with a budget for the day.
func budgeted(c *Config, usd float64) {
	sum := sha256.Sum256([]byte("sesame"))
	priced(c)
	c.Tenants = map[string]Tenant{"acme": {Keys: []string{hex.EncodeToString(sum[:])}, Limits: TenantLimits{CostUSDPerDay: usd}}}
}

// Runs side by side do not overspend what their tenant may spend in a day.
func TestRunsOfATenantShareABudget(t *testing.T) {
	const most = 0.5
	r := launch(t, func(c *Config) {
		budgeted(c, most)
		c.simulator = simulator.Options{Ledger: 1000, Latency: time.Millisecond}
	}).untilReady()
	runs := make([]told, 4)
	var all sync.WaitGroup
	for i := range runs {
		all.Go(func() {
			runs[i] = r.ask("POST", "/v1/runs", `{"task": "Hello [[sim subtasks=8 out=30000]]"}`, "Prefer: wait=60", acme).run(t)
		})
	}
	all.Wait()
	told := 0.0
	for _, run := range runs {
		told += run.Usage.CostUSD
		if run.Reason == nil || run.Reason.Code != "budget_exceeded" || (run.Status == "failed") != (run.Error != nil) {
			t.Errorf("a run is %s: %s, %s", run.Status, run.Reason, run.Error)
		}
	}
	if _, _, usd := r.billed(); usd > most || usd < most/10 || math.Abs(told-usd) > 1e-9 {
		t.Errorf("the models were paid %g of %g dollars, and the runs tell of %g", usd, most, told)
	}
}

// What was held back for calls that a stop cut short is free.
func TestARestartLeaksNothingOfABudget(t *testing.T) {
	file := "sqlite:" + filepath.Join(t.TempDir(), "tutti.db")
	options, asked := stuck()
	first := launch(t, func(c *Config) { budgeted(c, 1); c.Journal, c.simulator = file, options }).untilReady()
	id := first.ask("POST", "/v1/runs", threeSubtasks, acme).run(t).ID
	for range 3 {
		<-asked
	}
	first.stop()
	if spent, held := balance(t, file); spent <= 0 || held != 0 {
		t.Errorf("between the two %g dollars are spent and %g held", spent, held)
	}
	second := launch(t, func(c *Config) { budgeted(c, 1); c.Journal = file }).untilReady()
	run := second.ask("GET", "/v1/runs/"+id+"?wait=60", "", acme).run(t)
	second.stop()
	if spent, held := balance(t, file); run.Status != "succeeded" || held != 0 || math.Abs(spent-run.Usage.CostUSD) > 1e-6 {
		t.Errorf("the run is %s and cost %g; %g dollars are spent and %g held", run.Status, run.Usage.CostUSD, spent, held)
	}
}

// balance reads what acme has spent today, and what is held.
func balance(t *testing.T, file string) (spent, held float64) {
	t.Helper()
	j, err := journal.Open(t.Context(), file, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	spent, held, err = j.Spent(t.Context(), "acme", time.Now().UTC().Truncate(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return spent, held
}

// A budget is for a day.
func TestTheNextDayHasABudgetOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		j, err := journal.Open(ctx, "mem:", journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = j.Close() }()
		run := orchestration.Row{ID: "run_1", Tenant: "acme", Status: orchestration.StatusRunning, Seq: 1}
		created := orchestration.Event{Seq: 1, Time: time.Now(), Run: run.ID, Fact: &orchestration.RunStarted{}}
		if err := j.Append(ctx, orchestration.Commit{Events: []orchestration.Event{created}, Row: run}); err != nil {
			t.Fatal(err)
		}
		holds := treasury{j, map[string]float64{"acme": 1}}
		hold := func(call int) error {
			return holds.Hold(ctx, orchestration.Hold{Tenant: "acme", Run: run.ID, Command: "plan/1", Call: call, CostUSD: 0.7})
		}
		if err := hold(1); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := hold(2); !errors.Is(err, orchestration.ErrBudget) || time.Since(began) != holdPatience {
			t.Errorf("more than the day's budget, as long as the other call holds its part: %v after %s", err, time.Since(began))
		}
		ended := orchestration.Event{Seq: 2, Time: time.Now(), Run: run.ID, Attempt: 1, Fact: &orchestration.PlanInvalid{}}
		run.Seq = 2
		time.AfterFunc(10*time.Second, func() {
			settled := []orchestration.Settlement{{Command: "plan/1", CostUSD: 0.1}}
			if err := j.Append(ctx, orchestration.Commit{After: 1, Events: []orchestration.Event{ended}, Row: run, Settled: settled}); err != nil {
				t.Error(err)
			}
		})
		if err := hold(2); err != nil {
			t.Errorf("once the other call has turned out to be cheap: %v", err)
		}
		for day := range 3 {
			time.Sleep(24 * time.Hour)
			if err := hold(3 + day); err != nil {
				t.Errorf("%d days later: %v", 1+day, err)
			}
		}
	})
}
