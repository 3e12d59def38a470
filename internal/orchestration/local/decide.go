package local

import (
	"cmp"
	"context"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Decide says to a run what a person decides: a DecideSubtask or a DecidePlan. It
// returns nil once what follows from it is durable. The error is
// ErrNotWaiting when nothing of the run waits for that decision (any more), a
// *DecisionError when it cannot be taken as it is, ErrNotFound when this process
// drives no such run, and ErrClosed when it is stopping. If ctx ends first, the
// decision may be taken all the same.
func (d *Driver) Decide(ctx context.Context, run string, said orchestration.Said) error {
	if err := d.known(ctx, run); err != nil {
		return err
	}
	l, err := d.deciding(run)
	if err != nil {
		return err
	}
	return l.ask(ctx, heard{said: said, answer: make(chan error, 1)})
}

// ask says something to a run and returns what is answered.
func (l *loop) ask(ctx context.Context, h heard) error {
	select {
	case l.inbox <- h:
		return l.answered(ctx, h)
	case <-l.ended:
		return l.over()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answered returns what is answered to an input, or why nothing is.
func (l *loop) answered(ctx context.Context, h heard) error {
	select {
	case err := <-h.answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.ended:
	}
	select { // it may have been answered before
	case err := <-h.answer:
		return err
	default:
		return l.over()
	}
}

// deciding returns the loop that a decision is for. A run that has not begun in
// this process waits for nobody.
func (d *Driver) deciding(run string) (*loop, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch l := d.runs[run]; {
	case d.isStopping():
		return nil, ErrClosed
	case l != nil:
		return l, nil
	case d.queue.holds(run) || d.suspect(run) >= 0:
		return nil, orchestration.ErrNotWaiting
	}
	return nil, orchestration.ErrNotFound
}

// over says why a loop that has ended takes no decision.
func (l *loop) over() error {
	switch {
	case l.done:
		return orchestration.ErrNotWaiting
	case l.driver.isStopping():
		return ErrClosed
	}
	return orchestration.ErrNotFound
}

// postponed reports whether an input is not heard by a process that stops: a timer
// is set again by the next one, a compensation that was cut short is made again,
// and a person has to decide again.
func (h *heard) postponed() bool {
	switch h.said.(type) {
	case orchestration.Due:
		return true
	case orchestration.DecideSubtask, orchestration.DecidePlan:
		h.refused = ErrClosed
		return true
	}
	return unfinished(h.said)
}

// refuse notes that the run would not hear an input. Of a person's decision that is
// to be expected.
func (l *loop) refuse(h *heard, err error) {
	h.refused = err
	if h.answer == nil {
		l.log().Error("the run refused an input", zap.Error(err))
	}
}

// reply answers those who wait for what comes of their inputs: with what each was
// refused for or, if there is something, with why all inputs are lost. An input
// may have been refused for the sake of one that is lost.
func reply(batch []heard, lost error) {
	for _, h := range batch {
		if h.answer != nil {
			h.answer <- cmp.Or(lost, h.refused)
		}
	}
}
