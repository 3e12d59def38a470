package journal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

// A page of events that are large ends early: whoever reads a run of long outputs holds
// some megabytes of it, not all.
func TestPagesAreBoundedInBytes(t *testing.T) {
	ctx, dsn := t.Context(), newFile(t)
	j, err := journal.Open(ctx, dsn, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const events = 30
	for seq := range int64(events) {
		err = errors.Join(err, j.Append(ctx, orchestration.Commit{
			After:  seq,
			Row:    orchestration.Row{ID: "run_1", Tenant: "acme", Status: orchestration.StatusRunning, CreatedAt: journaltest.Epoch, Seq: seq + 1},
			Events: []orchestration.Event{{Seq: seq + 1, Run: "run_1", Subtask: "a", Fact: &orchestration.SubtaskSucceeded{Output: strings.Repeat("x", 1<<20)}}},
		}))
	}
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	j = open(t, dsn)
	var after int64
	for pages := 0; after < events; pages++ {
		page, err := j.Events(ctx, "run_1", after, 100)
		if err != nil || len(page) == 0 || len(page) > 10 || page[0].Seq != after+1 {
			t.Fatalf("%d events after %d, error %v", len(page), after, err)
		}
		after = page[len(page)-1].Seq
	}
	if all, err := j.Events(ctx, "run_1", 0, 0); err != nil || len(all) != events {
		t.Errorf("without a limit: %d events, error %v", len(all), err)
	}
}
