package local

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// run carries a graph out through the driver, in virtual time, and returns how
// long it took.
func (g *graph) run(t *testing.T, slots int) (wall time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		d := New(Options{
			Journal: open(t), Logger: zap.NewNop(),
			Agent: agentFunc(func(_ context.Context, p orchestration.Performance) orchestration.Said {
				c := p.Command.(orchestration.Work)
				time.Sleep(g.duration(c.Subtask.ID))
				return orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Output: "done"}
			}),
			Appended: func(run *orchestration.Run, _ []orchestration.Event) {
				if run.Done() {
					if wall = run.EndedAt.Sub(run.CreatedAt); run.Status != orchestration.StatusSucceeded {
						t.Errorf("the run %s", run.Status)
					}
					close(ended)
				}
			},
		})
		defer d.Close()
		s := spec()
		s.Plan, s.Synthesizer.Mode = g.plan(), orchestration.SynthesizeNone
		s.Limits.MaxSubtasks, s.Limits.MaxConcurrency, s.Limits.Timeout = len(g.needs), slots, 24*time.Hour
		if _, err := d.Start(t.Context(), s, nil, nil); err != nil {
			t.Fatal(err)
		}
		<-ended
	})
	return wall
}

// TestSlotsForAll holds runs of 200 subtasks, of which none waits for a slot, to
// their critical paths.
func TestSlotsForAll(t *testing.T) {
	const slots = 100
	worst := 0.0
	for seed := range uint64(20) {
		g := graphOf(scattered, 200, seed)
		if _, most := g.simulate(200, g.fifo()); most > slots {
			t.Fatalf("seed %d: %d subtasks can be under way at once", seed, most)
		}
		over := float64(g.run(t, slots)) / float64(g.critical())
		if worst = max(worst, over); over > 1.02 {
			t.Errorf("seed %d: %.4f of the critical path", seed, over)
		}
	}
	t.Logf("at most %.4f of the critical path", worst)
}

// TestFewSlots holds runs of 200 subtasks with 4 slots to the shortest time that
// is possible at all, and to what they would take first in, first out.
func TestFewSlots(t *testing.T) {
	for _, shape := range []struct {
		name string
		draw func(*graph, *rand.Rand, int)
	}{{"layered", layered}, {"topics", topics}} {
		t.Run(shape.name, func(t *testing.T) {
			const seeds, slots = 100, 4
			var ours, fifo ratios
			for seed := range uint64(seeds) {
				g := graphOf(shape.draw, 200, seed)
				wall, least := g.run(t, slots), g.atLeast(slots)
				if as, _ := g.simulate(slots, g.longest()); as != wall {
					t.Fatalf("seed %d: the driver took %s, and simulated %s: FIFO cannot be compared", seed, wall, as)
				}
				inTurn, _ := g.simulate(slots, g.fifo())
				ours.add(wall, least)
				fifo.add(inTurn, least)
			}
			t.Logf("ours %s; FIFO %s", ours, fifo)
			if ours.worst > 1.10 {
				t.Errorf("%.3f of what is possible, by one of the seeds", ours.worst)
			}
			if ours.sum > fifo.sum {
				t.Errorf("first in, first out is better in the mean")
			}
		})
	}
}

// TestHardShapes holds plans that leave slots idle, whoever schedules them, to what
// one who knew how long everything takes would make of them.
func TestHardShapes(t *testing.T) {
	for _, shape := range []struct {
		name     string
		draw     func(*graph, *rand.Rand, int)
		subtasks int
	}{
		{"layered", layered, 50}, {"topics", topics, 50}, {"slim", slim, 200}, {"nested", nested, 200}, {"rounds", rounds, 200},
	} {
		t.Run(fmt.Sprint(shape.name, "/", shape.subtasks), func(t *testing.T) {
			const seeds, slots = 100, 4
			var ours, fifo, foresight ratios
			for seed := range uint64(seeds) {
				g := graphOf(shape.draw, shape.subtasks, seed)
				least := g.atLeast(slots)
				for order, of := range map[*ratios]order{&ours: g.longest(), &fifo: g.fifo(), &foresight: g.foresight()} {
					wall, _ := g.simulate(slots, of)
					order.add(wall, least)
				}
			}
			t.Logf("ours %s; FIFO %s; with foresight %s", ours, fifo, foresight)
			if ours.sum > fifo.sum || ours.sum > 1.05*foresight.sum {
				t.Errorf("in the mean %.3f of FIFO, %.3f of foresight", ours.sum/fifo.sum, ours.sum/foresight.sum)
			}
		})
	}
}

// ratios are of walls to what is possible at least, by seed.
type ratios struct {
	count, over int // 1.10
	sum, worst  float64
}

func (r *ratios) add(wall, least time.Duration) {
	ratio := float64(wall) / float64(least)
	r.count++
	r.sum += ratio
	r.worst = max(r.worst, ratio)
	if ratio > 1.10 {
		r.over++
	}
}

func (r ratios) String() string {
	return fmt.Sprintf("%.3f in the mean, %.3f at most, %d of %d over 1.10", r.sum/float64(r.count), r.worst, r.over, r.count)
}
