package local

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// startWith starts a run whose first commands are changed.
func startWith(t *testing.T, d *Driver, j journal.Journal, s *orchestration.Spec, edit func([]orchestration.Command) []orchestration.Command) string {
	t.Helper()
	run := orchestration.New(orchestration.Funcs{})
	events, commands, err := run.Step(d.input(orchestration.Start{ID: newID(), Spec: s}))
	if err == nil {
		err = j.Append(t.Context(), commitOf(run, events, orchestration.Commit{}))
	}
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begun++
	d.of[s.Tenant]++
	d.launch(&loop{id: run.ID, tenant: s.Tenant, run: run, commands: edit(commands)})
	return run.ID
}

var undo = orchestration.Compensate{Subtask: "a", Attempt: 1, Tool: "delete"}

// compensating performs Compensate in five seconds, and notes how each ended. Its
// other calls end two seconds after they are told to.
type compensating struct {
	mu    sync.Mutex
	ended []string
}

func (c *compensating) Perform(ctx context.Context, p orchestration.Performance) orchestration.Said {
	if _, ok := p.Command.(orchestration.Compensate); !ok {
		<-ctx.Done()
		time.Sleep(2 * time.Second)
		return lost(p.Command)
	}
	end, said := "done", orchestration.Said(orchestration.Compensated{Subtask: undo.Subtask, Attempt: undo.Attempt})
	select {
	case <-time.After(5 * time.Second):
	case <-ctx.Done():
		end, said = "cut short", lost(p.Command)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, p.Command.Key()+" "+end)
	return said
}

func (c *compensating) want(t *testing.T, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.ended, want) {
		t.Errorf("ended: %q, want %q", c.ended, want)
	}
}

// A run that is canceled has its calls aborted, and its compensations go on.
func TestCompensationsAreNotAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, agent := open(t), new(compensating)
		d := drive(t, j, agent.Perform)
		run := startWith(t, d, j, spec(), func(c []orchestration.Command) []orchestration.Command { return append(c, undo) })
		time.Sleep(4 * time.Second)
		if err := d.Cancel(t.Context(), run, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := status(t, j, run); got != orchestration.StatusCanceling {
			t.Errorf("the run is %s", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		agent.want(t, "compensation/a/1 done")
		time.Sleep(time.Second)
		synctest.Wait()
		if got := status(t, j, run); got != orchestration.StatusCanceled {
			t.Errorf("the run is %s", got)
		}
	})
}

// A process that stops lets compensations end in the grace period, and starts none.
func TestStopLetsCompensationsEnd(t *testing.T) {
	for grace, want := range map[time.Duration]string{time.Minute: "done", time.Second: "cut short"} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j, agent := open(t), new(compensating)
				d := drive(t, j, agent.Perform)
				run := startWith(t, d, j, spec(), func([]orchestration.Command) []orchestration.Command { return []orchestration.Command{undo} })
				synctest.Wait()
				l := d.runs[run]
				ctx, cancel := context.WithTimeout(t.Context(), grace)
				defer cancel()
				d.Stop(ctx)
				agent.want(t, "compensation/a/1 "+want)
				l.perform(undo)
				if len(l.calls) > 0 {
					t.Error("it is begun while the process stops")
				}
			})
		})
	}
}

// What a process that stops does not hear. A compensation that failed is heard: it
// was not cut short.
func TestPostponed(t *testing.T) {
	failed := orchestration.Compensated{Failure: &orchestration.Failure{Code: orchestration.CodeToolFailed}}
	for _, tc := range []struct {
		h    heard
		want bool
	}{
		{heard{said: orchestration.Due{}}, true},
		{heard{said: refused, answer: make(chan error, 1)}, true},
		{heard{said: lost(undo)}, true},
		{heard{said: failed}, false},
		{heard{said: orchestration.Compensated{}}, false},
		{heard{said: lost(orchestration.MakePlan{})}, false},
		{heard{said: taken}, false},
	} {
		if got := tc.h.postponed(); got != tc.want {
			t.Errorf("%T: %v", tc.h.said, got)
		}
	}
}

// A timer may be set for a time that is days away, and set anew, for later.
func TestTimersOfDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := drive(t, j, silent)
		const day = 24 * time.Hour
		patient := spec()
		patient.Limits.Timeout = 30 * day
		run := startWith(t, d, j, patient, func(commands []orchestration.Command) []orchestration.Command {
			for _, c := range slices.Clone(commands) {
				if timer, ok := c.(orchestration.SetTimer); ok {
					timer.At = timer.At.Add(30 * day)
					commands = append(commands, timer)
				}
			}
			return commands
		})
		time.Sleep(60*day - time.Second)
		synctest.Wait()
		if got := status(t, j, run); got != orchestration.StatusRunning {
			t.Errorf("before its time the run is %s", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := status(t, j, run); got != orchestration.StatusFailed {
			t.Errorf("when its time is over the run is %s", got)
		}
	})
}
