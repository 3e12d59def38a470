package local

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// An outcome that no journal takes is not asked for, and paid for, without end: the
// run is given up, or left where not even that can be written.
func TestAnOutcomeThatCannotBeKept(t *testing.T) {
	for refused, want := range map[string]orchestration.Status{
		"subtask.succeeded": orchestration.StatusFailed, "run.canceling": orchestration.StatusRunning, "subtask.canceled": orchestration.StatusCanceling,
	} {
		t.Run(refused, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := open(t)
				var calls atomic.Int64
				d := New(Options{Logger: zap.NewNop(), Journal: &wrapped{Journal: j, append: func(c orchestration.Commit) error {
					if slices.ContainsFunc(c.Events, func(e orchestration.Event) bool {
						return e.Type() == "subtask.succeeded" || e.Type() == refused && e.Subtask != "c"
					}) {
						return errors.New("malformed")
					}
					return j.Append(context.Background(), c)
				}}, Agent: agentFunc(func(ctx context.Context, p orchestration.Performance) orchestration.Said {
					calls.Add(1)
					return diligent(ctx, p)
				})})
				t.Cleanup(d.Close)
				run := start(t, d)
				if refused == "subtask.canceled" {
					time.Sleep(1500 * time.Millisecond)
					if err := d.Cancel(t.Context(), run, ""); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if got := calls.Load(); got > 5 {
					t.Errorf("%d calls were made", got)
				}
				if got := status(t, j, run); got != want {
					t.Errorf("the run is %s: %s", got, told(t, j, run))
				}
				if len(d.runs) > 0 || d.begun > 0 {
					t.Error("it has not let go of the run")
				}
			})
		})
	}
}
