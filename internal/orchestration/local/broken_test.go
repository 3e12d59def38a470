package local

import (
	"context"
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
