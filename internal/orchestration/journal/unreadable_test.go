package journal_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

// A run that has not ended and cannot be read is deleted with all that it held and
// owed; one that can be read is not.
func TestDeleteOfARunThatCannotBeRead(t *testing.T) {
	for name, damage := range map[string]string{
		"no JSON":              `UPDATE commits SET events = '[{"seq":1' WHERE seq = 3`,
		"an unknown event":     `UPDATE commits SET events = json_set(events, '$[0].type', 'run.teleported') WHERE first = 1`,
		"a fact of other form": `UPDATE commits SET events = json_set(events, '$[0].data.spec', 7) WHERE first = 1`,
		"no spec":              `UPDATE commits SET events = json_set(events, '$[0].data', json('{}')) WHERE first = 1`,
		"no beginning":         `DELETE FROM commits WHERE first = 1`,
		"a gap":                `DELETE FROM commits WHERE first = (SELECT min(first) FROM commits WHERE first > 1)`,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, dsn := t.Context(), newFile(t)
			j, err := journal.Open(ctx, dsn, journal.Options{})
			if err != nil {
				t.Fatal(err)
			}
			budget := orchestration.Budget{Period: journaltest.Epoch, CostUSD: 10}
			for _, run := range []string{"run_spoilt", "run_whole"} {
				commits := journaltest.Story("acme", run)[:3]
				commits[0].Key = &orchestration.Key{Key: "key of " + run}
				commits[2].Deliveries = []orchestration.Delivery{{ID: "delivery of " + run, Run: run, Tenant: "acme", URL: "https://example.com"}}
				for _, c := range commits {
					err = errors.Join(err, j.Append(ctx, c))
				}
				err = errors.Join(err, j.Hold(ctx, orchestration.Hold{Tenant: "acme", Run: run, Command: "plan/1", Call: 1, CostUSD: 4}, budget))
			}
			if err := errors.Join(err, j.Close()); err != nil {
				t.Fatal(err)
			}
			rewrite(t, dsn, damage+` AND run = 'run_spoilt'`)
			j = open(t, dsn)
			if _, err := j.Events(ctx, "run_spoilt", 0, 0); !errors.Is(err, orchestration.ErrUnreadable) || errors.Is(err, orchestration.ErrNewer) {
				t.Errorf("its events: %v", err)
			}
			if err := j.Delete(ctx, "other", "run_spoilt"); !errors.Is(err, orchestration.ErrNotFound) {
				t.Errorf("deleted by another: %v", err)
			}
			if err := j.Delete(ctx, "acme", "run_whole"); !errors.Is(err, journal.ErrNotEnded) {
				t.Errorf("deleted though it can be read: %v", err)
			}
			if err := j.Delete(ctx, "acme", "run_spoilt"); err != nil {
				t.Fatalf("not deleted: %v", err)
			}
			if _, err := j.Row(ctx, "acme", "run_spoilt"); !errors.Is(err, orchestration.ErrNotFound) {
				t.Errorf("its row: %v", err)
			}
			if _, _, err := j.Key(ctx, "acme", "key of run_spoilt"); !errors.Is(err, orchestration.ErrNotFound) {
				t.Errorf("its key: %v", err)
			}
			if due, err := j.Due(ctx, time.Now(), 0); err != nil || len(due) != 1 || due[0].Run != "run_whole" {
				t.Errorf("still owed: %v, %v", due, err)
			}
			if spent, held, err := j.Spent(ctx, "acme", budget.Period); spent != 0 || held != 4 || err != nil {
				t.Errorf("%v dollars spent and %v held, %v", spent, held, err)
			}
		})
	}
}

// Retention leaves the runs of a newer server alone, however many there are and
// whatever is behind them; who asks for it may delete them.
func TestRetentionLeavesNewerRuns(t *testing.T) {
	for name, open := range map[string]func() journal.Journal{
		"mem":    func() journal.Journal { return open(t, "mem:") },
		"sqlite": func() journal.Journal { return open(t, newFile(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, j := t.Context(), open()
			for i, format := range []int{orchestration.SpecFormat + 1, orchestration.SpecFormat + 1, orchestration.SpecFormat, 0} {
				run := string(rune('a' + i))
				err := j.Append(ctx, orchestration.Commit{
					Events: []orchestration.Event{{Seq: 1, Run: run, Fact: &orchestration.RunCreated{Spec: &orchestration.Spec{Format: format}}}},
					Row: orchestration.Row{
						ID: run, Tenant: "acme", Seq: 1, Status: orchestration.StatusFailed, EndedAt: journaltest.Epoch.Add(time.Duration(i) * time.Second),
					},
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if removed, err := j.Expire(ctx, time.Now(), 2); removed != 2 || err != nil {
				t.Errorf("removed %d, %v", removed, err)
			}
			rows, err := j.Rows(ctx, "acme", orchestration.Filter{})
			if err != nil || len(rows) != 2 {
				t.Errorf("left: %v, %v", rows, err)
			}
			for _, row := range rows {
				if err := j.Delete(ctx, "acme", row.ID); err != nil || row.ID > "b" {
					t.Errorf("%s is left, and deleting it %v", row.ID, err)
				}
			}
		})
	}
}

// A run whose last events are lost can be read as far as it goes, and deleted.
func TestDeleteOfARunWithoutItsEnd(t *testing.T) {
	for _, lost := range []string{`seq = (SELECT max(seq) FROM commits)`, `seq > 0`} {
		ctx, dsn := t.Context(), newFile(t)
		j, err := journal.Open(ctx, dsn, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range journaltest.Story("acme", "run_1")[:3] {
			err = errors.Join(err, j.Append(ctx, c))
		}
		if err := errors.Join(err, j.Close()); err != nil {
			t.Fatal(err)
		}
		rewrite(t, dsn, `DELETE FROM commits WHERE `+lost)
		j = open(t, dsn)
		if err := j.Delete(ctx, "acme", "run_1"); err != nil {
			t.Errorf("%s: %v", lost, err)
		}
	}
}

// A row that is spoilt keeps neither the others out of lists nor a server from starting.
func TestARowThatIsSpoilt(t *testing.T) {
	for _, column := range []string{"labels", "progress"} {
		ctx, dsn := t.Context(), newFile(t)
		j, err := journal.Open(ctx, dsn, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range []string{"run_spoilt", "run_whole"} {
			err = errors.Join(err, j.Append(ctx, journaltest.Story("acme", run)[0]))
		}
		if err := errors.Join(err, j.Close()); err != nil {
			t.Fatal(err)
		}
		rewrite(t, dsn, `UPDATE runs SET `+column+` = '{' WHERE id = 'run_spoilt'`)
		j = open(t, dsn)
		if rows, err := j.Unfinished(ctx); err != nil || len(rows) != 2 {
			t.Errorf("%s: unfinished %v, %v", column, rows, err)
		}
		if rows, err := j.Rows(ctx, "acme", orchestration.Filter{}); err != nil || len(rows) != 2 {
			t.Errorf("%s: listed %v, %v", column, rows, err)
		}
		if row, err := j.Row(ctx, "acme", "run_spoilt"); err != nil || row.Seq == 0 {
			t.Errorf("%s: %v, %v", column, row, err)
		}
	}
}
