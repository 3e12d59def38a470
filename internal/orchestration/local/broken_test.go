package local

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A run that the core panics on ends as failed, and the others go on.
func TestAPanicEndsOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		var broken atomic.Bool
		d := New(Options{Journal: j, Agent: agentFunc(diligent), Logger: zap.NewNop(), Funcs: orchestration.Funcs{Tokens: func(text string) int {
			if broken.Load() {
				panic("a secret of the model's")
			}
			return len(text)
		}}})
		t.Cleanup(d.Close)
		bounded := spec()
		bounded.Limits.MaxTokens = 1_000_000
		row, err := d.Start(t.Context(), bounded, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		other := start(t, d)
		broken.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := told(t, j, row.ID); !strings.HasSuffix(got, "run.canceling, plan.invalid, run.failed") {
			t.Errorf("the run that panics: %s", got)
		}
		if got := status(t, j, other); got != orchestration.StatusSucceeded {
			t.Errorf("the other run is %s", got)
		}
		if _, err := d.Start(t.Context(), spec(), nil, nil); err != nil {
			t.Errorf("a start after that: %v", err)
		}
	})
}

// brittle are expressions that can be checked and not evaluated.
type brittle struct{}

func (brittle) Check(string, []string, []string) (orchestration.Reads, error) {
	return orchestration.Reads{}, nil
}

func (brittle) Eval(string, *orchestration.Variables) (string, error) {
	panic("a secret of the model's")
}
func (brittle) Reserved(string) bool { return false }

// A run that is ending already when the core panics on an outcome ends all the same,
// without that outcome. Otherwise it would wait for it for good.
func TestAPanicHoldsUpNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := New(Options{Journal: j, Logger: zap.NewNop(), Funcs: orchestration.Funcs{Expressions: brittle{}}, Agent: agentFunc(
			func(_ context.Context, p orchestration.Performance) orchestration.Said {
				time.Sleep(time.Second) // heedless of a cancel
				return diligent(context.Background(), p)
			})})
		t.Cleanup(d.Close)
		s := spec()
		s.Plan = &orchestration.Plan{Subtasks: []orchestration.Subtask{
			{ID: "a", Description: "one", Gives: "output"}, {ID: "b", Description: "two"},
		}}
		row, err := d.Start(t.Context(), s, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := d.Cancel(t.Context(), row.ID, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := told(t, j, row.ID); !strings.HasSuffix(got, "run.canceled") || !strings.Contains(got, "subtask.canceled a") {
			t.Errorf("the run: %s", got)
		}
	})
}

// What is outstanding is worked out by the core, too: a run that it panics on then ends
// as one does that it panics on at an outcome.
func TestAPanicAfterALostAppend(t *testing.T) {
	for name, everything := range map[string]bool{"once": false, "for good": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := open(t)
				fragile, refuses := new(fragile), new(atomic.Bool)
				d := New(Options{
					Logger: zap.NewNop(), Funcs: orchestration.Funcs{Expressions: fragile}, Agent: agentFunc(diligent),
					Journal: &wrapped{Journal: j, append: func(c orchestration.Commit) error {
						if refuses.Load() {
							refuses.Store(everything)
							return errors.New("malformed")
						}
						return j.Append(context.Background(), c)
					}},
				})
				t.Cleanup(d.Close)
				s := spec()
				s.Plan = &orchestration.Plan{Subtasks: []orchestration.Subtask{
					{ID: "a", Description: "one"}, {ID: "b", Description: "two", Input: map[string]string{"x": "1 + 1"}},
				}}
				row, err := d.Start(t.Context(), s, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				fragile.broken.Store(true)
				refuses.Store(true)
				time.Sleep(time.Hour)
				synctest.Wait()
				want := orchestration.StatusFailed
				if everything {
					want = orchestration.StatusRunning
				}
				if got := status(t, j, row.ID); got != want || len(d.runs) > 0 {
					t.Errorf("the run is %s: %s", got, told(t, j, row.ID))
				}
			})
		})
	}
}

// fragile are expressions that can be evaluated until they are broken.
type fragile struct {
	brittle
	broken atomic.Bool
}

func (f *fragile) Eval(string, *orchestration.Variables) (string, error) {
	if f.broken.Load() {
		panic("a secret of the model's")
	}
	return "2", nil
}
