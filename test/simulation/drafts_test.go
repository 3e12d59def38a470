package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// writes returns what a planner writes when it is asked for a run's first plan, or for
// the rest of one. It mends a plan by writing most of it as it was.
func (w *world) writes(task string, c orchestration.MakePlan) orchestration.Plan {
	r := w.roll("plan", task)
	p := drawPlan(r, 8)
	r = w.roll("plan", task, c.Attempt)
	if len(c.Given) > 0 {
		return rest(r, c)
	}
	if oneIn(r, 3) {
		p.Subtasks[r.IntN(len(p.Subtasks))].Description = "do it otherwise"
	}
	if oneIn(r, 4) {
		p.Subtasks = p.Subtasks[:1+r.IntN(len(p.Subtasks))]
	}
	return p
}

// rest draws the rest of a plan: nothing, what builds on what is given, or some of that
// once more, as it was or otherwise.
func rest(r *rand.Rand, c orchestration.MakePlan) (p orchestration.Plan) {
	for i := range r.IntN(4) {
		s := orchestration.Subtask{ID: fmt.Sprintf("R%d_%d", c.Attempt, i), Description: "do the rest"}
		if oneIn(r, 2) {
			s.DependsOn = []string{c.Given[r.IntN(len(c.Given))].ID}
		}
		p.Subtasks = append(p.Subtasks, s)
	}
	again := c.Given[0]
	switch r.IntN(6) {
	case 0:
		p.Subtasks = slices.Insert(p.Subtasks, 0, again)
	case 1:
		again.Description = "do it otherwise"
		p.Subtasks = append(p.Subtasks, again)
	}
	return p
}

// write tells a plan as it is written: in a while all of it, unless the planner is done
// or cut short before. It returns what waits for that.
func (p *process) write(ctx context.Context, perf *orchestration.Performance, plan orchestration.Plan) (stop func()) {
	r := p.w.roll("writing", perf.Spec.Task, perf.Command.Key())
	ctx, cancel := context.WithCancel(ctx)
	written := make(chan struct{})
	go func() {
		defer close(written)
		if oneIn(r, 5) {
			return // it is not streamed
		}
		for n := range plan.Subtasks {
			select {
			case <-time.After(upTo(r, 2*time.Second)):
			case <-ctx.Done():
				return
			}
			p.count()
			perf.Drafted(plan.Subtasks[:n+1])
		}
	}()
	return func() { cancel(); <-written }
}

// judgePlan holds a plan against its drafts.
func (t *trial) judgePlan(e durable, f *orchestration.PlanCreated) {
	if e.Subtask != "" {
		return
	}
	known := map[string]bool{}
	for _, s := range t.run.Subtasks {
		known[s.ID] = true
	}
	for _, id := range slices.Concat(f.Subtasks, f.Dropped) {
		if !known[id] {
			t.fault(e, "it has %v and drops %v, and %s was not added, or is in both", f.Subtasks, f.Dropped, id)
		}
		delete(known, id)
	}
	if len(known) > 0 {
		t.fault(e, "it has %v and drops %v, and nothing becomes of %v", f.Subtasks, f.Dropped, known)
	}
	t.w.seen["draft dropped"] += len(f.Dropped)
}

// judgeDraft judges what starts before there is a plan.
func (t *trial) judgeDraft(e durable, f *orchestration.SubtaskStarted) {
	if t.run.Planning.Version > 0 {
		return
	}
	t.w.seen["draft started"]++
	if f.Worker == "clerk" || t.spec.ReviewPlan || t.spec.Plan != nil {
		t.fault(e, "it starts before there is a plan, by %q", f.Worker)
	}
}
