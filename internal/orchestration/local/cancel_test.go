package local

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// canceling cancels in another goroutine.
func canceling(t *testing.T, d *Driver, run string) <-chan error {
	answer := make(chan error, 1)
	go func() { answer <- d.Cancel(t.Context(), run, "enough") }()
	synctest.Wait()
	return answer
}

// Who cancels a run is answered when that is durable, and not before: otherwise it
// would go on after a crash.
func TestACancelIsDurable(t *testing.T) {
	for _, queued := range []bool{false, true} {
		t.Run(fmt.Sprintf("queued=%v", queued), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := open(t)
				flaky, away := leaving(j)
				d := narrow(t, flaky, silent)
				run := start(t, d)
				if queued {
					run = start(t, d)
				}
				synctest.Wait()
				away.Store(true)
				answer := canceling(t, d, run)
				wantNone(t, "the storage is away", answer)
				time.Sleep(heardWithin)
				wantAnswer(t, "for long", answer, orchestration.ErrUnavailable)
				answer = canceling(t, d, run)
				away.Store(false)
				time.Sleep(lastAppendWait)
				synctest.Wait()
				if err := <-answer; err != nil && !errors.Is(err, orchestration.ErrNotFound) {
					t.Errorf("the storage is back: %v", err)
				}
				if got := status(t, j, run); got != orchestration.StatusCanceled {
					t.Errorf("the run is %s", got)
				}
			})
		})
	}
}

// A process that stops hears cancels as long as it hears anything of the run, and
// otherwise says that it does not.
func TestCancelWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := narrow(t, j, func(ctx context.Context, p orchestration.Performance) orchestration.Said {
			<-ctx.Done()
			time.Sleep(time.Second)
			return lost(p.Command)
		})
		begun, queued := start(t, d), start(t, d)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stopped := make(chan struct{})
		go func() { defer close(stopped); d.Stop(ctx) }()
		synctest.Wait()
		wantAnswer(t, "queued", canceling(t, d, queued), ErrClosed)
		wantAnswer(t, "begun", canceling(t, d, begun), nil)
		if got := status(t, j, begun); got != orchestration.StatusCanceling {
			t.Errorf("the run is %s", got)
		}
		<-stopped
		wantAnswer(t, "stopped", canceling(t, d, begun), ErrClosed)
		if got := status(t, j, begun); got != orchestration.StatusCanceled {
			t.Errorf("the run is %s", got)
		}
	})
}

// Who asks waits no longer than its context, also where the run has no room for
// more inputs.
func TestWhoAsksWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		flaky, away := leaving(j)
		d := drive(t, flaky, silent)
		run := start(t, d)
		synctest.Wait()
		away.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		answers := make(chan error, 3*inboxSize)
		for i := range cap(answers) {
			go func() {
				if i%2 == 0 {
					answers <- d.Decide(ctx, run, taken)
				} else {
					answers <- d.Cancel(ctx, run, "enough")
				}
			}()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if len(answers) != cap(answers) {
			t.Fatalf("%d of %d are answered", len(answers), cap(answers))
		}
		for range cap(answers) {
			if err := <-answers; !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v", err)
			}
		}
	})
}
