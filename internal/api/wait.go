package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// answerTime is what is left to write an answer after the last wait.
const answerTime = 30 * time.Second

// settled reports whether there is something to answer a waiting caller with:
// the run has ended, or waits for a person.
func settled(status orchestration.Status) bool {
	return status.Ended() || status == orchestration.StatusWaiting
}

// unreadable returns why nothing more will come of a run that has not ended, nil where it may: one
// that nobody drives has its turn yet to come, or cannot be read.
func (s *server) unreadable(ctx context.Context, row orchestration.Row) error {
	if row.Status.Ended() || s.Driver.Drives(row.ID) {
		return nil
	}
	if _, err := s.fold(ctx, row); errors.Is(err, orchestration.ErrUnreadable) {
		return err
	}
	return nil // or the journal is away, which it may not be for long
}

// await returns the run's row as soon as enough says so of its status, or as
// it is after that time. It reads the journal twice at most, however many
// events there are.
func (s *server) await(ctx context.Context, tenant, id string, wait time.Duration, enough func(orchestration.Status) bool) (orchestration.Row, error) {
	reached := make(chan orchestration.Row, 1)
	stop := s.Reader.Watch(id, func(row orchestration.Row) {
		if enough(row.Status) {
			select {
			case reached <- row:
			default: // there is one already
			}
		}
	})
	defer stop()
	row, err := s.Reader.Row(ctx, tenant, id) // as it may have happened before we watched
	if err != nil || enough(row.Status) || wait <= 0 {
		return row, err
	}
	if err := s.unreadable(ctx, row); err != nil {
		return row, err
	}
	extend(ctx, wait+answerTime)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case row = <-reached:
		return row, nil
	case <-timer.C:
	case <-s.Draining:
	case <-ctx.Done():
		return row, ctx.Err()
	}
	return s.Reader.Row(ctx, tenant, id)
}

// extend gives an answer so much time, whatever the server's own bound is.
func extend(ctx context.Context, d time.Duration) {
	if w := exchangeOf(ctx).answer; w != nil {
		// Where there is no connection, there is no bound to move.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
	}
}
