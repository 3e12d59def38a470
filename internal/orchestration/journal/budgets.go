package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// The most nano-dollars that one call, and one budget, count as: a million and a
// billion dollars. What a provider claims to have used cannot make the sums
// overflow, since nothing more is held once the budget is spent.
const (
	maxCost   = 1e15
	maxBudget = 1e18
)

// nanodollars rounds up, but not for what multiplying alone has added: three
// holds of 0.067 fit into 0.201.
func nanodollars(usd, most float64) int64 {
	if !(usd > 0) { // nor NaN
		return 0
	}
	return int64(min(math.Ceil(usd*1e9-1e-3), most))
}

func dollars(nano int64) float64 { return float64(nano) / 1e9 }

// A storedHold is a hold as every store keeps it.
type storedHold struct {
	orchestration.Hold
	period, cost, budget int64
}

func encodeHold(h orchestration.Hold, b orchestration.Budget) (storedHold, error) {
	if h.Tenant == "" || h.Run == "" || h.Call < 1 || !(h.CostUSD >= 0) {
		return storedHold{}, fmt.Errorf("malformed hold of call %d of command %q of run %q: %v dollars", h.Call, h.Command, h.Run, h.CostUSD)
	}
	return storedHold{h, nanos(b.Period), nanodollars(h.CostUSD, maxCost), nanodollars(b.CostUSD, maxBudget)}, nil
}

func (j *sqlite) Hold(ctx context.Context, h orchestration.Hold, b orchestration.Budget) error {
	stored, err := encodeHold(h, b)
	if err != nil {
		return err
	}
	return j.writer.do(ctx, &write{apply: func(s *session) (error, error) { return s.hold(&stored) }})
}

func (j *sqlite) Spent(ctx context.Context, tenant string, period time.Time) (spent, held float64, err error) {
	var s, h int64
	err = scanOne(j.reader.spent.QueryRowContext(ctx, tenant, nanos(period)), &s, &h)
	if errors.Is(err, orchestration.ErrNotFound) {
		err = nil
	}
	return dollars(s), dollars(h), err
}

// budgetStmts are the statements for budgets.
type budgetStmts struct {
	takeHold, whyNoHold *sql.Stmt
	holdMore, spendHeld *sql.Stmt // of a budget
	dropHolds, dropRun  *sql.Stmt // of a command; of a run
	expireBudgets       *sql.Stmt
}

func prepareBudgets(prepare func(string) *sql.Stmt) budgetStmts {
	return budgetStmts{
		takeHold: prepare(`INSERT INTO holds (run, command, call, tenant, period, cost)
			SELECT ?1, ?2, ?3, ?4, ?5, ?6
			WHERE EXISTS (SELECT 1 FROM runs WHERE id = ?1 AND tenant = ?4 AND ended = 0)
			AND ?6 + coalesce((SELECT spent + held FROM budgets WHERE tenant = ?4 AND period = ?5), 0) <= ?7
			ON CONFLICT DO NOTHING`),
		whyNoHold: prepare(`SELECT ended, EXISTS (SELECT 1 FROM holds WHERE run = ?1 AND command = ?2 AND call = ?3)
			FROM runs WHERE id = ?1 AND tenant = ?4`),
		holdMore: prepare(`INSERT INTO budgets (tenant, period, spent, held) VALUES (?, ?, 0, ?)
			ON CONFLICT DO UPDATE SET held = held + excluded.held`),
		spendHeld:     prepare(`UPDATE budgets SET spent = spent + ?, held = held - ? WHERE tenant = ? AND period = ?`),
		dropHolds:     prepare(`DELETE FROM holds WHERE run = ? AND command = ? RETURNING call, period, cost`),
		dropRun:       prepare(`DELETE FROM holds WHERE run = ? RETURNING call, period, cost`),
		expireBudgets: prepare(`DELETE FROM budgets WHERE period < ? AND held = 0`),
	}
}

// hold takes a hold, or refuses it.
func (s *session) hold(h *storedHold) (refused, failed error) {
	n, err := s.changes(s.takeHold, h.Run, h.Command, h.Call, h.Tenant, h.period, h.cost, h.budget)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		s.holding[h.Run] = struct{}{}
		return nil, s.exec(s.holdMore, h.Tenant, h.period, h.cost)
	}
	var ended, held bool
	err = s.whyNoHold.QueryRowContext(context.Background(), h.Run, h.Command, h.Call, h.Tenant).Scan(&ended, &held)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return orchestration.ErrNotFound, nil
	case err != nil:
		return nil, err
	case ended:
		return orchestration.ErrConflict, nil
	case held:
		return nil, nil
	}
	return orchestration.ErrBudget, nil
}

// settle ends the holds of the commands that an entry settles, and those of a
// run that it ends. A run that never held anything costs nothing here.
func (s *session) settle(e *entry) error {
	if _, holding := s.holding[e.row.id]; !holding {
		return nil
	}
	for _, settled := range e.Settled {
		if err := s.free(e.row.tenant, nanodollars(settled.CostUSD, maxCost), s.dropHolds, e.row.id, settled.Command); err != nil {
			return err
		}
	}
	if e.row.ended {
		return s.free(e.row.tenant, 0, s.dropRun, e.row.id)
	}
	return nil
}

// free drops holds and counts what was spent of them.
func (s *session) free(tenant string, spent int64, drop *sql.Stmt, args ...any) error {
	var dropped freed
	found, err := drop.QueryContext(context.Background(), args...) //nolint:sqlclosecheck // each closes it
	err = each(found, err, func() error {
		var call int
		var period, cost int64
		err := found.Scan(&call, &period, &cost)
		dropped.add(call, period, cost)
		return err
	})
	if err != nil {
		return err
	}
	for period, held := range dropped.held {
		var cost int64
		if period == dropped.last {
			cost = spent
		}
		if err := s.exec(s.spendHeld, cost, held, tenant, period); err != nil {
			return err
		}
	}
	return nil
}

// freed are the holds of a command, by their period. A command that began in
// one period may end in the next.
type freed struct {
	held map[int64]int64
	last int64 // the period of the last call
	call int
}

func (f *freed) add(call int, period, cost int64) {
	if f.held == nil {
		f.held = make(map[int64]int64, 1)
	}
	f.held[period] += cost
	if call > f.call {
		f.call, f.last = call, period
	}
}

// runsHolding returns the runs that hold something.
func runsHolding(ctx context.Context, conn *sql.Conn) (map[string]struct{}, error) {
	runs := make(map[string]struct{})
	found, err := conn.QueryContext(ctx, `SELECT DISTINCT run FROM holds`) //nolint:sqlclosecheck // each closes it
	err = each(found, err, func() error {
		var run string
		err := found.Scan(&run)
		runs[run] = struct{}{}
		return err
	})
	return runs, err
}
