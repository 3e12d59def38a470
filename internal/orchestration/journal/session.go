package journal

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A session is the connection that writes, with its statements.
type session struct {
	conn  *sql.Conn
	stmts []*sql.Stmt

	begin, commit    *sql.Stmt
	create           *sql.Stmt
	update, updateTo *sql.Stmt // with the status as it is; to another status
	key, useKey      *sql.Stmt
	label, attach    *sql.Stmt
	insert           *sql.Stmt // of a commit
	ended, expired   *sql.Stmt
	deletes          []*sql.Stmt // of a run and what belongs to it
	touch            *sql.Stmt
	budgetStmts
	deliveryStmts
	cache cache

	holding map[string]struct{} // the runs that hold something; a run may be here that does no more
}

func newSession(ctx context.Context, db *sql.DB, cacheBytes int64) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn}
	prepare := func(query string) *sql.Stmt {
		if err != nil {
			return nil
		}
		var stmt *sql.Stmt
		if stmt, err = conn.PrepareContext(ctx, query); err == nil {
			s.stmts = append(s.stmts, stmt)
		}
		return stmt
	}
	s.begin, s.commit = prepare(`BEGIN IMMEDIATE`), prepare(`COMMIT`)
	s.create = prepare(`INSERT INTO runs
		(id, tenant, status, ended, seq, progress, started_at, ended_at, created_at, simulated, labels, task, workflow)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`)
	// Most commits leave the status as it is. Then no index has to be touched.
	s.update = prepare(`UPDATE runs SET seq = ?, progress = ?, started_at = ?, ended_at = ?
		WHERE id = ? AND tenant = ? AND seq = ? AND status = ?`)
	s.updateTo = prepare(`UPDATE runs SET seq = ?, progress = ?, started_at = ?, ended_at = ?, status = ?, ended = ?
		WHERE id = ? AND tenant = ? AND seq = ?`)
	s.key = prepare(`SELECT run, hash FROM keys WHERE tenant = ? AND key = ?`)
	s.useKey = prepare(`INSERT INTO keys (tenant, key, hash, run) VALUES (?, ?, ?, ?)`)
	s.label = prepare(`INSERT INTO labels (tenant, name, value, created_at, run) VALUES (?, ?, ?, ?, ?)`)
	s.attach = prepare(`INSERT INTO attachments (run, place, tenant, bytes) VALUES (?, ?, ?, ?)`)
	s.insert = prepare(`INSERT INTO commits (run, seq, first, tenant, events) VALUES (?, ?, ?, ?, ?)`)
	s.ended = prepare(`SELECT ended FROM runs WHERE id = ? AND tenant = ?`)
	for _, of := range []string{
		"commits WHERE run", "attachments WHERE run", "keys WHERE run", "labels WHERE run", "deliveries WHERE run", "runs WHERE id",
	} {
		s.deletes = append(s.deletes, prepare(`DELETE FROM `+of+` = ?`))
	}
	s.touch = prepare(`PRAGMA user_version = 1`)
	s.expired = prepare(`SELECT EXISTS (SELECT 1 FROM runs WHERE id = ? AND ended = 1 AND ended_at < ?)`)
	s.budgetStmts, s.deliveryStmts = prepareBudgets(prepare), prepareDeliveries(prepare)
	s.cache = prepareCache(cacheBytes, prepare)
	if err == nil {
		s.holding, err = runsHolding(ctx, conn)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) exec(stmt *sql.Stmt, args ...any) error {
	_, err := stmt.ExecContext(context.Background(), args...)
	return err
}

// changes executes a statement and returns the number of rows it changed.
func (s *session) changes(stmt *sql.Stmt, args ...any) (int64, error) {
	r, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// append does an entry, or refuses it.
func (s *session) append(e *entry) (refused, failed error) {
	if e.After == 0 {
		refused, failed = s.insertRun(e)
	} else {
		refused, failed = s.updateRun(e)
	}
	if refused != nil || failed != nil {
		return refused, failed
	}
	for _, p := range e.parts {
		if err := s.exec(s.insert, e.row.id, p.seq, p.first, e.row.tenant, p.events); err != nil {
			return nil, err
		}
	}
	if err := s.settle(e); err != nil {
		return nil, err
	}
	if err := s.oweAll(e); err != nil {
		return nil, err
	}
	return nil, s.cache.add(e)
}

// updateRun moves the row of a run on, if it is where the entry's fence says.
func (s *session) updateRun(e *entry) (refused, failed error) {
	r := &e.row
	var n int64
	var err error
	if !r.ended { // the end is always another status
		n, err = s.changes(s.update, r.seq, r.progress, r.started, r.finished, r.id, r.tenant, e.After, r.status)
	}
	if n == 0 && err == nil {
		n, err = s.changes(s.updateTo, r.seq, r.progress, r.started, r.finished, r.status, r.ended, r.id, r.tenant, e.After)
	}
	if n == 0 && err == nil {
		return orchestration.ErrConflict, nil
	}
	return nil, err
}

// insertRun makes a run with all that belongs to it but its events. It looks
// for what would refuse it before it writes.
func (s *session) insertRun(e *entry) (refused, failed error) {
	r := &e.row
	if e.Key != nil {
		if refused, failed = s.keyTaken(r.tenant, e.Key.Key); refused != nil || failed != nil {
			return refused, failed
		}
	}
	n, err := s.changes(s.create, r.id, r.tenant, r.status, r.ended, r.seq, r.progress,
		r.started, r.finished, r.created, r.simulated, r.labels, r.task, r.workflow)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return orchestration.ErrConflict, nil
	}
	if e.Key != nil {
		if err := s.exec(s.useKey, r.tenant, e.Key.Key, e.Key.Hash[:], r.id); err != nil {
			return nil, err
		}
	}
	for name, value := range e.Row.Labels {
		if err := s.exec(s.label, r.tenant, name, value, r.created, r.id); err != nil {
			return nil, err
		}
	}
	for i, bytes := range e.Attachments {
		if bytes == nil {
			bytes = []byte{} // not NULL
		}
		if err := s.exec(s.attach, r.id, i, r.tenant, bytes); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (s *session) keyTaken(tenant, key string) (refused, failed error) {
	taken := new(orchestration.KeyTaken)
	var hash []byte
	switch err := s.key.QueryRowContext(context.Background(), tenant, key).Scan(&taken.Run, &hash); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	}
	copy(taken.Hash[:], hash)
	return taken, nil
}

// delete removes a run that has ended, or cannot be read. That one may still hold
// something.
func (s *session) delete(tenant, run string, unreadable bool) (refused, failed error) {
	var ended bool
	switch err := s.ended.QueryRowContext(context.Background(), run, tenant).Scan(&ended); {
	case errors.Is(err, sql.ErrNoRows):
		return orchestration.ErrNotFound, nil
	case err != nil:
		return nil, err
	case !ended && !unreadable:
		return ErrNotEnded, nil
	case !ended:
		if err := s.free(tenant, 0, s.dropRun, run); err != nil {
			return nil, err
		}
	}
	return nil, s.remove(run)
}

// remove deletes a run with all that belongs to it.
func (s *session) remove(run string) error {
	for _, stmt := range s.deletes {
		if err := s.exec(stmt, run); err != nil {
			return err
		}
	}
	return nil
}

// rollback ends a failed transaction. It fails when SQLite has ended it already.
func (s *session) rollback() error {
	s.cache.bytes = unknown
	_, err := s.conn.ExecContext(context.Background(), `ROLLBACK`)
	return err
}

// discard closes the session and its connection, which close leaves to the
// pool.
func (s *session) discard() {
	s.closeStmts()
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
}

func (s *session) close() {
	s.closeStmts()
	_ = s.conn.Close()
}

// closeStmts must come before the connection is closed: the driver's statements
// do not outlive it.
func (s *session) closeStmts() {
	for _, stmt := range s.stmts {
		_ = stmt.Close()
	}
}
