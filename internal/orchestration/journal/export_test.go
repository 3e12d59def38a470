package journal

import (
	"context"
	"database/sql"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// CommitDelay is how long a transaction waits for others.
const CommitDelay = commitDelay

// Do has the writer of a SQLite journal call f within its transaction. The
// error of f fails the transaction.
func Do(ctx context.Context, j Journal, f func(*sql.Conn) error) error {
	return j.(*sqlite).writer.do(ctx, &write{apply: func(s *session) (error, error) { return nil, f(s.conn) }})
}

// Holding returns how many runs the writer takes to hold something.
func Holding(ctx context.Context, j Journal) (runs int, err error) {
	err = j.(*sqlite).writer.do(ctx, &write{apply: func(s *session) (error, error) { runs = len(s.holding); return nil, nil }})
	return runs, err
}

// Queued returns how many writes wait.
func Queued(j Journal) int {
	w := j.(*sqlite).writer
	w.queueMu.Lock()
	defer w.queueMu.Unlock()
	return len(w.queue)
}

// Kept returns how many events of a run are in memory, and whether a read would
// find them there.
func Kept(j Journal, run string) (events int, known bool) {
	kept, known := j.(*sqlite).writer.recent.after(run, 0, 0)
	return len(kept), known
}

// KeptBytes returns how many bytes of events are in memory, and of how many runs.
func KeptBytes(j Journal) (bytes, runs int) {
	r := j.(*sqlite).writer.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.going.bytes + r.ended.bytes, len(r.runs)
}

// SetRoom bounds the events in memory to so many bytes, before any are.
func SetRoom(j Journal, bytes int) { j.(*sqlite).writer.recent.room = bytes }

// StoredEvents returns events as they are stored, whatever is in memory.
func StoredEvents(ctx context.Context, j Journal, run string, after int64, limit int) ([]orchestration.Event, error) {
	return j.(*sqlite).reader.eventsAfter(ctx, run, after, limit)
}

// Explain returns how SQLite would list rows.
func Explain(ctx context.Context, j Journal, f orchestration.Filter) (plan []string, err error) {
	query, args := listRows("acme", f, 1)
	return explain(ctx, j, query, args...)
}

// ExplainUnfinished returns how SQLite would list the runs that have not ended.
func ExplainUnfinished(ctx context.Context, j Journal) (plan []string, err error) {
	return explain(ctx, j, `SELECT `+rowColumns+` FROM runs r WHERE ended = 0 ORDER BY created_at, id`)
}

func explain(ctx context.Context, j Journal, query string, args ...any) (plan []string, err error) {
	found, err := j.(*sqlite).reader.db.QueryContext(ctx, `EXPLAIN QUERY PLAN `+query, args...) //nolint:sqlclosecheck // each closes it
	err = each(found, err, func() error {
		var id, parent, unused int
		var detail string
		if err := found.Scan(&id, &parent, &unused, &detail); err != nil {
			return err
		}
		plan = append(plan, detail)
		return nil
	})
	return plan, err
}

// ExplainOwed returns how SQLite would list deliveries, and find those that are
// due and the runs that retention removes.
func ExplainOwed(ctx context.Context, j Journal, filters map[string]orchestration.DeliveryFilter) (map[string][]string, error) {
	plans := make(map[string][]string)
	var err error
	note := func(name, query string, args ...any) {
		if err == nil {
			plans[name], err = explain(ctx, j, query, args...)
		}
	}
	for name, f := range filters {
		query, args := listDeliveries("acme", f, 1)
		note(name, query, args...)
	}
	note("due", dueQuery, 1, 1)
	note("expired", expiredQuery, 1, 1, 1)
	return plans, err
}
