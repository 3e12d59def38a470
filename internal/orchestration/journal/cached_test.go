package journal_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

// eighth is as much as one row may have.
const eighth = journaltest.CacheBytes / 8

// caching returns the first commit of a run that adds so many bytes to the cache,
// under the run's id.
func caching(run string, bytes int) orchestration.Commit {
	c := journaltest.Story("acme", run)[0]
	c.Cached = []orchestration.Cached{{
		Tenant: "acme", Key: run, Output: strings.Repeat("x", bytes-len("acme")-len(run)), Expires: journaltest.Epoch.Add(time.Hour),
	}}
	return c
}

func wantInCache(t *testing.T, j journal.Journal, want bool, runs ...string) {
	t.Helper()
	for _, run := range runs {
		if _, ok, err := j.Cached(t.Context(), "acme", run, journaltest.Epoch); ok != want || err != nil {
			t.Errorf("%s in the cache: %v, error %v", run, ok, err)
		}
	}
}

// The next process counts what there is, and a smaller bound holds from the next
// row on.
func TestReopenCached(t *testing.T) {
	dsn := newFile(t)
	var runs []string
	fill := func(bound int64, n, bytes int) {
		j := openWith(t, dsn, journal.Options{CacheBytes: bound})
		for range n {
			run := fmt.Sprint("run_", len(runs))
			if err := j.Append(t.Context(), caching(run, bytes)); err != nil {
				t.Fatal(err)
			}
			runs = append(runs, run)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	fill(journaltest.CacheBytes, 8, eighth)
	fill(journaltest.CacheBytes, 1, eighth)
	fill(0, 1, eighth) // keeps nothing more
	j := open(t, dsn)
	wantInCache(t, j, false, runs[0], runs[9])
	wantInCache(t, j, true, runs[1:9]...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	fill(journaltest.CacheBytes/2, 1, 100)
	j = open(t, dsn)
	wantInCache(t, j, false, runs[:6]...)
	wantInCache(t, j, true, runs[6], runs[7], runs[8], runs[10])
}

// What a transaction that failed had added takes no room.
func TestCacheForgetsWhatFailed(t *testing.T) {
	j := openWith(t, newFile(t), journal.Options{CacheBytes: journaltest.CacheBytes})
	var runs []string
	for i := range 7 {
		runs = append(runs, fmt.Sprint("run_", i))
		if err := j.Append(t.Context(), caching(runs[i], eighth)); err != nil {
			t.Fatal(err)
		}
	}
	entered, release := hold(t, j)
	<-entered
	lost := appending(t.Context(), j, caching("run_lost", eighth))
	before := journal.Queued(j)
	entered, fail := hold(t, j)
	queuedMore(j, before)
	release(nil)
	<-entered
	fail(errors.New("the disk is broken"))
	if err := <-lost; !errors.Is(err, orchestration.ErrUnavailable) {
		t.Fatalf("append: got error %v", err)
	}
	wantInCache(t, j, false, "run_lost")
	if err := j.Append(t.Context(), caching("run_7", eighth)); err != nil {
		t.Fatal(err)
	}
	wantInCache(t, j, true, append(runs, "run_7")...)
}
