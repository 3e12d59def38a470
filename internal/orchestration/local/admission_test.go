package local

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// admitting drives runs with bounds.
func admitting(t *testing.T, j Journal, a agentFunc, runs, queued int) *Driver {
	d := New(Options{Journal: j, Agent: a, Logger: zaptest.NewLogger(t), MaxRuns: runs, MaxQueued: queued})
	t.Cleanup(d.Close)
	return d
}

func startFor(t *testing.T, d *Driver, tenant string) string {
	s := spec()
	s.Tenant = tenant
	row, err := d.Start(t.Context(), s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return row.ID
}

func wantRefused(t *testing.T, d *Driver) {
	t.Helper()
	if err := d.Room(); !errors.Is(err, orchestration.ErrOverloaded) {
		t.Errorf("there is room: %v", err)
	}
	if _, err := d.Start(t.Context(), spec(), nil, nil); !errors.Is(err, orchestration.ErrOverloaded) {
		t.Errorf("one run too many was not refused: %v", err)
	}
}

// Two runs begin, three queue, the sixth is refused; what was accepted ends,
// and then there is room again.
func TestRunsQueueAndAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := admitting(t, j, diligent, 2, 3)
		var ids []string
		for range 5 {
			if err := d.Room(); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, start(t, d))
		}
		wantRefused(t, d)
		if d.Queued() != 3 {
			t.Errorf("%d runs queue, want 3", d.Queued())
		}
		var got []orchestration.Status
		for _, id := range ids {
			got = append(got, status(t, j, id))
		}
		const r, q = orchestration.StatusRunning, orchestration.StatusQueued
		if !slices.Equal(got, []orchestration.Status{r, r, q, q, q}) {
			t.Errorf("they are %v", got)
		}

		if err := d.Cancel(t.Context(), ids[4], ""); err != nil { // it leaves its place
			t.Fatal(err)
		}
		synctest.Wait()
		if got := status(t, j, ids[4]); got != orchestration.StatusCanceled || d.Queued() != 2 {
			t.Errorf("the one that was canceled is %s, and %d queue", got, d.Queued())
		}
		ids[4] = start(t, d)
		wantRefused(t, d)

		time.Sleep(time.Minute)
		synctest.Wait()
		for _, id := range ids {
			if got := status(t, j, id); got != orchestration.StatusSucceeded {
				t.Errorf("an accepted run is %s", got)
			}
		}
		if err := d.Room(); err != nil || d.Queued() != 0 {
			t.Errorf("after all have ended: %v, %d queue", err, d.Queued())
		}
	})
}

// A tenant with many runs in the queue does not keep another one's waiting.
func TestTheQueueGoesRoundTheTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := admitting(t, open(t), diligent, 1, 100)
		for range 20 {
			startFor(t, d, "many")
		}
		few := startFor(t, d, "few")
		time.Sleep(9 * time.Second) // a run takes four
		synctest.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.runs[few] == nil {
			t.Error("the other tenant's only run still queues")
		}
	})
}

// A run that the journal did not take gives its room back.
func TestRoomOfARunThatIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		var away atomic.Bool
		d := admitting(t, &wrapped{j, func(c orchestration.Commit) error {
			if away.Load() {
				return orchestration.ErrUnavailable
			}
			return j.Append(context.Background(), c)
		}}, diligent, 1, 1)
		fail := func() {
			away.Store(true)
			defer away.Store(false)
			for range 3 {
				if _, err := d.Start(t.Context(), spec(), nil, nil); !errors.Is(err, orchestration.ErrUnavailable) {
					t.Errorf("got %v", err)
				}
			}
		}
		fail()
		start(t, d)
		fail()
		start(t, d)
		wantRefused(t, d)
	})
}

// What queued when the process went away is there again, and nothing is
// refused for it.
func TestQueuedRunsOutliveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		first := admitting(t, j, diligent, 1, 10)
		ids := []string{start(t, first), start(t, first), start(t, first)}
		first.Close()
		second := admitting(t, j, diligent, 1, 10)
		if err := second.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, id := range ids {
			if got := status(t, j, id); got != orchestration.StatusSucceeded {
				t.Errorf("a run is %s", got)
			}
		}
	})
}

func TestNoRoomWhileSheddingAndOnceStopped(t *testing.T) {
	var high atomic.Bool
	j, err := journal.Open(t.Context(), "mem:", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	d := New(Options{Journal: j, Agent: agentFunc(diligent), Logger: zaptest.NewLogger(t), Shed: high.Load})
	high.Store(true)
	wantRefused(t, d)
	high.Store(false)
	if err := d.Room(); err != nil {
		t.Error(err)
	}
	d.Close()
	if err := d.Room(); !errors.Is(err, ErrClosed) {
		t.Errorf("once stopped: %v", err)
	}
}
