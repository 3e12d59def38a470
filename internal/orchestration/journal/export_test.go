package journal

import (
	"context"
	"database/sql"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Do has the writer of a SQLite journal call f within its transaction. The
// error of f fails the transaction.
func Do(ctx context.Context, j Journal, f func(*sql.Conn) error) error {
	return j.(*sqlite).writer.do(ctx, &write{apply: func(s *session) (error, error) { return nil, f(s.conn) }})
}

// Queued returns how many writes wait.
func Queued(j Journal) int {
	w := j.(*sqlite).writer
	w.queueMu.Lock()
	defer w.queueMu.Unlock()
	return len(w.queue)
}

// Explain returns how SQLite would list rows.
func Explain(ctx context.Context, j Journal, f orchestration.Filter) (plan []string, err error) {
	query, args := list("acme", f, 1)
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
