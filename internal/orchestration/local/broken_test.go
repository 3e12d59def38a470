package local

import (
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
