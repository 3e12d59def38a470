package local

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// An approval that nobody gives is decided when its time is over: by the process that
// asked, or by the next one, also where none lived at that time. The run's own time
// stands still meanwhile.
func TestAnApprovalExpires(t *testing.T) {
	for name, c := range map[string]struct {
		closed, opened time.Duration // after the start, of the process; 0: it lives
		ends           time.Duration
	}{
		"in one process":       {0, 0, 48*time.Hour + 2*time.Second},
		"in the next process":  {47 * time.Hour, 47*time.Hour + time.Minute, 48*time.Hour + 2*time.Second},
		"while there was none": {time.Hour, 72 * time.Hour, 72*time.Hour + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := open(t)
				began := time.Now()
				drive := func() *Driver {
					d := New(Options{Journal: j, Agent: agentFunc(diligent), Logger: zap.NewNop()})
					if err := d.Resume(t.Context()); err != nil {
						t.Fatal(err)
					}
					return d
				}
				d := drive()
				s := spec()
				s.Synthesizer.Mode, s.Limits.Timeout = orchestration.SynthesizeNone, time.Minute
				s.Plan = &orchestration.Plan{Subtasks: []orchestration.Subtask{
					{ID: "a", Description: "one"},
					{ID: "ask", Kind: orchestration.KindApproval, DependsOn: []string{"a"}, Approval: &orchestration.Approval{
						Message: "Fine?", Timeout: orchestration.Duration(48 * time.Hour), Default: orchestration.ActionApprove,
					}},
					{ID: "b", Description: "two", DependsOn: []string{"ask"}},
				}}
				row, err := d.Start(t.Context(), s, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				if c.closed > 0 {
					time.Sleep(c.closed)
					synctest.Wait()
					d.Close()
					time.Sleep(time.Until(began.Add(c.opened)))
					d = drive()
				}
				defer d.Close()
				time.Sleep(time.Until(began.Add(c.ends - time.Millisecond)))
				synctest.Wait()
				if got := status(t, j, row.ID); got.Ended() {
					t.Errorf("it has %s before: %s", got, told(t, j, row.ID))
				}
				time.Sleep(2 * time.Millisecond)
				synctest.Wait()
				if got := status(t, j, row.ID); got != orchestration.StatusSucceeded {
					t.Errorf("after %s it is %s: %s", time.Since(began), got, told(t, j, row.ID))
				}
			})
		})
	}
}
