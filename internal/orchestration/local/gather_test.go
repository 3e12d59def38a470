package local

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Each row: how long the subtasks a and b take, which c depends on, and when the
// events of subtasks are durable, a line a commit.
func TestOutcomesShareACommit(t *testing.T) {
	for name, test := range map[string]struct {
		a, b   time.Duration
		cancel time.Duration // when the run is canceled, 0: never
		want   string
	}{
		"one after the other, together": {time.Second, time.Second + time.Millisecond, 0, `
			2.001s: a succeeded, b succeeded, c started
			3.001s: c succeeded`},
		"the first is not kept for long": {time.Second, 5 * time.Second, 0, `
			2.002s: a succeeded
			6s: b succeeded, c started
			7s: c succeeded`},
		"what a caller waits for is not kept": {time.Second, 5 * time.Second, 2*time.Second + time.Millisecond, `
			2.001s: a succeeded, c canceled
			2.001s: b canceled`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner, began := open(t), time.Now()
				var got strings.Builder
				j := &wrapped{Journal: inner}
				j.append = func(c orchestration.Commit) error {
					var facts []string
					for _, e := range c.Events {
						what, ofSubtask := strings.CutPrefix(e.Type(), "subtask.")
						if ofSubtask && (what != "started" || e.Subtask == "c") {
							facts = append(facts, e.Subtask+" "+what)
						}
					}
					if len(facts) > 0 {
						fmt.Fprintf(&got, "\n%v: %s", time.Since(began), strings.Join(facts, ", "))
					}
					return inner.Append(t.Context(), c)
				}
				took := map[string]time.Duration{"a": test.a, "b": test.b}
				d := drive(t, j, func(ctx context.Context, p orchestration.Performance) orchestration.Said {
					if w, is := p.Command.(orchestration.Work); is && took[w.Subtask.ID] > 0 {
						select {
						case <-time.After(took[w.Subtask.ID] - time.Second):
						case <-ctx.Done():
							return lost(p.Command)
						}
					}
					return diligent(ctx, p)
				})
				run := start(t, d)
				if test.cancel > 0 {
					time.Sleep(test.cancel)
					if err := d.Cancel(t.Context(), run, ""); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if want := strings.ReplaceAll(test.want, "\t", ""); got.String() != want {
					t.Errorf("got %s\nwant %s", got.String(), want)
				}
			})
		})
	}
}
