package journal_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

// The budget of the tests, which is never spent.
var plenty = orchestration.Budget{Period: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), CostUSD: 1e9}

// owing returns a story whose every commit owes a delivery and, but for the
// first, settles a hold at half a dollar. Each adds to the cache, under the id
// of its delivery.
func owing(run string) []orchestration.Commit {
	commits := journaltest.Story("acme", run)
	for i := range commits {
		c := &commits[i]
		last := c.Events[len(c.Events)-1]
		c.Deliveries = []orchestration.Delivery{{
			ID: fmt.Sprint("msg_", run, "_", last.Seq), Tenant: "acme", Run: run, Seq: last.Seq, Type: last.Type(),
			Time: last.Time, Status: c.Row.Status, URL: "https://example.com/",
		}}
		c.Cached = []orchestration.Cached{{Tenant: "acme", Key: c.Deliveries[0].ID, Output: run, Expires: last.Time.Add(time.Hour)}}
		if i > 0 {
			c.Settled = []orchestration.Settlement{{Command: fmt.Sprint(i), CostUSD: 0.5}}
		}
	}
	return commits
}

// holdFor holds what commit i of such a story settles.
func holdFor(run string, i int) orchestration.Hold {
	return orchestration.Hold{Tenant: "acme", Run: run, Command: fmt.Sprint(i), Call: 1, CostUSD: 1}
}

func wantSpent(t *testing.T, j journal.Journal, spent, held float64) {
	t.Helper()
	gotSpent, gotHeld, err := j.Spent(t.Context(), "acme", plenty.Period)
	if gotSpent != spent || gotHeld != held || err != nil {
		t.Errorf("spent %v, held %v, error %v; want %v and %v", gotSpent, gotHeld, err, spent, held)
	}
}

// Holds and deliveries outlive the process, and holds can be settled and freed by
// the next one.
func TestReopenOwed(t *testing.T) {
	dsn := newFile(t)
	j := open(t, dsn)
	commits := owing("run_1")
	if err := j.Append(t.Context(), commits[0]); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 2, 100, 101} {
		if err := j.Hold(t.Context(), holdFor("run_1", i), plenty); err != nil {
			t.Fatal(err)
		}
	}
	reopen := func() {
		t.Helper()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = open(t, dsn)
	}
	reopen()
	wantSpent(t, j, 0, 4)
	if err := j.Hold(t.Context(), holdFor("run_1", 1), plenty); err != nil {
		t.Error(err)
	}
	if err := j.Append(t.Context(), commits[1]); err != nil {
		t.Fatal(err)
	}
	wantSpent(t, j, 0.5, 3)
	reopen()
	owed, err := j.Due(t.Context(), journaltest.Epoch.Add(time.Hour), 0)
	if err != nil || len(owed) != 2 {
		t.Fatalf("%d deliveries, error %v", len(owed), err)
	}
	for i, o := range owed {
		want := orchestration.Owed{Delivery: commits[i].Deliveries[0], State: orchestration.DeliveryPending, Next: commits[i].Deliveries[0].Time}
		if d := cmp.Diff(want, o); d != "" {
			t.Errorf("delivery %d (-want +got):\n%s", i, d)
		}
	}
	for _, c := range commits[2:] {
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	wantSpent(t, j, 1, 0)
}

// A transaction that fails settles nothing, and what it lost can be tried again:
// also the end of a run, which frees what is held.
func TestSettlesOnce(t *testing.T) {
	j := open(t, newFile(t))
	commits := owing("run_1")
	for i, c := range commits {
		if i > 0 {
			if err := j.Hold(t.Context(), holdFor("run_1", i), plenty); err != nil {
				t.Fatal(err)
			}
		}
		entered, release := hold(t, j)
		<-entered
		lost := appending(t.Context(), j, c)
		before := journal.Queued(j)
		entered, fail := hold(t, j)
		queuedMore(j, before)
		release(nil)
		<-entered // in one transaction with the append
		fail(errors.New("broken"))
		if err := <-lost; !errors.Is(err, orchestration.ErrUnavailable) {
			t.Fatalf("got error %v", err)
		}
		select {
		case <-j.Owing():
			t.Error("signaled for a commit that was lost")
		default:
		}
		wantSpent(t, j, max(0, 0.5*float64(i-1)), min(1, float64(i)))
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		wantSpent(t, j, 0.5*float64(i), 0)
		<-j.Owing()
	}
	if n, err := journal.Holding(t.Context(), j); n != 0 || err != nil {
		t.Errorf("%d runs hold something, error %v", n, err)
	}
	owed, err := j.Deliveries(t.Context(), "acme", orchestration.DeliveryFilter{})
	if err != nil || len(owed) != len(commits) {
		t.Errorf("%d deliveries, error %v", len(owed), err)
	}
}

// A commit that neither settles nor owes costs no statement more, wherever holds
// and deliveries are kept: without their tables it succeeds.
func TestOrdinaryCommitsTouchNoMore(t *testing.T) {
	j := open(t, newFile(t))
	if err := journal.Do(t.Context(), j, func(c *sql.Conn) error {
		_, err := c.ExecContext(t.Context(), `DROP TABLE holds; DROP TABLE budgets; DROP TABLE deliveries`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range journaltest.Story("acme", "run_1") {
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// What is read all the time, or of all runs, is read from an index in its order.
func TestOwedUseIndexes(t *testing.T) {
	j := open(t, newFile(t))
	plans, err := journal.ExplainOwed(t.Context(), j, map[string]orchestration.DeliveryFilter{
		"all":   {Limit: 50},
		"page":  {Limit: 50, Before: "msg"},
		"state": {Limit: 50, State: orchestration.DeliveryDead, Before: "msg"},
		"run":   {Limit: 50, Run: "run_1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, plan := range plans {
		for _, line := range plan {
			if strings.Contains(line, "TEMP B-TREE") || strings.HasPrefix(line, "SCAN") {
				t.Errorf("%s: %s", name, strings.Join(plan, "; "))
			}
		}
	}
	for name, index := range map[string]string{"due": "deliveries_due (next<?)", "expired": "runs_by_end (ended_at<?)", "run": "deliveries_by_run (run=?)"} {
		if plan := strings.Join(plans[name], "; "); !strings.Contains(plan, index) {
			t.Errorf("%s: %s", name, plan)
		}
	}
}
