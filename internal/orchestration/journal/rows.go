package journal

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A reader is a pool of connections that only read.
type reader struct {
	db *sql.DB

	row, unfinished, created *sql.Stmt
	events, event            *sql.Stmt
	attachment, key          *sql.Stmt
	spent, due, place        *sql.Stmt
	expired, cached          *sql.Stmt
}

const rowColumns = `r.id, r.tenant, r.status, r.seq, r.progress, r.started_at, r.ended_at, r.created_at, r.simulated, r.labels, r.task, r.workflow`

func openReader(ctx context.Context, path string) (*reader, error) {
	db, err := openPool(path, readConns, readOptions)
	if err != nil {
		return nil, err
	}
	prepare := func(query string) (stmt *sql.Stmt) {
		if err == nil {
			stmt, err = db.PrepareContext(ctx, query)
		}
		return stmt
	}
	r := &reader{
		db:         db,
		row:        prepare(`SELECT ` + rowColumns + ` FROM runs r WHERE id = ? AND tenant = ?`),
		unfinished: prepare(`SELECT ` + rowColumns + ` FROM runs r WHERE ended = 0 ORDER BY created_at, id`),
		created:    prepare(`SELECT created_at FROM runs WHERE id = ? AND tenant = ?`),
		events:     prepare(`SELECT events FROM commits WHERE run = ? AND seq > ? ORDER BY seq`),
		event:      prepare(`SELECT events FROM commits WHERE run = ? AND seq >= ? AND first <= ? ORDER BY seq LIMIT 1`),
		attachment: prepare(`SELECT bytes FROM attachments WHERE run = ? AND place = ?`),
		key:        prepare(`SELECT run, hash FROM keys WHERE tenant = ? AND key = ?`),
		spent:      prepare(`SELECT spent, held FROM budgets WHERE tenant = ? AND period = ?`),
		due:        prepare(dueQuery),
		place:      prepare(`SELECT place FROM deliveries WHERE id = ? AND tenant = ?`),
		expired:    prepare(expiredQuery),
		cached:     prepare(`SELECT output FROM cached WHERE tenant = ? AND key = ? AND expires > ?`),
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return r, nil
}

// close closes the pool and the statements with it.
func (r *reader) close() error { return r.db.Close() }

func (j *sqlite) Row(ctx context.Context, tenant, run string) (orchestration.Row, error) {
	if err := ctx.Err(); err != nil {
		return orchestration.Row{}, err
	}
	if row, known := j.writer.recent.latest(run); known && row.Tenant == tenant {
		return row, nil
	}
	rows, err := readRows(j.reader.row.QueryContext(ctx, run, tenant))
	if err == nil && len(rows) == 0 {
		err = orchestration.ErrNotFound
	}
	if err != nil {
		return orchestration.Row{}, err
	}
	return rows[0], nil
}

func (j *sqlite) Unfinished(ctx context.Context) ([]orchestration.Row, error) {
	return readRows(j.reader.unfinished.QueryContext(ctx))
}

func (j *sqlite) Rows(ctx context.Context, tenant string, f orchestration.Filter) ([]orchestration.Row, error) {
	var before int64
	if f.Before != "" {
		if err := scanOne(j.reader.created.QueryRowContext(ctx, f.Before, tenant), &before); err != nil {
			return nil, err
		}
	}
	query, args := list(tenant, f, before)
	return readRows(j.reader.db.QueryContext(ctx, query, args...))
}

// list returns the query for a page of rows, which reads an index that has them
// in their order, however many runs there are: of the first label if the
// filter has labels, of the workflow if it has one, of each status if it has
// those (SQLite merges them), of the tenant otherwise. before is when the run
// f.Before was created.
func list(tenant string, f orchestration.Filter, before int64) (query string, args []any) {
	names := slices.Sorted(maps.Keys(f.Labels))
	statuses := slices.Compact(slices.Sorted(slices.Values(f.Status)))
	var q strings.Builder
	where := func(condition string, values ...any) {
		q.WriteString(condition)
		args = append(args, values...)
	}
	bounds := func(table, id string) {
		if !f.CreatedAfter.IsZero() {
			where(` AND `+table+`.created_at > ?`, nanos(f.CreatedAfter))
		}
		if !f.CreatedBefore.IsZero() {
			where(` AND `+table+`.created_at < ?`, nanos(f.CreatedBefore))
		}
		if f.Before != "" {
			where(` AND (`+table+`.created_at, `+table+`.`+id+`) < (?, ?)`, before, f.Before)
		}
	}
	ofStatus := func() {
		if len(statuses) == 0 {
			return
		}
		where(` AND r.status IN (?` + strings.Repeat(`, ?`, len(statuses)-1) + `)`)
		for _, status := range statuses {
			args = append(args, string(status))
		}
	}
	switch {
	case len(names) > 0:
		where(`SELECT `+rowColumns+` FROM labels l CROSS JOIN runs r ON r.id = l.run
			WHERE l.tenant = ? AND l.name = ? AND l.value = ?`, tenant, names[0], f.Labels[names[0]])
		bounds("l", "run")
		for _, name := range names[1:] {
			where(` AND EXISTS (SELECT 1 FROM labels m WHERE m.tenant = l.tenant AND m.name = ? AND m.value = ?
				AND m.created_at = l.created_at AND m.run = l.run)`, name, f.Labels[name])
		}
		if f.Workflow != "" {
			where(` AND r.workflow = ?`, f.Workflow)
		}
		ofStatus()
		where(` ORDER BY l.created_at DESC, l.run DESC`)
	case f.Workflow != "":
		where(`SELECT `+rowColumns+` FROM runs r WHERE r.tenant = ? AND r.workflow = ? AND r.workflow <> ''`, tenant, f.Workflow)
		bounds("r", "id")
		ofStatus()
		where(` ORDER BY created_at DESC, id DESC`)
	case len(statuses) > 0:
		for i, status := range statuses {
			if i > 0 {
				where(` UNION ALL `)
			}
			where(`SELECT `+rowColumns+` FROM runs r WHERE r.tenant = ? AND r.status = ?`, tenant, string(status))
			bounds("r", "id")
		}
		where(` ORDER BY created_at DESC, id DESC`)
	default:
		where(`SELECT `+rowColumns+` FROM runs r WHERE r.tenant = ?`, tenant)
		bounds("r", "id")
		where(` ORDER BY created_at DESC, id DESC`)
	}
	where(` LIMIT ?`, limit(f.Limit))
	return q.String(), args
}

// limit returns a limit as SQLite has it: none is -1.
func limit(n int) int {
	if n <= 0 {
		return -1
	}
	return n
}

// readRows reads the rows that a query found.
func readRows(found *sql.Rows, err error) ([]orchestration.Row, error) {
	var rows []orchestration.Row
	err = each(found, err, func() error {
		var s storedRow
		if err := found.Scan(&s.id, &s.tenant, &s.status, &s.seq, &s.progress, &s.started, &s.finished, &s.created,
			&s.simulated, &s.labels, &s.task, &s.workflow); err != nil {
			return unavailable(err)
		}
		rows = append(rows, s.decode())
		return nil
	})
	return rows, err
}

// each calls scan for each of the rows that a query found.
func each(found *sql.Rows, err error, scan func() error) error {
	if err != nil {
		return unavailable(err)
	}
	defer found.Close()
	for found.Next() {
		if err := scan(); err != nil {
			return err
		}
	}
	return unavailable(found.Err())
}
