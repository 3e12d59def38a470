package local

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// TestFenced has a second driver take a run over while the first one lives on: the
// first one lets go of it, and makes none of the second one's calls.
func TestFenced(t *testing.T) {
	for _, moved := range []bool{true, false} {
		t.Run(fmt.Sprintf("moved=%v", moved), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := open(t)
				var fenced atomic.Bool
				var calls atomic.Int64
				first := drive(t, &wrapped{Journal: j, append: func(c orchestration.Commit) error {
					if fenced.Load() {
						return orchestration.ErrConflict
					}
					return j.Append(context.Background(), c)
				}}, func(ctx context.Context, p orchestration.Performance) orchestration.Said {
					calls.Add(1)
					return diligent(ctx, p)
				})
				run := start(t, first)
				time.Sleep(1500 * time.Millisecond) // two calls are in flight
				fenced.Store(true)
				if moved {
					second := drive(t, j, diligent)
					if err := second.Resume(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := calls.Load(); got != 3 {
					t.Errorf("the driver that was fenced off made %d calls", got)
				}
				if err := first.Cancel(t.Context(), run, ""); !errors.Is(err, orchestration.ErrNotFound) {
					t.Errorf("a run that another driver holds: %v", err)
				}
				if got := status(t, j, run); moved && got != orchestration.StatusSucceeded {
					t.Errorf("the run is %s", got)
				}
			})
		})
	}
}
