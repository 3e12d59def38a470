package local

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// TestCancelSuspect cancels runs that wait to be tried out, as the process may
// have died of one of them: they end, and their calls are not made again.
func TestCancelSuspect(t *testing.T) {
	for other := range 3 { // the one that is not ending: in one case it is tried out first
		t.Run(fmt.Sprint(other), func(t *testing.T) { cancelSuspects(t, other) })
	}
}

func cancelSuspects(t *testing.T, other int) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		var calls, died atomic.Int64
		never := func(ctx context.Context, p orchestration.Performance) orchestration.Said {
			calls.Add(1)
			<-ctx.Done()
			time.Sleep(time.Second)
			return lost(p.Command)
		}
		var runs []string
		for life := range int64(2) {
			d := drive(t, &wrapped{Journal: j, append: func(c orchestration.Commit) error {
				if died.Load() > life {
					return fmt.Errorf("died: %w", orchestration.ErrUnavailable)
				}
				return j.Append(context.Background(), c)
			}}, never)
			if err := d.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			if life == 0 {
				runs = append(runs, start(t, d), start(t, d), start(t, d))
			}
			if life == 1 { // the others are ending when the process dies
				for i, run := range runs {
					if i == other {
						continue
					}
					if err := d.Cancel(t.Context(), run, "enough"); err != nil {
						t.Fatal(err)
					}
				}
			}
			synctest.Wait()
			died.Store(life + 1)
			d.Close()
		}
		calls.Store(0)
		d := New(Options{Journal: j, Agent: agentFunc(never), Logger: zaptest.NewLogger(t), Random: func() float64 { return 0 }})
		t.Cleanup(d.Close)
		if err := d.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, run := range runs {
			if err := d.Cancel(t.Context(), run, "enough"); err != nil && status(t, j, run) != orchestration.StatusCanceled {
				t.Errorf("cancel of %s: %v", run, err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, run := range runs {
			if got := status(t, j, run); got != orchestration.StatusCanceled {
				t.Errorf("%s is %s", run, got)
			}
		}
		if got := calls.Load(); got > 1 {
			t.Errorf("%d calls were made of runs that were given up, but one, before their turn", got)
		}
	})
}
