package journal

import (
	"context"
	"database/sql"
	"errors"

	"github.com/tutti-run/tutti/internal/orchestration"
)

func (j *sqlite) Events(ctx context.Context, run string, after int64, limit int) ([]orchestration.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if events, known := j.writer.recent.after(run, after, limit); known {
		return events, nil
	}
	return j.reader.eventsAfter(ctx, run, after, limit)
}

// readAll returns why a run cannot be read, nil if it can.
func (j *sqlite) readAll(ctx context.Context, tenant, run string) error {
	const some = 100 // each may hold an output
	row, err := j.Row(ctx, tenant, run)
	if err != nil {
		return err
	}
	for after := int64(0); after < row.Seq; {
		events, err := j.Events(ctx, run, after, some)
		switch {
		case err != nil:
			return err
		case len(events) == 0:
			return orchestration.ErrUnreadable // or deleted meanwhile
		}
		after = events[len(events)-1].Seq
	}
	return nil
}

func (j *sqlite) Event(ctx context.Context, run string, seq int64) (orchestration.Event, error) {
	if err := ctx.Err(); err != nil {
		return orchestration.Event{}, err
	}
	events, known := j.writer.recent.after(run, seq-1, 1)
	if !known {
		var err error
		if events, err = j.reader.eventAt(ctx, run, seq); err != nil {
			return orchestration.Event{}, err
		}
	}
	return only(events, seq)
}

// only returns the event of that seq, if it is the one that was found.
func only(events []orchestration.Event, seq int64) (orchestration.Event, error) {
	if len(events) == 0 || events[0].Seq != seq {
		return orchestration.Event{}, orchestration.ErrNotFound
	}
	return events[0], nil
}

func (r *reader) eventsAfter(ctx context.Context, run string, after int64, limit int) ([]orchestration.Event, error) {
	found, err := r.events.QueryContext(ctx, run, after)
	return readEvents(run, after, limit, found, err)
}

func (r *reader) eventAt(ctx context.Context, run string, seq int64) ([]orchestration.Event, error) {
	found, err := r.event.QueryContext(ctx, run, seq, seq)
	return readEvents(run, seq-1, 1, found, err)
}

// pageBytes is how much of events, as they are stored, is read for a page before it
// ends early.
const pageBytes = 4 << 20

// readEvents reads the events of a run with a seq above after, at most limit,
// from the commits that a query found.
func readEvents(run string, after int64, limit int, found *sql.Rows, err error) ([]orchestration.Event, error) {
	if err != nil {
		return nil, unavailable(err)
	}
	defer found.Close()
	var events []orchestration.Event
	size := 0
	for !enough(events, limit) && (limit <= 0 || size < pageBytes) && found.Next() {
		var stored sql.RawBytes
		if err := found.Scan(&stored); err != nil {
			return nil, unavailable(err)
		}
		size += len(stored)
		if events, err = decodeEvents(events, run, stored, after, limit); err != nil {
			return nil, err
		}
	}
	return events, unavailable(found.Err())
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
