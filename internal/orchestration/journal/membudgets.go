package journal

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

type memPeriod struct {
	tenant string
	start  int64
}

// A memBudget counts nano-dollars.
type memBudget struct{ spent, held int64 }

type memCall struct {
	command string
	call    int
}

type memHold struct{ period, cost int64 }

func (m *mem) Hold(ctx context.Context, h orchestration.Hold, b orchestration.Budget) error {
	stored, err := encodeHold(h, b)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.lookupOf(ctx, h.Tenant, h.Run)
	if err != nil {
		return err
	}
	if r.row.ended {
		return orchestration.ErrConflict
	}
	call, period := memCall{h.Command, h.Call}, memPeriod{h.Tenant, stored.period}
	if _, held := r.holds[call]; held {
		return nil
	}
	budget := cmp.Or(m.budgets[period], new(memBudget))
	if stored.cost+budget.spent+budget.held > stored.budget {
		return orchestration.ErrBudget
	}
	if r.holds == nil {
		r.holds = make(map[memCall]memHold)
	}
	budget.held += stored.cost
	r.holds[call], m.budgets[period] = memHold{stored.period, stored.cost}, budget
	return nil
}

// settle ends the holds that a commit settles, and those of a run that it ends.
func (m *mem) settle(e *entry) {
	for _, settled := range e.Settled {
		m.free(e.row.id, nanodollars(settled.CostUSD, maxCost), func(c memCall) bool { return c.command == settled.Command })
	}
	if e.row.ended {
		m.free(e.row.id, 0, func(memCall) bool { return true })
	}
}

func (m *mem) free(run string, spent int64, of func(memCall) bool) {
	var dropped freed
	r := m.runs[run]
	for call, hold := range r.holds {
		if of(call) {
			delete(r.holds, call)
			dropped.add(call.call, hold.period, hold.cost)
		}
	}
	for period, held := range dropped.held {
		b := m.budgets[memPeriod{r.row.tenant, period}]
		b.held -= held
		if period == dropped.last {
			b.spent += spent
		}
	}
}

func (m *mem) Spent(ctx context.Context, tenant string, period time.Time) (spent, held float64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return 0, 0, err
	}
	b := cmp.Or(m.budgets[memPeriod{tenant, nanos(period)}], new(memBudget))
	return dollars(b.spent), dollars(b.held), nil
}

// newer reports whether a run is of a newer server.
func (r *memRun) newer() bool {
	_, err := r.events(r.row.id, 0, 1)
	return errors.Is(err, orchestration.ErrNewer)
}

func (m *mem) Expire(ctx context.Context, endedBefore time.Time, most int) (removed int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return 0, err
	}
	before := nanos(endedBefore)
	var expired []*storedRow
	for _, r := range m.runs {
		if r.row.ended && r.row.finished < before && !r.newer() {
			expired = append(expired, &r.row)
		}
	}
	slices.SortFunc(expired, func(a, b *storedRow) int { return cmp.Compare(a.finished, b.finished) })
	if most > 0 && len(expired) > most {
		expired = expired[:most]
	}
	for _, row := range expired {
		m.remove(row.id, m.runs[row.id])
	}
	for period, b := range m.budgets {
		if period.start < before-longestPeriod && b.held == 0 {
			delete(m.budgets, period)
		}
	}
	return len(expired), nil
}
