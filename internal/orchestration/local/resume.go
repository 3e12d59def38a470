package local

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Resume goes on with every run that has not ended, where its journal ends. Runs
// that the process may have died of are taken up last, one after the other.
func (d *Driver) Resume(ctx context.Context) error {
	rows, err := d.options.Journal.Unfinished(ctx)
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	var suspects []*orchestration.Run
	for _, row := range rows {
		if row.Status == orchestration.StatusQueued {
			d.mu.Lock()
			d.queue.join(row.Tenant, row.ID)
			d.mu.Unlock()
			continue
		}
		run, err := d.replay(ctx, row.ID, func(orchestration.Event) {})
		if err != nil {
			return fmt.Errorf("resume run %s: %w", row.ID, err)
		}
		switch {
		case run.Done():
		case run.Starts > 0:
			suspects = append(suspects, run)
		default:
			d.resume(run)
		}
	}
	d.beginNext()
	if len(suspects) > 0 {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.isStopping() {
			d.loops.Go(func() { d.tryOut(suspects) })
		}
	}
	return nil
}

// resume goes on with a run. It returns nil when the driver is stopping.
func (d *Driver) resume(run *orchestration.Run) *loop {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isStopping() {
		return nil // the run is in the journal, to be resumed
	}
	l := &loop{id: run.ID, run: run}
	d.begun++
	d.launch(l, orchestration.Resume{})
	return l
}

// trialTime is how long a suspect runs before the next one begins.
const trialTime = 2 * time.Second

// tryOut resumes runs whose calls were in flight when the last process died and
// when the one before it did. One of them may be what they died of: they come one
// by one, each when the last one has got on or some time has passed, and in
// another order each time, so that if the process dies again, the others count
// no start.
func (d *Driver) tryOut(suspects []*orchestration.Run) {
	rand.Shuffle(len(suspects), func(i, j int) { suspects[i], suspects[j] = suspects[j], suspects[i] })
	for _, run := range suspects {
		d.options.Logger.Warn("a run that the process may have died of is taken up again",
			zap.String("run", run.ID), zap.Int("starts", run.Starts))
		l := d.resume(run)
		if l == nil {
			return
		}
		timer := time.NewTimer(trialTime)
		select {
		case <-l.cleared:
		case <-timer.C:
		case <-d.stopping:
		}
		timer.Stop()
	}
}
