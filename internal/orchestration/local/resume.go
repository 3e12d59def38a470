package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Resume goes on with every run that has not ended, where its journal ends. Runs
// that the process may have died of are taken up last, one after the other. One that
// cannot be read is left as it is: no single run keeps the others from going on.
func (d *Driver) Resume(ctx context.Context) error {
	rows, err := d.options.Journal.Unfinished(ctx)
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	for _, row := range rows {
		switch err := d.resume(ctx, row); {
		case err == nil:
		case errors.Is(err, orchestration.ErrUnavailable) || ctx.Err() != nil:
			return fmt.Errorf("resume run %s: %w", row.ID, err)
		default:
			d.options.Logger.Error("the run cannot be read; it is left as it is", zap.String("run", row.ID), zap.Error(err))
		}
	}
	d.beginNext()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.suspects) > 0 && !d.isStopping() {
		order := rand.New(rand.NewPCG(math.Float64bits(d.options.Random()), 0))
		order.Shuffle(len(d.suspects), func(i, j int) { d.suspects[i], d.suspects[j] = d.suspects[j], d.suspects[i] })
		d.loops.Go(d.tryOut)
	}
	return nil
}

// resume goes on with one run, or notes it for later.
func (d *Driver) resume(ctx context.Context, row orchestration.Row) error {
	l := &loop{id: row.ID, tenant: row.Tenant}
	if row.Status != orchestration.StatusQueued {
		var err error
		if l.run, err = d.replay(ctx, row.ID, row.Seq, func(orchestration.Event) {}); err != nil {
			return err
		}
		if l.run.Spec == nil || l.run.Seq < row.Seq {
			return fmt.Errorf("its last events are missing: %w", orchestration.ErrUnreadable)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of[l.tenant]++
	switch {
	case d.isStopping(): // the run is in the journal, to be resumed
	case l.run == nil:
		d.queue.join(l.tenant, l.id)
	case l.run.Starts > 0:
		d.suspects = append(d.suspects, l)
	case l.run.Status == orchestration.StatusWaiting:
		l.waits = true
		d.launch(l, heard{said: orchestration.Resume{}})
	default:
		d.begun++
		d.launch(l, heard{said: orchestration.Resume{}})
	}
	return nil
}

// trialTime is how long a suspect runs before the next one begins.
const trialTime = 2 * time.Second

// tryOut resumes the suspects: runs whose calls were in flight when the last
// process died and when the one before it did. One of them may be what they died
// of: they come one by one, each when the last one has got on or some time has
// passed, and in another order each time, so that if the process dies again, the
// others count no start.
func (d *Driver) tryOut() {
	for l := d.nextSuspect(); l != nil; l = d.nextSuspect() {
		timer := time.NewTimer(trialTime)
		select {
		case <-l.cleared:
		case <-timer.C:
		case <-d.stopping:
		}
		timer.Stop()
	}
}

// nextSuspect resumes a suspect, nil if there is none.
func (d *Driver) nextSuspect() *loop {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.suspects) == 0 || d.isStopping() {
		return nil
	}
	l := d.takeSuspect(d.suspects[0].id)
	d.options.Logger.Warn("a run that the process may have died of is taken up again",
		zap.String("run", l.id), zap.Int("starts", l.run.Starts))
	d.begun++
	d.launch(l, heard{said: orchestration.Resume{}})
	return l
}

// suspect returns the place of a run among the suspects, -1 if it is none. The lock
// is held.
func (d *Driver) suspect(run string) int {
	return slices.IndexFunc(d.suspects, func(l *loop) bool { return l.id == run })
}

// takeSuspect takes a run out of the suspects, nil if it is none. The lock is held.
func (d *Driver) takeSuspect(run string) *loop {
	i := d.suspect(run)
	if i < 0 {
		return nil
	}
	l := d.suspects[i]
	d.suspects = slices.Delete(d.suspects, i, i+1)
	return l
}
