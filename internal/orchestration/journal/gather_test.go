package journal_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

// After writes that shared a transaction the next one waits for as many more, and for
// a moment at most; who writes alone waits for nobody.
func TestGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, newFile(t))
		one, two := journaltest.Story("acme", "run_1"), journaltest.Story("acme", "run_2")
		next := func(of *[]orchestration.Commit) orchestration.Commit {
			c := (*of)[0]
			*of = (*of)[1:]
			return c
		}
		// appendAll returns how long it took until all were durable.
		appendAll := func(commits ...orchestration.Commit) time.Duration {
			began := time.Now()
			var appended sync.WaitGroup
			for _, c := range commits {
				appended.Go(func() {
					if err := j.Append(t.Context(), c); err != nil {
						t.Error(err)
					}
				})
			}
			appended.Wait()
			return time.Since(began)
		}
		share := func() {
			entered, release := hold(t, j)
			<-entered
			first, second := appending(t.Context(), j, next(&one)), appending(t.Context(), j, next(&two))
			release(nil)
			<-first
			<-second
		}
		for _, try := range []struct {
			what   string
			before func()
			append func() time.Duration
			want   time.Duration
		}{
			{"alone, at first", func() {}, func() time.Duration { return appendAll(next(&one)) }, 0},
			{"alone, after one alone", func() {}, func() time.Duration { return appendAll(next(&one)) }, 0},
			{"two, after two together", share, func() time.Duration { return appendAll(next(&one), next(&two)) }, 0},
			{"alone, soon after two together", share, func() time.Duration { return appendAll(next(&one)) }, journal.CommitDelay},
			{"alone, after that", func() {}, func() time.Duration { return appendAll(next(&one)) }, 0},
			{"alone, long after two together", func() { share(); time.Sleep(time.Second) }, func() time.Duration { return appendAll(next(&one)) }, 0},
		} {
			try.before()
			if got := try.append(); got != try.want {
				t.Errorf("%s: took %v, want %v", try.what, got, try.want)
			}
		}
	})
}

// What came while a shared transaction was written waits for those who are told
// of it then: theirs are the next writes.
func TestGatherMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, newFile(t))
		first := func(run string) <-chan error { return appending(t.Context(), j, journaltest.Story("acme", run)[0]) }
		entered, release := hold(t, j)
		<-entered
		told := first("run_1")
		before := journal.Queued(j)
		entered, commit := hold(t, j)
		queuedMore(j, before)
		release(nil)
		<-entered // in one transaction with run_1
		meanwhile := []<-chan error{first("run_2"), first("run_3")}
		began := time.Now()
		commit(nil)
		for _, appended := range append(meanwhile, told) {
			if err := <-appended; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took != journal.CommitDelay {
			t.Errorf("took %v, want %v", took, journal.CommitDelay)
		}
	})
}
