package journal_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

// hold keeps the writer busy in its transaction until release is called.
func hold(t *testing.T, j journal.Journal) (entered <-chan struct{}, release func(error)) {
	in, out := make(chan struct{}), make(chan error)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = journal.Do(context.Background(), j, func(*sql.Conn) error { close(in); return <-out })
	}()
	return in, func(err error) { out <- err; <-done }
}

// appending appends in another goroutine and returns once the commit waits in
// the queue, behind the others that do.
func appending(ctx context.Context, j journal.Journal, c orchestration.Commit) <-chan error {
	before := journal.Queued(j)
	done := make(chan error, 1)
	go func() { done <- j.Append(ctx, c) }()
	queuedMore(j, before)
	return done
}

// queuedMore waits until more writes wait than before.
func queuedMore(j journal.Journal, before int) {
	for journal.Queued(j) == before {
		runtime.Gosched()
	}
}

func TestBatchWithRefusals(t *testing.T) {
	j := open(t, newFile(t))
	first := journaltest.Story("acme", "run_1")
	withKey := func(run string) orchestration.Commit {
		c := journaltest.Story("acme", run)[0]
		c.Key = &orchestration.Key{Key: "k", Hash: [32]byte{1}}
		return c
	}
	entered, release := hold(t, j)
	<-entered
	outcomes := []<-chan error{
		appending(t.Context(), j, first[0]),
		appending(t.Context(), j, first[0]),
		appending(t.Context(), j, first[1]),
		appending(t.Context(), j, first[1]),
		appending(t.Context(), j, first[3]),
		appending(t.Context(), j, withKey("run_2")),
		appending(t.Context(), j, withKey("run_3")),
		appending(t.Context(), j, journaltest.Story("acme", "run_4")[0]),
	}
	release(nil)
	taken := &orchestration.KeyTaken{Run: "run_2", Hash: [32]byte{1}}
	for i, want := range []error{nil, orchestration.ErrConflict, nil, orchestration.ErrConflict, orchestration.ErrConflict, nil, taken, nil} {
		if got := <-outcomes[i]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("append %d: got error %v, want %v", i, got, want)
		}
	}
	rows, err := j.Unfinished(t.Context())
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	if d := cmp.Diff([]string{"run_1", "run_2", "run_4"}, ids); d != "" || err != nil {
		t.Errorf("unfinished, error %v (-want +got):\n%s", err, d)
	}
}

// A failed transaction fails all that was in it, what it had refused too: that
// may have been refused for the sake of what was lost.
func TestBatchFails(t *testing.T) {
	j := open(t, newFile(t))
	commits := journaltest.Story("acme", "run_1")
	stop := j.Watch("run_1", func(orchestration.Row) { t.Error("told of a commit that was lost") })
	entered, release := hold(t, j)
	<-entered
	outcomes := []<-chan error{
		appending(t.Context(), j, commits[0]),
		appending(t.Context(), j, commits[0]),
		appending(t.Context(), j, commits[1]),
	}
	before := journal.Queued(j)
	entered, fail := hold(t, j)
	queuedMore(j, before)
	release(nil)
	<-entered
	broken := errors.New("the disk is broken")
	fail(broken)
	for i, outcome := range outcomes {
		if err := <-outcome; !errors.Is(err, orchestration.ErrUnavailable) || !errors.Is(err, broken) {
			t.Errorf("append %d: got error %v", i, err)
		}
	}
	stop()
	if events, err := j.Events(t.Context(), "run_1", 0, 0); len(events) > 0 || err != nil {
		t.Errorf("%d events, error %v", len(events), err)
	}
	for _, c := range commits {
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// Nobody sees what is written but not committed.
func TestNothingSeenBeforeCommit(t *testing.T) {
	j := open(t, newFile(t))
	c := journaltest.Story("acme", "run_1")[0]
	c.Key = &orchestration.Key{Key: "k"}
	var told []int64
	defer j.Watch("run_1", func(r orchestration.Row) { told = append(told, r.Seq) })()

	entered, release := hold(t, j)
	<-entered
	appended := appending(t.Context(), j, c)
	before := journal.Queued(j)
	entered, commit := hold(t, j)
	queuedMore(j, before)
	release(nil)
	<-entered // in one transaction with c, which has been written
	if events, err := j.Events(t.Context(), "run_1", 0, 0); len(events) > 0 || err != nil {
		t.Errorf("%d events, error %v", len(events), err)
	}
	if _, err := j.Row(t.Context(), "acme", "run_1"); !errors.Is(err, orchestration.ErrNotFound) {
		t.Errorf("row: got error %v", err)
	}
	if _, _, err := j.Key(t.Context(), "acme", "k"); !errors.Is(err, orchestration.ErrNotFound) {
		t.Errorf("key: got error %v", err)
	}
	select {
	case err := <-appended:
		t.Errorf("append has returned, error %v", err)
	default:
	}
	commit(nil)
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int64{3}, told); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
}

// A context that ends while a commit waits takes it back; one that ends later
// changes nothing.
func TestContextEnds(t *testing.T) {
	j := open(t, newFile(t))
	entered, release := hold(t, j)
	<-entered
	waits, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	withdrawn := appending(waits, j, journaltest.Story("acme", "run_1")[0])
	giveUp()
	if err := <-withdrawn; !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
	began, tooLate := context.WithCancel(t.Context())
	defer tooLate()
	appended := appending(began, j, journaltest.Story("acme", "run_2")[0])
	before := journal.Queued(j)
	entered, commit := hold(t, j)
	queuedMore(j, before)
	release(nil)
	<-entered
	tooLate()
	commit(nil)
	if err := <-appended; err != nil {
		t.Error(err)
	}
	rows, err := j.Unfinished(t.Context())
	if err != nil || len(rows) != 1 || rows[0].ID != "run_2" {
		t.Errorf("rows %+v, error %v", rows, err)
	}
}

// Close finishes what waits.
func TestCloseFinishes(t *testing.T) {
	dsn := newFile(t)
	j := open(t, dsn)
	entered, release := hold(t, j)
	<-entered
	appended := appending(t.Context(), j, journaltest.Story("acme", "run_1")[0])
	closed := make(chan error, 1)
	go func() { closed <- j.Close() }()
	release(nil)
	if err := <-appended; err != nil && !errors.Is(err, orchestration.ErrUnavailable) {
		t.Error(err)
	} else if err != nil {
		t.Errorf("lost what was queued before Close: %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := open(t, dsn).Row(t.Context(), "acme", "run_1"); err != nil {
		t.Error(err)
	}
}

// A connection that is in no known state is not used again.
func TestReconnect(t *testing.T) {
	j := open(t, newFile(t))
	for i, c := range journaltest.Story("acme", "run_1") {
		broken := errors.New("broken")
		if err := journal.Do(t.Context(), j, func(conn *sql.Conn) error {
			_, err := conn.ExecContext(t.Context(), `ROLLBACK`) // as SQLite does by itself after some errors
			return errors.Join(broken, err)
		}); !errors.Is(err, broken) || !errors.Is(err, orchestration.ErrUnavailable) {
			t.Fatal(err)
		}
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatalf("append %d: %v", i, err)
		}
	}
}

// A database that may not grow is a full disk to SQLite.
func TestDiskFull(t *testing.T) {
	j := open(t, newFile(t))
	commits := journaltest.Story("acme", "run_1")
	commits[1].Events[0].Fact = &orchestration.SynthesisSucceeded{Output: strings.Repeat("x", 1<<20)}
	if err := j.Append(t.Context(), commits[0]); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		pragma(t, j, `PRAGMA max_page_count = 1`) // at least what there is, and of this connection only
		if err := j.Append(t.Context(), commits[1]); !errors.Is(err, orchestration.ErrUnavailable) {
			t.Fatalf("got error %v", err)
		}
	}
	row, err := j.Row(t.Context(), "acme", "run_1")
	if d := cmp.Diff(commits[0].Row, row); d != "" || err != nil {
		t.Errorf("row, error %v (-want +got):\n%s", err, d)
	}
	pragma(t, j, `PRAGMA max_page_count = 1000000`)
	for _, c := range commits[1:] {
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	events, err := j.Events(t.Context(), "run_1", 0, 0)
	if d := cmp.Diff(journaltest.Events(commits), events); d != "" || err != nil {
		t.Errorf("events, error %v (-want +got):\n%s", err, d)
	}
}

// After a failure Ready finds out by itself whether the storage has recovered.
// Here another program is in the way: it holds the write lock.
func TestReady(t *testing.T) {
	dsn := newFile(t)
	j := open(t, dsn)
	pragma(t, j, `PRAGMA busy_timeout = 0`)
	file := url.URL{Scheme: "file", OmitHost: true, Path: strings.TrimPrefix(dsn, "sqlite:"), RawQuery: "_txlock=immediate"}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Ready(t.Context()); err != nil {
		t.Errorf("not ready before anything failed: %v", err)
	}
	c := journaltest.Story("acme", "run_1")[0]
	for range 2 {
		if err := j.Append(t.Context(), c); !errors.Is(err, orchestration.ErrUnavailable) {
			t.Errorf("append: got error %v", err)
		}
		if err := j.Ready(t.Context()); !errors.Is(err, orchestration.ErrUnavailable) {
			t.Errorf("ready: got error %v", err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	before := logSize(t, dsn)
	for range 2 {
		if err := j.Ready(t.Context()); err != nil {
			t.Errorf("not ready, though the storage has recovered: %v", err)
		}
	}
	// A page of 8 kB, and what the log puts before it; the second time nothing.
	if wrote := logSize(t, dsn) - before; wrote < 8<<10 || wrote >= 16<<10 {
		t.Errorf("Ready wrote %d bytes, want one page", wrote)
	}
	if err := j.Append(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func logSize(t *testing.T, dsn string) int64 {
	t.Helper()
	info, err := os.Stat(strings.TrimPrefix(dsn, "sqlite:") + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func pragma(t *testing.T, j journal.Journal, query string) {
	t.Helper()
	if err := journal.Do(t.Context(), j, func(c *sql.Conn) error {
		_, err := c.ExecContext(t.Context(), query)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
