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
	query, args := listRows(tenant, f, before)
	return readRows(j.reader.db.QueryContext(ctx, query, args...))
}

// listRows returns the query for a page of rows, which reads an index that has
// them in their order, however many runs there are: of the first label if the
// filter has labels, of the workflow if it has one, of each status if it has
// those (SQLite merges them), of the tenant otherwise. before is when the run
// f.Before was created.
func listRows(tenant string, f orchestration.Filter, before int64) (query string, args []any) {
	q := rowQuery{filter: f, before: before, statuses: slices.Compact(slices.Sorted(slices.Values(f.Status)))}
	const order = ` ORDER BY created_at DESC, id DESC`
	switch {
	case len(f.Labels) > 0:
		q.ofLabels(tenant, slices.Sorted(maps.Keys(f.Labels)))
	case f.Workflow != "":
		q.add(`SELECT `+rowColumns+` FROM runs r WHERE r.tenant = ? AND r.workflow = ? AND r.workflow <> ''`, tenant, f.Workflow)
		q.bound("r", "id")
		q.ofStatus()
		q.add(order)
	case len(q.statuses) > 0:
		for i, status := range q.statuses {
			if i > 0 {
				q.add(` UNION ALL `)
			}
			q.add(`SELECT `+rowColumns+` FROM runs r WHERE r.tenant = ? AND r.status = ?`, tenant, string(status))
			q.bound("r", "id")
		}
		q.add(order)
	default:
		q.add(`SELECT `+rowColumns+` FROM runs r WHERE r.tenant = ?`, tenant)
		q.bound("r", "id")
		q.add(order)
	}
	q.add(` LIMIT ?`, limit(f.Limit))
	return q.text.String(), q.args
}

// A rowQuery is a query for a page of rows, as far as it is written.
type rowQuery struct {
	text strings.Builder
	args []any

	filter   orchestration.Filter
	statuses []orchestration.Status // of the filter, each once
	before   int64
}

func (q *rowQuery) add(text string, values ...any) {
	q.text.WriteString(text)
	q.args = append(q.args, values...)
}

// ofLabels selects by labels, whose table has the rows in their order too.
func (q *rowQuery) ofLabels(tenant string, names []string) {
	labels := q.filter.Labels
	q.add(`SELECT `+rowColumns+` FROM labels l CROSS JOIN runs r ON r.id = l.run
			WHERE l.tenant = ? AND l.name = ? AND l.value = ?`, tenant, names[0], labels[names[0]])
	q.bound("l", "run")
	for _, name := range names[1:] {
		q.add(` AND EXISTS (SELECT 1 FROM labels m WHERE m.tenant = l.tenant AND m.name = ? AND m.value = ?
				AND m.created_at = l.created_at AND m.run = l.run)`, name, labels[name])
	}
	if q.filter.Workflow != "" {
		q.add(` AND r.workflow = ?`, q.filter.Workflow)
	}
	q.ofStatus()
	q.add(` ORDER BY l.created_at DESC, l.run DESC`)
}

// bound leaves out what is not between the filter's times, and what is not after
// the page before.
func (q *rowQuery) bound(table, id string) {
	f := &q.filter
	if !f.CreatedAfter.IsZero() {
		q.add(` AND `+table+`.created_at > ?`, nanos(f.CreatedAfter))
	}
	if !f.CreatedBefore.IsZero() {
		q.add(` AND `+table+`.created_at < ?`, nanos(f.CreatedBefore))
	}
	if f.Before != "" {
		q.add(` AND (`+table+`.created_at, `+table+`.`+id+`) < (?, ?)`, q.before, f.Before)
	}
}

func (q *rowQuery) ofStatus() {
	if len(q.statuses) == 0 {
		return
	}
	q.add(` AND r.status IN (?` + strings.Repeat(`, ?`, len(q.statuses)-1) + `)`)
	for _, status := range q.statuses {
		q.args = append(q.args, string(status))
	}
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
