package local

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A run is known to others from when it is durable, which is before its start has
// returned: who cancels it then, or decides, finds it, whether it begins or queues.
func TestARunThatIsBeingStarted(t *testing.T) {
	for _, queued := range []bool{false, true} {
		t.Run(fmt.Sprintf("queued=%v", queued), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j, slow, run := open(t), false, ""
				d := narrow(t, &wrapped{Journal: j, append: func(c orchestration.Commit) error {
					err := j.Append(context.Background(), c)
					if slow && c.After == 0 {
						run = c.Row.ID
						time.Sleep(time.Second)
					}
					return err
				}}, silent)
				if queued {
					start(t, d)
					synctest.Wait()
				}
				slow = true
				begin := func() {
					go func() { _, _ = d.Start(t.Context(), spec(), nil, nil) }()
					synctest.Wait()
				}
				begin()
				decided := deciding(t, d, run, refused)
				time.Sleep(time.Second)
				wantAnswer(t, "the decision", decided, orchestration.ErrNotWaiting)
				if err := d.Cancel(t.Context(), run, ""); err != nil {
					t.Fatal(err)
				}
				begin()
				if !d.Drives(run) {
					t.Error("it is not driven")
				}
				canceled := canceling(t, d, run)
				time.Sleep(time.Second)
				wantAnswer(t, "the cancel", canceled, nil)
				synctest.Wait()
				if got := status(t, j, run); got != orchestration.StatusCanceled {
					t.Errorf("the run is %s", got)
				}
			})
		})
	}
}

// Who asks for a run whose start fails does not wait for it.
func TestARunThatIsNotStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var run string
		d := drive(t, &wrapped{Journal: open(t), append: func(c orchestration.Commit) error {
			run = c.Row.ID
			time.Sleep(time.Second)
			return orchestration.ErrUnavailable
		}}, silent)
		go func() { _, _ = d.Start(t.Context(), spec(), nil, nil) }()
		synctest.Wait()
		canceled := canceling(t, d, run)
		wantNone(t, "its append is under way", canceled)
		time.Sleep(time.Second)
		synctest.Wait()
		wantAnswer(t, "it is none", canceled, orchestration.ErrNotFound)
		if len(d.starting) > 0 {
			t.Error("it is still being started")
		}
	})
}
