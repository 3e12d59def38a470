package local

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An agentFunc is an Agent.
type agentFunc func(ctx context.Context, p orchestration.Performance) orchestration.Said

func (f agentFunc) Perform(ctx context.Context, p orchestration.Performance) orchestration.Said {
	return f(ctx, p)
}

// diligent performs everything in a second, at its first attempt, unless it is
// canceled.
func diligent(ctx context.Context, p orchestration.Performance) orchestration.Said {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return lost(p.Command)
	}
	switch c := p.Command.(type) {
	case orchestration.MakePlan:
		return orchestration.Planned{Attempt: c.Attempt, Plan: orchestration.Plan{Subtasks: []orchestration.Subtask{
			{ID: "a", Description: "one"}, {ID: "b", Description: "two"}, {ID: "c", Description: "three", DependsOn: []string{"a", "b"}},
		}}}
	case orchestration.Work:
		return orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Output: "done " + c.Subtask.ID}
	case orchestration.Synthesize:
		return orchestration.Synthesized{Attempt: c.Attempt, Output: "all done"}
	}
	return nil
}

// A wrapped journal lets a test stand between the driver and the journal.
type wrapped struct {
	journal.Journal
	append func(c orchestration.Commit) error // in place of Append
}

func (w *wrapped) Append(_ context.Context, c orchestration.Commit) error { return w.append(c) }

// leaving returns a journal whose storage is away for appends while the flag says so.
func leaving(j journal.Journal) (*wrapped, *atomic.Bool) {
	away := new(atomic.Bool)
	return &wrapped{Journal: j, append: func(c orchestration.Commit) error {
		if away.Load() {
			return fmt.Errorf("disk full: %w", orchestration.ErrUnavailable)
		}
		return j.Append(context.Background(), c)
	}}, away
}

func open(t *testing.T) journal.Journal {
	j, err := journal.Open(t.Context(), "mem:", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func drive(t *testing.T, j Journal, a agentFunc) *Driver {
	d := New(Options{Journal: j, Agent: a, Logger: zaptest.NewLogger(t)})
	t.Cleanup(d.Close)
	return d
}

func spec() *orchestration.Spec {
	return &orchestration.Spec{
		Format: orchestration.SpecFormat, Tenant: "default", Task: "the task",
		Synthesizer: orchestration.Synthesizer{Mode: orchestration.SynthesizeModel},
		Limits: orchestration.Limits{
			MaxConcurrency: 10, Timeout: 10 * time.Minute, MaxAttempts: 3, MaxSubtasks: 100, MaxOutputBytes: 1 << 20,
		},
	}
}

func start(t *testing.T, d *Driver) string {
	row, err := d.Start(t.Context(), spec(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return row.ID
}

func status(t *testing.T, j journal.Journal, run string) orchestration.Status {
	row, err := j.Row(t.Context(), "default", run)
	if err != nil {
		t.Fatal(err)
	}
	return row.Status
}

func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := drive(t, j, diligent)
		began := time.Now()
		run := start(t, d)
		time.Sleep(3900 * time.Millisecond)
		synctest.Wait()
		if got := status(t, j, run); got != orchestration.StatusRunning {
			t.Errorf("before the synthesis can have ended the run is %s", got)
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if got := status(t, j, run); got != orchestration.StatusSucceeded {
			t.Errorf("%s after its start, four calls in series of a second each, the run is %s", time.Since(began), got)
		}
	})
}

// Every call knows when the run's time is up.
func TestCallsKnowTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, want := open(t), time.Now().Add(10*time.Minute)
		var calls atomic.Int32
		d := drive(t, j, func(ctx context.Context, p orchestration.Performance) orchestration.Said {
			calls.Add(1)
			if !p.Deadline.Equal(want) {
				t.Errorf("%s has until %v, want %v", p.Command.Key(), p.Deadline, want)
			}
			return diligent(ctx, p)
		})
		start(t, d)
		time.Sleep(time.Minute)
		if calls.Load() != 5 {
			t.Errorf("%d calls", calls.Load())
		}
	})
}

// TestDurableFirst holds back every append: nothing may start, and Start may not
// return, before it is let through.
func TestDurableFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		const appendTakes = time.Minute
		var durable atomic.Int64 // the last seq that is
		slow := &wrapped{Journal: j}
		slow.append = func(c orchestration.Commit) error {
			time.Sleep(appendTakes)
			err := j.Append(context.Background(), c)
			durable.Store(c.Row.Seq)
			return err
		}
		d := drive(t, slow, func(ctx context.Context, p orchestration.Performance) orchestration.Said {
			events, err := j.Events(context.Background(), p.Run, 0, 0)
			if err != nil {
				t.Error(err)
			}
			if !begun(events, p.Command) {
				t.Errorf("%s was started before that was durable", p.Command.Key())
			}
			return diligent(ctx, p)
		})
		began := time.Now()
		run := start(t, d)
		if time.Since(began) < appendTakes || durable.Load() == 0 {
			t.Error("Start returned before the run was durable")
		}
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if got := status(t, j, run); got != orchestration.StatusSucceeded {
			t.Errorf("the run is %s", got)
		}
	})
}

// begun reports whether the journal says that what c asks for has started.
func begun(events []orchestration.Event, c orchestration.Command) bool {
	for _, e := range events {
		switch c := c.(type) {
		case orchestration.MakePlan:
			if e.Type() == "plan.started" && e.Attempt == c.Attempt {
				return true
			}
		case orchestration.Work:
			if e.Type() == "subtask.started" && e.Subtask == c.Subtask.ID && e.Attempt == c.Attempt {
				return true
			}
		case orchestration.Synthesize:
			if e.Type() == "synthesis.started" && e.Attempt == c.Attempt {
				return true
			}
		}
	}
	return false
}

// TestResume closes the driver in the middle of a run, at every tenth of a
// second of it: another driver ends the run and calls nothing again that ended
// in the journal.
func TestResume(t *testing.T) {
	for tenths := range 40 {
		t.Run(fmt.Sprint(tenths), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := open(t)
				first := drive(t, j, diligent)
				run := start(t, first)
				time.Sleep(time.Duration(tenths)*100*time.Millisecond + time.Millisecond)
				synctest.Wait()
				first.Close()

				before, err := j.Events(t.Context(), run, 0, 0)
				if err != nil {
					t.Fatal(err)
				}
				ended := map[string]bool{}
				for _, e := range before {
					if e.Type() == "subtask.succeeded" {
						ended[e.Subtask] = true
					}
				}
				second := drive(t, j, func(ctx context.Context, p orchestration.Performance) orchestration.Said {
					if w, ok := p.Command.(orchestration.Work); ok && ended[w.Subtask.ID] {
						t.Errorf("%s was called again", w.Key())
					}
					return diligent(ctx, p)
				})
				if err := second.Resume(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if got := status(t, j, run); got != orchestration.StatusSucceeded {
					t.Errorf("the run is %s", got)
				}
			})
		})
	}
}

// TestStorageAway has the journal fail for a while: the run goes on by itself.
func TestStorageAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		flaky, away := leaving(j)
		d := drive(t, flaky, diligent)
		run := start(t, d)
		away.Store(true)
		if _, err := d.Start(t.Context(), spec(), nil, nil); !errors.Is(err, orchestration.ErrUnavailable) {
			t.Errorf("a new run was taken while the journal was away: %v", err)
		}
		time.Sleep(time.Hour)
		away.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		// The hour counts: the run's timeout is ten minutes.
		if got := status(t, j, run); got != orchestration.StatusFailed {
			t.Errorf("the run is %s", got)
		}
	})
}

// TestConflict has an append be durable and yet fail, and the next one meet the
// fence: the run is folded anew and goes on, and each event is told of once.
func TestConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		var appends atomic.Int64
		twice := &wrapped{Journal: j}
		twice.append = func(c orchestration.Commit) error {
			err := j.Append(context.Background(), c)
			if appends.Add(1) == 2 && err == nil {
				return fmt.Errorf("the answer was lost: %w", orchestration.ErrUnavailable)
			}
			return err
		}
		var told []int64
		d := New(Options{
			Journal: twice, Agent: agentFunc(diligent), Logger: zaptest.NewLogger(t),
			Appended: func(_ *orchestration.Run, events []orchestration.Event) {
				for _, e := range events {
					told = append(told, e.Seq)
				}
			},
		})
		t.Cleanup(d.Close)
		run := start(t, d)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := status(t, j, run); got != orchestration.StatusSucceeded {
			t.Errorf("the run is %s", got)
		}
		for i, seq := range told {
			if seq != int64(i)+1 {
				t.Fatalf("told of %v", told)
			}
		}
		if row, err := j.Row(t.Context(), "default", run); err != nil || row.Seq != int64(len(told)) {
			t.Errorf("told of %d events of %d, error %v", len(told), row.Seq, err)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		var inFlight atomic.Int64
		d := drive(t, j, func(ctx context.Context, p orchestration.Performance) orchestration.Said {
			inFlight.Add(1)
			defer inFlight.Add(-1)
			return diligent(ctx, p)
		})
		run := start(t, d)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if got := inFlight.Load(); got != 2 {
			t.Fatalf("%d calls are in flight", got)
		}
		if err := d.Cancel(t.Context(), run, "enough"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := inFlight.Load(); got != 0 {
			t.Errorf("%d calls are in flight after the cancel", got)
		}
		if got := status(t, j, run); got != orchestration.StatusCanceled {
			t.Errorf("the run is %s", got)
		}
		if err := d.Cancel(t.Context(), run, "again"); !errors.Is(err, orchestration.ErrNotFound) {
			t.Errorf("a second cancel of an ended run: %v", err)
		}
	})
}

// TestCancelAcrossRestart closes the driver between the cancel and the end of
// the calls: the next driver knows of no calls, and ends the run.
func TestCancelAcrossRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		release := make(chan struct{})
		first := drive(t, j, func(_ context.Context, p orchestration.Performance) orchestration.Said {
			<-release // heedless of its context
			return lost(p.Command)
		})
		run := start(t, first)
		if err := first.Cancel(t.Context(), run, "enough"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := status(t, j, run); got != orchestration.StatusCanceling {
			t.Errorf("while a call is still in flight the run is %s", got)
		}
		closed := sync.WaitGroup{}
		closed.Go(first.Close)
		synctest.Wait()
		close(release)
		closed.Wait()

		second := drive(t, j, diligent)
		if err := second.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := status(t, j, run); got != orchestration.StatusCanceled {
			t.Errorf("the run is %s", got)
		}
	})
}

// TestTimeout lets a run's timeout pass while its process is down.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		never := func(ctx context.Context, p orchestration.Performance) orchestration.Said {
			<-ctx.Done()
			return lost(p.Command)
		}
		first := drive(t, j, never)
		run := start(t, first)
		time.Sleep(time.Minute)
		first.Close()
		time.Sleep(time.Hour)
		second := drive(t, j, never)
		if err := second.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := status(t, j, run); got != orchestration.StatusFailed {
			t.Errorf("the run is %s", got)
		}
	})
}

func TestDeltas(t *testing.T) {
	for name, test := range map[string]struct {
		asked bool // as the run starts
		after time.Duration
		heard int
	}{
		"asked for as it starts":      {true, 0, 5},
		"asked for in the first call": {false, 500 * time.Millisecond, 4},
		"asked for, and never read":   {true, time.Hour, 0},
		"asked for in the last call":  {false, 3800 * time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := drive(t, open(t), func(ctx context.Context, p orchestration.Performance) orchestration.Said {
					if p.Deltas != nil {
						time.Sleep(100 * time.Millisecond)
						p.Deltas(orchestration.Delta{Run: p.Run, Text: p.Command.Key()})
					}
					return diligent(ctx, p)
				})
				s := spec()
				s.Deltas = test.asked
				row, err := d.Start(t.Context(), s, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(test.after)
				var mu sync.Mutex
				var heard []string
				stop := d.Deltas(row.ID, func(delta orchestration.Delta) {
					mu.Lock()
					defer mu.Unlock()
					heard = append(heard, delta.Text)
				})
				time.Sleep(90 * time.Second)
				stop()
				if got := len(heard); got != test.heard {
					t.Errorf("heard of %q", heard)
				}
			})
		})
	}
}
