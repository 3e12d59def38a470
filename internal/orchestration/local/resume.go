package local

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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
		order := rand.New(rand.NewPCG(math.Float64bits(d.options.Random()), 0))
		order.Shuffle(len(suspects), func(i, j int) { suspects[i], suspects[j] = suspects[j], suspects[i] })
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.suspects = suspects; !d.isStopping() {
			d.loops.Go(d.tryOut)
		}
	}
	return nil
}

// resume goes on with a run.
func (d *Driver) resume(run *orchestration.Run) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isStopping() { // otherwise the run is in the journal, to be resumed
		d.takeUp(run, orchestration.Resume{})
	}
}

// takeUp has a run that was begun by another process hear inputs first. The lock
// is held.
func (d *Driver) takeUp(run *orchestration.Run, first ...orchestration.Said) *loop {
	l := &loop{id: run.ID, run: run}
	d.begun++
	d.launch(l, first...)
	return l
}

// trialTime is how long a suspect runs before the next one begins.
const trialTime = 2 * time.Second

// tryOut resumes the suspects: runs whose calls were in flight when the last
// process died and when the one before it did. One of them may be what they died
// of: they come one by one, each when the last one has got on or some time has
// passed, and in another order each time, so that if the process dies again, the
// others count no start.
func (d *Driver) tryOut() {
	for l := d.trySuspect(); l != nil; l = d.trySuspect() {
		timer := time.NewTimer(trialTime)
		select {
		case <-l.cleared:
		case <-timer.C:
		case <-d.stopping:
		}
		timer.Stop()
	}
}

// trySuspect resumes the next suspect. It returns nil when there is none, or the
// driver is stopping.
func (d *Driver) trySuspect() *loop {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.suspects) == 0 || d.isStopping() {
		return nil
	}
	run := d.suspects[0]
	d.suspects = d.suspects[1:]
	d.options.Logger.Warn("a run that the process may have died of is taken up again",
		zap.String("run", run.ID), zap.Int("starts", run.Starts))
	return d.takeUp(run, orchestration.Resume{})
}

// acquit takes a run from the suspects. It returns nil when it is none. The lock
// is held.
func (d *Driver) acquit(id string) (run *orchestration.Run) {
	at := slices.IndexFunc(d.suspects, func(run *orchestration.Run) bool { return run.ID == id })
	if at < 0 {
		return nil
	}
	run = d.suspects[at]
	d.suspects = slices.Delete(d.suspects, at, at+1)
	return run
}
