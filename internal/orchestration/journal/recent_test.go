package journal_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

// output returns a commit that goes on from row with so many bytes.
func output(row orchestration.Row, bytes int) orchestration.Commit {
	after := row.Seq
	row.Seq++
	return orchestration.Commit{After: after, Row: row, Events: []orchestration.Event{{
		Seq: row.Seq, Time: journaltest.Epoch, Run: row.ID,
		Fact: &orchestration.SynthesisSucceeded{Output: strings.Repeat("x", bytes)},
	}}}
}

func wantKept(t *testing.T, j journal.Journal, run string, events int) {
	t.Helper()
	if got, known := journal.Kept(j, run); got != events || known != (events > 0) {
		t.Errorf("%d events of %s are in memory (known: %t), want %d", got, run, known, events)
	}
}

// The runs that nobody has appended to for longest are forgotten first, and one
// that is too large for the others' sake at once.
func TestRecentIsBounded(t *testing.T) {
	const most, runs = 80_000, 5 // of which four fit
	j := open(t, newFile(t))
	journal.SetRoom(j, most)
	rows := make([]orchestration.Row, runs+1)
	appendTo := func(i, bytes int) {
		t.Helper()
		c := output(rows[i], bytes)
		rows[i] = c.Row
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if kept, _ := journal.KeptBytes(j); kept > most {
			t.Errorf("%d bytes in memory", kept)
		}
	}
	for i := range rows {
		rows[i] = orchestration.Row{ID: fmt.Sprint("run_", i), Tenant: "acme", Status: orchestration.StatusRunning, CreatedAt: journaltest.Epoch}
	}
	for i := range runs - 1 {
		appendTo(i, most/4-1000)
	}
	appendTo(0, 10) // so that run_1 is the one to go
	appendTo(runs-1, most/4-1000)
	for i, events := range []int{2, 0, 1, 1, 1} {
		wantKept(t, j, rows[i].ID, events)
	}
	appendTo(1, 10) // the beginning of which is not there any more
	wantKept(t, j, "run_1", 0)
	appendTo(2, 2000) // now it is too large
	wantKept(t, j, "run_2", 0)
	appendTo(runs, most)
	wantKept(t, j, rows[runs].ID, 0)
	for i, events := range []int{2, 0, 0, 1, 1} {
		wantKept(t, j, rows[i].ID, events)
	}
	for _, row := range rows {
		if events, err := j.Events(t.Context(), row.ID, 0, 0); int64(len(events)) != row.Seq || err != nil {
			t.Errorf("%d events of %s, error %v", len(events), row.ID, err)
		}
	}
}

// Runs that have ended leave nearly all of the room to those that have not, of
// which none goes for their sake; the last one to end is there in any case.
func TestRecentOfEndedRuns(t *testing.T) {
	const most = 80_000
	j := open(t, newFile(t))
	journal.SetRoom(j, most)
	appendTo := func(run string, status orchestration.Status, bytes int) {
		t.Helper()
		c := output(orchestration.Row{ID: run, Tenant: "acme", Status: status, CreatedAt: journaltest.Epoch}, bytes)
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		appendTo(fmt.Sprint("run_", i), orchestration.StatusRunning, most/4-3000)
	}
	for i := range 100 {
		appendTo(fmt.Sprint("run_of_old_", i), orchestration.StatusSucceeded, 1000)
	}
	kept, runs := journal.KeptBytes(j)
	if ended := kept - most + 4*3000; ended > most/8+4*500 || ended < most/16 {
		t.Errorf("%d bytes of runs that have ended", ended)
	}
	if runs < 4+5 || runs > 4+most/8/1000 {
		t.Errorf("%d runs in memory", runs)
	}
	wantKept(t, j, "run_of_old_99", 1)
	appendTo("run_long", orchestration.StatusFailed, most/5)
	wantKept(t, j, "run_long", 1)
	wantKept(t, j, "run_of_old_99", 0)
	wantKept(t, j, "run_1", 1)
}

// While a commit becomes durable the storage alone tells what there is; the
// watchers are told when it is in memory.
func TestRecentFollowsCommits(t *testing.T) {
	j := open(t, newFile(t))
	commits := journaltest.Story("acme", "run_1")
	var told []int
	defer j.Watch("run_1", func(orchestration.Row) {
		events, _ := journal.Kept(j, "run_1")
		told = append(told, events)
	})()
	if err := j.Append(t.Context(), commits[0]); err != nil {
		t.Fatal(err)
	}
	wantKept(t, j, "run_1", 3)
	entered, release := hold(t, j)
	<-entered
	appended := appending(t.Context(), j, commits[1])
	wantKept(t, j, "run_1", 3)
	waiting := journal.Queued(j)
	entered, commit := hold(t, j)
	queuedMore(j, waiting)
	release(nil)
	<-entered
	wantKept(t, j, "run_1", 0)
	commit(nil)
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	wantKept(t, j, "run_1", 24)
	if fmt.Sprint(told) != "[3 24]" {
		t.Errorf("watchers were told when %v events were in memory", told)
	}
}

// What a failed write has left behind the storage alone knows, and of a deleted
// run there is nothing.
func TestRecentForgets(t *testing.T) {
	j := open(t, newFile(t))
	commits := journaltest.Story("acme", "run_1")
	if err := j.Append(t.Context(), commits[0]); err != nil {
		t.Fatal(err)
	}
	entered, release := hold(t, j)
	<-entered
	appended := appending(t.Context(), j, commits[1])
	waiting := journal.Queued(j)
	entered, fail := hold(t, j)
	queuedMore(j, waiting)
	release(nil)
	<-entered
	fail(fmt.Errorf("the disk is broken"))
	if err := <-appended; err == nil {
		t.Fatal("appended")
	}
	wantKept(t, j, "run_1", 0)

	for _, run := range []string{"run_2", "run_3"} {
		for _, c := range journaltest.Story("acme", run) {
			if err := j.Append(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := j.Delete(t.Context(), "other", "run_2"); err == nil {
		t.Error("deleted another's run")
	}
	wantKept(t, j, "run_2", 37)
	before, _ := journal.KeptBytes(j)
	if err := j.Delete(t.Context(), "acme", "run_2"); err != nil {
		t.Fatal(err)
	}
	wantKept(t, j, "run_2", 0)
	wantKept(t, j, "run_3", 37)
	if after, runs := journal.KeptBytes(j); after != before/2 || runs != 1 {
		t.Errorf("%d bytes of %d runs in memory, of %d before", after, runs, before)
	}
}
