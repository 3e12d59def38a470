package journal

import (
	"context"
	"database/sql"
	"errors"

	"github.com/tutti-run/tutti/internal/orchestration"
)

func (j *sqlite) Events(ctx context.Context, run string, after int64, n int) ([]orchestration.Event, error) {
	found, err := j.reader.events.QueryContext(ctx, run, after, limit(n))
	return readEvents(run, found, err)
}

func (j *sqlite) Event(ctx context.Context, run string, seq int64) (orchestration.Event, error) {
	found, err := j.reader.event.QueryContext(ctx, run, seq)
	events, err := readEvents(run, found, err)
	if err == nil && len(events) == 0 {
		err = orchestration.ErrNotFound
	}
	if err != nil {
		return orchestration.Event{}, err
	}
	return events[0], nil
}

// readEvents reads the events of a run that a query found.
func readEvents(run string, found *sql.Rows, err error) ([]orchestration.Event, error) {
	var events []orchestration.Event
	err = each(found, err, func() error {
		var s storedEvent
		if err := found.Scan(&s.seq, &s.time, &s.kind, &s.subtask, &s.attempt, &s.progress, &s.data); err != nil {
			return unavailable(err)
		}
		ev, err := s.decode(run)
		events = append(events, ev)
		return err
	})
	return events, err
}

func (j *sqlite) Attachment(ctx context.Context, run string, i int) (bytes []byte, err error) {
	err = scanOne(j.reader.attachment.QueryRowContext(ctx, run, i), &bytes)
	return bytes, err
}

func (j *sqlite) Key(ctx context.Context, tenant, key string) (run string, hash [32]byte, err error) {
	var bytes []byte
	err = scanOne(j.reader.key.QueryRowContext(ctx, tenant, key), &run, &bytes)
	copy(hash[:], bytes)
	return run, hash, err
}

// scanOne scans the one row that a query is to find.
func scanOne(found *sql.Row, into ...any) error {
	err := found.Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return orchestration.ErrNotFound
	}
	return unavailable(err)
}
