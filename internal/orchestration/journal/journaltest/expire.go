package journaltest

import (
	"fmt"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// testExpire removes runs by their end, more than one transaction's.
func testExpire(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	const runs = 40
	ended := func(i int) time.Time { return Epoch.Add(time.Duration(i) * time.Hour) }
	id := func(i int) string { return fmt.Sprintf("run_%02d", i) }
	for i := range runs {
		c := single(orchestration.Row{
			ID: id(i), Tenant: []string{"acme", "other"}[i%2], Status: orchestration.StatusFailed,
			CreatedAt: Epoch, EndedAt: ended(i), Labels: map[string]string{"team": "growth"},
		})
		c.Key = &orchestration.Key{Key: id(i)}
		c.Attachments = [][]byte{{1}}
		c.Deliveries = []orchestration.Delivery{delivery(c)}
		appendAll(t, j, c)
	}
	appendAll(t, j, Story("acme", "run_new")[:5]...)
	want(t, "removed", must(j.Expire(ctx, time.Time{}, 0))(t), 0)
	want(t, "removed before the first end", must(j.Expire(ctx, ended(0), 0))(t), 0)
	want(t, "removed of the first", must(j.Expire(ctx, ended(runs), 20))(t), 20)
	want(t, "removed before a bound", must(j.Expire(ctx, ended(runs-2), 0))(t), runs-22)
	want(t, "removed again", must(j.Expire(ctx, ended(runs-2), 0))(t), 0)
	for i := range runs {
		tenant, gone := []string{"acme", "other"}[i%2], orchestration.ErrNotFound
		if i >= runs-2 {
			gone = nil
		}
		_, err := j.Row(ctx, tenant, id(i))
		wantErr(t, "row", err, gone)
		_, err = j.Event(ctx, id(i), 1)
		wantErr(t, "event", err, gone)
		_, _, err = j.Key(ctx, tenant, id(i))
		wantErr(t, "key", err, gone)
		_, err = j.Attachment(ctx, id(i), 0)
		wantErr(t, "attachment", err, gone)
	}
	want(t, "deliveries left", len(must(j.Due(ctx, ended(runs), 0))(t)), 2)
	for _, tenant := range []string{"acme", "other"} {
		rows := must(j.Rows(ctx, tenant, orchestration.Filter{Labels: map[string]string{"team": "growth"}}))(t)
		want(t, "rows left, with the one that has not ended", len(rows), map[string]int{"acme": 2, "other": 1}[tenant])
	}
	want(t, "removed at last", must(j.Expire(ctx, ended(runs), 0))(t), 2)
	want(t, "events of what goes on", len(must(j.Events(ctx, "run_new", 0, 0))(t)), len(Events(Story("acme", "run_new")[:5])))
}

// testExpireBudgets removes what was spent long ago, but what is held.
func testExpireBudgets(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	commits := Story("acme", "run_1")
	appendAll(t, j, commits[0])
	wantErr(t, "hold", j.Hold(ctx, hold("plan", 1, 0.25), budget(1)), nil)
	wantErr(t, "hold", j.Hold(ctx, hold("work", 1, 0.5), orchestration.Budget{Period: december, CostUSD: 1}), nil)
	long := november.AddDate(1, 0, 15)
	must(j.Expire(ctx, long, 0))(t)
	wantSpent(t, j, "acme", november, 0, 0.25)
	commits[1].Settled = []orchestration.Settlement{{Command: "plan", CostUSD: 0.125}, {Command: "work", CostUSD: 0.125}}
	appendAll(t, j, commits[1])
	must(j.Expire(ctx, november.AddDate(0, 11, 0), 0))(t)
	wantSpent(t, j, "acme", november, 0.125, 0)
	must(j.Expire(ctx, long, 0))(t)
	wantSpent(t, j, "acme", november, 0, 0)
	wantSpent(t, j, "acme", december, 0.125, 0)
}
