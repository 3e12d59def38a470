package journaltest

import (
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// november and december are the periods of the tests' budgets.
var (
	november = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	december = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
)

func hold(command string, call int, cost float64) orchestration.Hold {
	return orchestration.Hold{Tenant: "acme", Run: "run_1", Command: command, Call: call, CostUSD: cost}
}

func budget(cost float64) orchestration.Budget {
	return orchestration.Budget{Period: november, CostUSD: cost}
}

func wantSpent(t *testing.T, j journal.Journal, tenant string, period time.Time, spent, held float64) {
	t.Helper()
	gotSpent, gotHeld, err := j.Spent(t.Context(), tenant, period)
	if gotSpent != spent || gotHeld != held || err != nil {
		t.Errorf("%s has spent %v and holds %v, error %v; want %v and %v", tenant, gotSpent, gotHeld, err, spent, held)
	}
}

func testBudgets(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	commits := Story("acme", "run_1")
	wantErr(t, "hold of no run", j.Hold(ctx, hold("plan", 1, 0), budget(1)), orchestration.ErrNotFound)
	appendAll(t, j, commits[0])
	wantErr(t, "hold", j.Hold(ctx, hold("plan", 1, 0.5), budget(1)), nil)
	wantErr(t, "hold beyond the budget", j.Hold(ctx, hold("plan", 2, 0.625), budget(1)), orchestration.ErrBudget)
	wantErr(t, "hold again", j.Hold(ctx, hold("plan", 1, 0.5), budget(0)), nil)
	wantErr(t, "hold all that is left", j.Hold(ctx, hold("plan", 2, 0.5), budget(1)), nil)
	wantErr(t, "hold when nothing is left", j.Hold(ctx, hold("work", 1, 1e-10), budget(1)), orchestration.ErrBudget)
	wantSpent(t, j, "acme", november, 0, 1)

	theirs := hold("theirs", 1, 0.125)
	theirs.Tenant = "other"
	wantErr(t, "hold of another's run", j.Hold(ctx, theirs, budget(1)), orchestration.ErrNotFound)
	wantSpent(t, j, "other", november, 0, 0)
	next := budget(0.25)
	next.Period = december
	wantErr(t, "hold in another period", j.Hold(ctx, hold("work", 1, 0.25), next), nil)
	wantSpent(t, j, "acme", december, 0, 0.25)

	// Spent is what it was, also when more than was held.
	commits[1].Settled = []orchestration.Settlement{{Command: "plan", CostUSD: 1.5}, {Command: "none", CostUSD: 7}}
	wantErr(t, "append from where the run is not", j.Append(ctx, Story("acme", "run_1")[4]), orchestration.ErrConflict)
	wantSpent(t, j, "acme", november, 0, 1)
	appendAll(t, j, commits[1])
	wantSpent(t, j, "acme", november, 1.5, 0)
	wantSpent(t, j, "acme", december, 0, 0.25)
	wantErr(t, "hold when too much is spent", j.Hold(ctx, hold("check", 1, 0), budget(1)), orchestration.ErrBudget)
	wantErr(t, "hold of a larger budget", j.Hold(ctx, hold("check", 1, 0.25), budget(2)), nil)

	// The end frees what nobody settled.
	appendAll(t, j, commits[2:]...)
	wantSpent(t, j, "acme", november, 1.5, 0)
	wantSpent(t, j, "acme", december, 0, 0)
	wantErr(t, "hold of an ended run", j.Hold(ctx, hold("late", 1, 0), budget(9)), orchestration.ErrConflict)
	if err := j.Delete(ctx, "acme", "run_1"); err != nil {
		t.Fatal(err)
	}
	wantSpent(t, j, "acme", november, 1.5, 0)
}

// testSettlesAcrossPeriods has a command whose calls were held in two periods:
// what it spent counts in the last one's.
func testSettlesAcrossPeriods(t *testing.T, j journal.Journal) {
	commits := Story("acme", "run_1")
	appendAll(t, j, commits[0])
	for call, b := range []orchestration.Budget{{Period: november, CostUSD: 1}, {Period: november, CostUSD: 1}, {Period: december, CostUSD: 1}} {
		wantErr(t, "hold", j.Hold(t.Context(), hold("plan", call+1, 0.25), b), nil)
	}
	commits[1].Settled = []orchestration.Settlement{{Command: "plan", CostUSD: 0.125}}
	appendAll(t, j, commits[1])
	wantSpent(t, j, "acme", november, 0, 0)
	wantSpent(t, j, "acme", december, 0.125, 0)
}

// testMoney holds amounts that a float does not have exactly, and ones that are
// no amounts.
func testMoney(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	commits := Story("acme", "run_1")
	appendAll(t, j, commits[0])
	for _, cost := range []float64{-1, math.NaN(), math.Inf(-1)} {
		err := j.Hold(ctx, hold("plan", 1, cost), budget(1))
		if err == nil || errors.Is(err, orchestration.ErrBudget) || errors.Is(err, orchestration.ErrUnavailable) {
			t.Errorf("hold of %v: got error %v, want one that blames the hold", cost, err)
		}
	}
	for call := range 3 {
		wantErr(t, "a part of 0.201", j.Hold(ctx, hold("plan", call+1, 0.067), budget(0.201)), nil)
	}
	wantSpent(t, j, "acme", november, 0, 0.201)
	wantErr(t, "hold beyond", j.Hold(ctx, hold("plan", 4, 1e-9), budget(0.201)), orchestration.ErrBudget)
	wantErr(t, "hold rounded up", j.Hold(ctx, hold("plan", 4, 1.5e-9), budget(0.201000002)), nil)
	wantErr(t, "hold of no budget", j.Hold(ctx, hold("plan", 5, 0.1), budget(math.NaN())), orchestration.ErrBudget)
	wantErr(t, "hold of an endless budget", j.Hold(ctx, hold("work", 1, 0.5), budget(math.Inf(1))), nil)
	wantErr(t, "endless hold", j.Hold(ctx, hold("work", 2, math.Inf(1)), budget(1000)), orchestration.ErrBudget)

	commits[1].Settled = []orchestration.Settlement{{Command: "plan", CostUSD: math.Inf(1)}, {Command: "work", CostUSD: math.NaN()}}
	appendAll(t, j, commits[1])
	wantSpent(t, j, "acme", november, 1e6, 0)
}

// testHoldRace has many hold at once: no more than the budget.
func testHoldRace(t *testing.T, j journal.Journal) {
	appendAll(t, j, Story("acme", "run_1")[0])
	var wg sync.WaitGroup
	var mu sync.Mutex
	held := 0
	for call := range 32 {
		wg.Go(func() {
			switch err := j.Hold(t.Context(), hold("plan", call/2+1, 0.25), budget(2)); {
			case err == nil:
				mu.Lock()
				defer mu.Unlock()
				held++
			case !errors.Is(err, orchestration.ErrBudget):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if held < 8 || held > 16 { // each call holds twice
		t.Errorf("%d holds succeeded", held)
	}
	wantSpent(t, j, "acme", november, 0, 2)
}
