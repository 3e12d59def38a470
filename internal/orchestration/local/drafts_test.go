package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// aloud plans eight subtasks, one each second, and works for five.
func aloud(ctx context.Context, p orchestration.Performance) orchestration.Said {
	c, ok := p.Command.(orchestration.MakePlan)
	if !ok {
		time.Sleep(4 * time.Second)
		return diligent(ctx, p)
	}
	var plan orchestration.Plan
	for n := range 8 {
		time.Sleep(time.Second)
		plan.Subtasks = append(plan.Subtasks, orchestration.Subtask{ID: fmt.Sprintf("T%d", n), Description: "do it"})
		p.Drafted(plan.Subtasks)
	}
	return orchestration.Planned{Attempt: c.Attempt, Plan: plan}
}

// starts returns when each subtask began, and when the plan was there, since then.
func starts(t *testing.T, d *Driver, run string, since time.Time) (started []time.Duration, planned time.Duration) {
	events, err := d.options.Journal.Events(t.Context(), run, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		switch e.Fact.(type) {
		case *orchestration.SubtaskStarted:
			started = append(started, e.Time.Sub(since))
		case *orchestration.PlanCreated:
			planned = e.Time.Sub(since)
		}
	}
	return started, planned
}

func TestDraftsStartAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := drive(t, open(t), aloud)
		began := time.Now()
		run := start(t, d)
		time.Sleep(time.Minute)
		synctest.Wait()
		started, planned := starts(t, d, run, began)
		var want []time.Duration
		for n := range 8 {
			want = append(want, time.Duration(n+1)*time.Second)
		}
		if !slices.Equal(started, want) || planned != 8*time.Second {
			t.Errorf("subtasks begin after %v, the plan is there after %v", started, planned)
		}
	})
}

// A planner does not wait for a disk that is slow: what it has written meanwhile is
// heard together, and before the plan, whichever of them the run looks for first.
func TestDraftsDoNotWaitForTheJournal(t *testing.T) {
	for range 8 {
		synctest.Test(t, draftOnASlowDisk)
	}
}

func draftOnASlowDisk(t *testing.T) {
	j := open(t)
	slow := &wrapped{Journal: j}
	slow.append = func(c orchestration.Commit) error {
		if slices.ContainsFunc(c.Events, func(e orchestration.Event) bool { return e.Subtask == "T1" }) {
			time.Sleep(time.Minute)
		}
		return j.Append(context.Background(), c)
	}
	var wrote time.Duration
	began := time.Now()
	d := drive(t, slow, func(ctx context.Context, p orchestration.Performance) orchestration.Said {
		if _, plan := p.Command.(orchestration.MakePlan); !plan {
			time.Sleep(90 * time.Second) // so that nothing but the plan comes meanwhile
			return diligent(ctx, p)
		}
		defer func() { wrote = time.Since(began) }()
		return aloud(ctx, p)
	})
	run := start(t, d)
	time.Sleep(time.Hour)
	synctest.Wait()
	if wrote != 8*time.Second {
		t.Errorf("the planner wrote for %v", wrote)
	}
	events, err := j.Events(t.Context(), run, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	created := slices.IndexFunc(events, func(e orchestration.Event) bool { return e.Type() == "plan.created" })
	for i, e := range events {
		if e.Type() == "subtask.started" && e.Attempt == 1 && i > created {
			t.Errorf("%s begins after the plan is there", e.Subtask)
		}
	}
	if got := status(t, j, run); got != orchestration.StatusSucceeded {
		t.Errorf("the run is %s", got)
	}
}

// An append that fails for good has the run folded anew while its planner writes on.
func TestDraftsAfterAnAppendThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		failed := 0
		broken := &wrapped{Journal: j}
		broken.append = func(c orchestration.Commit) error {
			if c.Events[0].Type() == "plan.subtask_added" && failed < 3 {
				failed++
				return errors.New("no")
			}
			return j.Append(context.Background(), c)
		}
		d := drive(t, broken, aloud)
		began := time.Now()
		run := start(t, d)
		time.Sleep(time.Minute)
		synctest.Wait()
		started, planned := starts(t, d, run, began)
		if len(started) != 8 || started[0] != 4*time.Second || started[3] != 4*time.Second || planned != 8*time.Second {
			t.Errorf("subtasks begin after %v, the plan is there after %v", started, planned)
		}
		if got := status(t, j, run); got != orchestration.StatusSucceeded {
			t.Errorf("the run is %s", got)
		}
	})
}
