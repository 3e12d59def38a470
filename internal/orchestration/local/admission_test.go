package local

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// narrow returns a driver that begins one run at a time and has two queue.
func narrow(t *testing.T, j Journal, a agentFunc) *Driver {
	d := New(Options{Journal: j, Agent: a, Logger: zaptest.NewLogger(t), MaxRuns: 1, MaxQueued: 2})
	t.Cleanup(d.Close)
	return d
}

func TestRunsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := narrow(t, j, diligent)
		first, second, third := start(t, d), start(t, d), start(t, d)
		if _, err := d.Start(t.Context(), spec(), nil, nil); !errors.Is(err, orchestration.ErrOverloaded) || !errors.Is(d.Room("default"), orchestration.ErrOverloaded) {
			t.Errorf("a fourth run: %v; room: %v", err, d.Room("default"))
		}
		if status(t, j, first) != orchestration.StatusRunning || status(t, j, second) != orchestration.StatusQueued {
			t.Error("the second run does not queue")
		}
		time.Sleep(5 * time.Second) // a run takes four
		synctest.Wait()
		if status(t, j, first) != orchestration.StatusSucceeded || status(t, j, second) != orchestration.StatusRunning || status(t, j, third) != orchestration.StatusQueued {
			t.Error("the second run has not begun when the first one ended, or the third has")
		}
		start(t, d)
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if d.Queued() != 0 || status(t, j, third) != orchestration.StatusSucceeded {
			t.Error("the queue stands still")
		}
	})
}

// A tenant with many runs does not keep another one waiting for all of them.
func TestTheQueueGoesRoundTheTenants(t *testing.T) {
	var q queue
	for i := range 3 {
		q.join("a", fmt.Sprintf("a%d", i))
	}
	q.join("b", "b0")
	q.join("b", "b1")
	_, first := q.leave("a1")
	if _, again := q.leave("a1"); !first || again {
		t.Error("a run leaves once")
	}
	var order []string
	for _, run, ok := q.next(); ok; _, run, ok = q.next() {
		order = append(order, run)
	}
	if got := fmt.Sprint(order); got != "[a0 b0 a2 b1]" || q.size != 0 {
		t.Errorf("%s, size %d", got, q.size)
	}
}

func TestAQueuedRunIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := narrow(t, j, diligent)
		start(t, d)
		queued := start(t, d)
		if err := d.Cancel(t.Context(), queued, "not wanted"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := status(t, j, queued); got != orchestration.StatusCanceled {
			t.Errorf("the run is %s", got)
		}
		if err := d.Cancel(t.Context(), queued, ""); !errors.Is(err, orchestration.ErrNotFound) {
			t.Errorf("canceled twice: %v", err)
		}
	})
}

func TestQueuedRunsOutliveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		first := narrow(t, j, diligent)
		runs := []string{start(t, first), start(t, first), start(t, first)}
		first.Close()
		second := narrow(t, j, diligent)
		if err := second.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		for _, run := range runs {
			if got := status(t, j, run); got != orchestration.StatusSucceeded {
				t.Errorf("a run is %s", got)
			}
		}
	})
}

// A tenant's runs are counted until they end, across restarts too.
func TestATenantHasItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		options := Options{Journal: j, Agent: agentFunc(diligent), Logger: zaptest.NewLogger(t), MaxRuns: 1, MaxQueued: 9, MaxRunsOf: func(tenant string) int {
			return map[string]int{"default": 2}[tenant]
		}}
		d := New(options)
		start(t, d)
		start(t, d)
		full := func(d *Driver) {
			t.Helper()
			if _, err := d.Start(t.Context(), spec(), nil, nil); !errors.Is(err, orchestration.ErrTooManyRuns) {
				t.Errorf("one too many: %v", err)
			}
			if err := d.Room("default"); !errors.Is(err, orchestration.ErrTooManyRuns) || d.Room("other") != nil {
				t.Errorf("room: %v, another tenant's %v", err, d.Room("other"))
			}
		}
		full(d)
		other := spec()
		other.Tenant = "other"
		if _, err := d.Start(t.Context(), other, nil, nil); err != nil {
			t.Errorf("another tenant's: %v", err)
		}
		d.Close()
		d = New(options)
		t.Cleanup(d.Close)
		if err := d.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		full(d)
		time.Sleep(time.Minute)
		synctest.Wait()
		start(t, d)
		start(t, d)
		full(d)
	})
}

func TestNothingStartsWhereMemoryIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		short := true
		d := New(Options{Journal: open(t), Agent: agentFunc(diligent), Logger: zaptest.NewLogger(t), Shed: func() bool { return short }})
		t.Cleanup(d.Close)
		if _, err := d.Start(t.Context(), spec(), nil, nil); !errors.Is(err, orchestration.ErrOverloaded) {
			t.Errorf("started: %v", err)
		}
		short = false
		start(t, d)
	})
}

// A start that fails gives its room back.
func TestARefusedStartLeavesItsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		broken := &wrapped{Journal: j, append: func(orchestration.Commit) error { return errors.New("no") }}
		d := narrow(t, broken, diligent)
		for range 10 {
			if _, err := d.Start(t.Context(), spec(), nil, nil); err == nil || errors.Is(err, orchestration.ErrOverloaded) {
				t.Fatalf("got %v", err)
			}
		}
		broken.append = func(c orchestration.Commit) error { return j.Append(context.Background(), c) }
		if got := status(t, j, start(t, d)); got != orchestration.StatusRunning {
			t.Errorf("the run is %s", got)
		}
	})
}

// A run that waits for a person gives its place to one that queues, and takes one
// again when it goes on, though there is none.
func TestAWaitingRunTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := narrow(t, j, silent)
		want := func(what string, begun, queued int) {
			t.Helper()
			synctest.Wait()
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.begun != begun || d.queue.size != queued {
				t.Errorf("%s: %d have a place and %d queue, want %d and %d", what, d.begun, d.queue.size, begun, queued)
			}
		}
		first, second, third := start(t, d), start(t, d), start(t, d)
		want("at first", 1, 2)
		// The loops are idle: the test acts in their place.
		is := func(run string, status orchestration.Status) {
			d.runs[run].run.Status = status
			d.runs[run].keepPlace()
			d.runs[run].keepPlace()
		}
		is(first, orchestration.StatusWaiting)
		want("one waits", 1, 1)
		if got := status(t, j, second); got != orchestration.StatusRunning {
			t.Errorf("the second run is %s", got)
		}
		is(first, orchestration.StatusRunning)
		want("it goes on", 2, 1)
		is(first, orchestration.StatusWaiting)
		want("it waits again", 1, 1)
		if err := d.Cancel(t.Context(), second, ""); err != nil {
			t.Fatal(err)
		}
		want("the second one has ended", 1, 0)
		is(third, orchestration.StatusWaiting)
		want("all wait", 0, 0)
		start(t, d)
		want("another one", 1, 0)
		d.Close()
		want("closed", 0, 0)
	})
}
