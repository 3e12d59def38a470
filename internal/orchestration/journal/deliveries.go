package journal

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// deliveryStates are all that a list without a state shows.
var deliveryStates = []orchestration.DeliveryState{
	orchestration.DeliveryPending, orchestration.DeliveryDelivered, orchestration.DeliveryDead,
}

// deliveryStmts are the statements that write deliveries.
type deliveryStmts struct {
	owe, try, redeliver *sql.Stmt
}

func prepareDeliveries(prepare func(string) *sql.Stmt) deliveryStmts {
	return deliveryStmts{
		owe: prepare(`INSERT INTO deliveries
			(id, tenant, run, seq, type, time, status, url, state, tries, next, last_try, last_status, last_error)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'pending', 0, ?6, 0, 0, '') ON CONFLICT (id) DO NOTHING`),
		try: prepare(`UPDATE deliveries SET state = ?, tries = tries + 1, next = ?, last_try = ?, last_status = ?, last_error = ?
			WHERE id = ? AND state = 'pending'`),
		redeliver: prepare(`UPDATE deliveries SET state = 'pending', tries = 0, next = ? WHERE id = ? AND tenant = ?`),
	}
}

// oweAll adds what an entry owes.
func (s *session) oweAll(e *entry) error {
	for i := range e.Deliveries {
		d := &e.Deliveries[i]
		if err := s.exec(s.owe, d.ID, d.Tenant, d.Run, d.Seq, d.Type, nanos(d.Time), string(d.Status), d.URL); err != nil {
			return err
		}
	}
	return nil
}

func (j *sqlite) Owing() <-chan struct{} { return j.writer.owing }

func (j *sqlite) Tried(ctx context.Context, id string, t orchestration.Try) error {
	return j.writer.do(ctx, &write{apply: func(s *session) (error, error) {
		return found(s.changes(s.try, string(t.State), nanos(due(&t)), nanos(t.Time), t.Status, t.Error, id))
	}})
}

func (j *sqlite) Redeliver(ctx context.Context, tenant, id string, now time.Time) error {
	return j.writer.do(ctx, &write{owes: true, apply: func(s *session) (error, error) {
		return found(s.changes(s.redeliver, nanos(now), id, tenant))
	}})
}

// due returns when a delivery is due after a try: a pending one only.
func due(t *orchestration.Try) time.Time {
	if t.State == orchestration.DeliveryPending {
		return t.Next
	}
	return time.Time{}
}

// found refuses a change of what there is not.
func found(changed int64, err error) (refused, failed error) {
	if changed == 0 && err == nil {
		return orchestration.ErrNotFound, nil
	}
	return nil, err
}

func (j *sqlite) Due(ctx context.Context, now time.Time, most int) ([]orchestration.Owed, error) {
	return readOwed(j.reader.due.QueryContext(ctx, nanos(now), limit(most)))
}

func (j *sqlite) Deliveries(ctx context.Context, tenant string, f orchestration.DeliveryFilter) ([]orchestration.Owed, error) {
	var before int64
	if f.Before != "" {
		if err := scanOne(j.reader.place.QueryRowContext(ctx, f.Before, tenant), &before); err != nil {
			return nil, err
		}
	}
	query, args := listDeliveries(tenant, f, before)
	return readOwed(j.reader.db.QueryContext(ctx, query, args...))
}

const owedColumns = `place, id, tenant, run, seq, type, time, status, url, state, tries, next, last_try, last_status, last_error`

const dueQuery = `SELECT ` + owedColumns + ` FROM deliveries WHERE state = 'pending' AND next <= ? ORDER BY next, place LIMIT ?`

// listDeliveries returns the query for a page of deliveries, which reads an index
// of each state in its order (SQLite merges them).
func listDeliveries(tenant string, f orchestration.DeliveryFilter, before int64) (query string, args []any) {
	states := deliveryStates
	if f.State != "" {
		states = []orchestration.DeliveryState{f.State}
	}
	index := "deliveries_by_state"
	if f.Run != "" {
		index = "deliveries_by_run"
	}
	var q strings.Builder
	for i, state := range states {
		if i > 0 {
			q.WriteString(` UNION ALL `)
		}
		q.WriteString(`SELECT ` + owedColumns + ` FROM deliveries INDEXED BY ` + index + ` WHERE tenant = ? AND state = ?`)
		args = append(args, tenant, string(state))
		if f.Run != "" {
			q.WriteString(` AND run = ?`)
			args = append(args, f.Run)
		}
		if f.Before != "" {
			q.WriteString(` AND place < ?`)
			args = append(args, before)
		}
	}
	q.WriteString(` ORDER BY place DESC LIMIT ?`)
	return q.String(), append(args, limit(f.Limit))
}

func readOwed(found *sql.Rows, err error) ([]orchestration.Owed, error) {
	var owed []orchestration.Owed
	err = each(found, err, func() error {
		var o orchestration.Owed
		var place, at, next, last int64
		err := found.Scan(&place, &o.ID, &o.Tenant, &o.Run, &o.Seq, &o.Type, &at, &o.Status, &o.URL,
			&o.State, &o.Tries, &next, &last, &o.LastStatus, &o.LastError)
		o.Time, o.Next, o.LastTry = clock(at), clock(next), clock(last)
		owed = append(owed, o)
		return unavailable(err)
	})
	return owed, err
}
