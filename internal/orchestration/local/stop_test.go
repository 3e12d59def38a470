package local

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// told returns the types of a run's events, those of subtasks with their ids.
func told(t *testing.T, j journal.Journal, run string) string {
	events, err := j.Events(t.Context(), run, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, e := range events {
		types = append(types, strings.TrimSuffix(e.Type()+" "+e.Subtask, " "))
	}
	return strings.Join(types, ", ")
}

// Within the grace period calls end and are heard, and nothing new starts.
func TestStopLetsCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := drive(t, j, diligent)
		run := start(t, d)
		time.Sleep(1500 * time.Millisecond) // the plan is there; a and b are at work for half a second more
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		d.Stop(ctx)
		if took := time.Since(began); took != 500*time.Millisecond {
			t.Errorf("it stopped after %s", took)
		}
		if got := told(t, j, run); !strings.HasSuffix(got, "subtask.started a, subtask.started b, subtask.succeeded a, subtask.succeeded b") &&
			!strings.HasSuffix(got, "subtask.started a, subtask.started b, subtask.succeeded b, subtask.succeeded a") {
			t.Errorf("told: %s", got)
		}
		if _, err := d.Start(t.Context(), spec(), nil, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("a start after that: %v", err)
		}
		ends(t, j, run, diligent)
	})
}

// What outlasts the grace period is cut short, and made again under its key.
func TestStopCutsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := drive(t, j, diligent)
		run := start(t, d)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		d.Stop(ctx)
		if got := told(t, j, run); !strings.Contains(got, "subtask.retrying a") || !strings.Contains(got, "subtask.retrying b") {
			t.Errorf("told: %s", got)
		}
		var mu sync.Mutex
		keys := map[string]int{}
		ends(t, j, run, func(ctx context.Context, p orchestration.Performance) orchestration.Said {
			mu.Lock()
			keys[p.Command.Key()+" as "+orchestration.CallKey(p.Command)]++
			mu.Unlock()
			return diligent(ctx, p)
		})
		for _, key := range []string{"subtask/a/2 as subtask/a/1", "subtask/b/2 as subtask/b/1", "subtask/c/1 as subtask/c/1", "synthesis/1 as synthesis/1"} {
			if keys[key] != 1 {
				t.Errorf("%s %d times, of %v", key, keys[key], keys)
			}
		}
	})
}

// ends has another driver carry the run to its end.
func ends(t *testing.T, j journal.Journal, run string, a agentFunc) {
	t.Helper()
	next := drive(t, j, a)
	if err := next.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	synctest.Wait()
	if got := status(t, j, run); got != orchestration.StatusSucceeded {
		t.Errorf("the run is %s: %s", got, told(t, j, run))
	}
}

// A process that dies of a run again and again gives that one up in the end, and
// no other: not even those that were under way each time.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		poisonous := spec()
		poisonous.Task = "poison"
		var poison string
		var innocent []string
		lives := 0
		for ended := false; !ended; {
			if lives++; lives > 12 {
				t.Fatalf("the poison run is still there: %s", told(t, j, poison))
			}
			alive, die := context.WithCancel(t.Context())
			d := mortal(alive, t, j, func(ctx context.Context, p orchestration.Performance) orchestration.Said {
				if w, ok := p.Command.(orchestration.Work); ok && p.Spec.Task == "poison" && w.Subtask.ID == "a" {
					die()
				}
				return diligent(ctx, p)
			})
			if lives == 1 {
				row, err := d.Start(t.Context(), poisonous, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				poison = row.ID
				for range 3 {
					innocent = append(innocent, start(t, d))
				}
			} else if err := d.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			select {
			case <-alive.Done():
			case <-time.After(time.Minute):
			}
			d.Close()
			ended = status(t, j, poison).Ended()
		}
		if got := told(t, j, poison); !strings.HasSuffix(got, "run.failed") || strings.Count(got, "run.resumed") != 5 {
			t.Errorf("the poison run: %s", got)
		}
		for _, run := range innocent {
			ends(t, j, run, diligent)
		}
	})
}

// mortal returns a driver of a process that dies when alive ends: from then on
// nothing that it does reaches the journal.
func mortal(alive context.Context, t *testing.T, j journal.Journal, a agentFunc) *Driver {
	w := &wrapped{Journal: j, append: func(c orchestration.Commit) error {
		if alive.Err() != nil {
			return orchestration.ErrUnavailable
		}
		return j.Append(context.Background(), c)
	}}
	d := New(Options{Journal: w, Agent: a, Logger: zap.NewNop()})
	t.Cleanup(d.Close)
	return d
}

// What became durable while the driver was told to stop is not started any more,
// be it a run or what follows from an outcome.
func TestStopDuringAnAppend(t *testing.T) {
	for what, after := range map[string]time.Duration{"a run": 500 * time.Millisecond, "an outcome": 2500 * time.Millisecond} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := open(t)
				var late atomic.Int64
				stopping := make(chan struct{})
				d := drive(t, &wrapped{Journal: j, append: func(c orchestration.Commit) error {
					time.Sleep(time.Second)
					return j.Append(context.Background(), c)
				}}, func(ctx context.Context, p orchestration.Performance) orchestration.Said {
					select {
					case <-stopping:
						late.Add(1)
					default:
					}
					return diligent(ctx, p)
				})
				go func() { _, _ = d.Start(t.Context(), spec(), nil, nil) }()
				time.Sleep(after)
				close(stopping)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				d.Stop(ctx)
				if got := late.Load(); got > 0 {
					t.Errorf("%d calls were started", got)
				}
				rows, err := j.Unfinished(t.Context())
				if err != nil || len(rows) != 1 {
					t.Fatalf("%d runs, error %v", len(rows), err)
				}
				again := drive(t, j, diligent)
				if err := again.Resume(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if got := status(t, j, rows[0].ID); got != orchestration.StatusSucceeded {
					t.Errorf("the run is %s", got)
				}
			})
		})
	}
}
