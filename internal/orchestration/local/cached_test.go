package local

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/expr"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// A frugal agent looks an output up before it makes it, as package agent does,
// and notes the calls that it has made.
type frugal struct {
	t       *testing.T
	journal journal.Journal
	made    []string
}

func (f *frugal) Perform(ctx context.Context, p orchestration.Performance) orchestration.Said {
	find := func(key string) (output string, found bool) {
		if key == "" {
			return "", false
		}
		output, found, err := f.journal.Cached(ctx, p.Spec.Tenant, key, time.Now())
		if err != nil {
			f.t.Error(err)
		}
		return output, found
	}
	switch c := p.Command.(type) {
	case orchestration.MakePlan:
		if output, found := find(c.CacheKey); found {
			said := orchestration.Planned{Attempt: c.Attempt, Cached: true}
			if err := json.Unmarshal([]byte(output), &said.Plan); err != nil {
				f.t.Error(err)
			}
			return said
		}
	case orchestration.Work:
		if output, found := find(c.CacheKey); found {
			return orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Output: output, Cached: true}
		}
	case orchestration.Synthesize:
		if output, found := find(c.CacheKey); found {
			return orchestration.Synthesized{Attempt: c.Attempt, Output: output, Cached: true}
		}
	}
	f.made = append(f.made, p.Command.Key())
	said := diligent(ctx, p)
	if w, ok := said.(orchestration.Worked); ok && w.Subtask == "metals" {
		w.Output = `["tin", "copper", "zinc"]`
		said = w
	}
	return said
}

// piped is a plan with expressions of every place.
var piped = &orchestration.Plan{Subtasks: []orchestration.Subtask{
	{ID: "metals", Description: "list them"},
	{ID: "each", Kind: orchestration.KindForEach, ForEach: &orchestration.ForEach{
		Items: "metals.output", MaxConcurrency: 1,
		Body: []orchestration.Subtask{{ID: "look", Description: "look at it", Input: map[string]string{"metal": "item"}}},
	}},
	{ID: "sum", Description: "sum up", When: "size(metals.output) > 2", Input: map[string]string{"all": "each.output"}, Gives: "output + '!'"},
}}

// TestACachedRerunCallsNothing makes a run twice.
func TestACachedRerunCallsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		plan  *orchestration.Plan
		calls int // of the first run, in series or not
	}{
		"planned": {nil, 5},
		"piped":   {piped, 6},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j, err := journal.Open(t.Context(), "mem:", journal.Options{CacheBytes: 1 << 20})
				if err != nil {
					t.Fatal(err)
				}
				defer j.Close()
				agent := &frugal{t: t, journal: j}
				d := New(Options{Journal: j, Agent: agent, Logger: zap.NewNop(), Funcs: orchestration.Funcs{Expressions: expr.New()}})
				defer d.Close()
				calls := func(change func(*orchestration.Spec)) int {
					s := spec()
					s.Plan, s.Cache, s.Limits.MaxConcurrency = test.plan, orchestration.Duration(time.Hour), 1
					change(s)
					agent.made = nil
					row, err := d.Start(t.Context(), s, nil, nil)
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					synctest.Wait()
					if row, err = j.Row(t.Context(), s.Tenant, row.ID); err != nil || row.Status != orchestration.StatusSucceeded {
						t.Fatal(row.Status, err)
					}
					return len(agent.made)
				}
				as := func(*orchestration.Spec) {}
				if got := calls(as); got != test.calls {
					t.Fatalf("the first run made %d calls, not %d: %q", got, test.calls, agent.made)
				}
				if got := calls(as); got != 0 {
					t.Errorf("the same run again made %d calls: %q", got, agent.made)
				}
				if got := calls(func(s *orchestration.Spec) { s.Cache = 0 }); got != test.calls {
					t.Errorf("without a cache it made %d calls, not %d", got, test.calls)
				}
				if got := calls(func(s *orchestration.Spec) { s.Tenant = "another" }); got != test.calls {
					t.Errorf("another tenant's made %d calls, not %d", got, test.calls)
				}
				if calls(func(s *orchestration.Spec) { s.Worker.Model = "another" }); slices.Contains(agent.made, "plan/1") || len(agent.made) == 0 {
					t.Errorf("with another model for the workers it made %q", agent.made)
				}
				time.Sleep(time.Hour)
				if got := calls(as); got != test.calls {
					t.Errorf("after an hour it made %d calls, not %d", got, test.calls)
				}
			})
		})
	}
}
