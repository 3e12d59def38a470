package journal

import (
	"context"
	"slices"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// owe adds what a commit owes. The caller holds mu.
func (m *mem) owe(e *entry) {
	for _, d := range e.Deliveries {
		if m.delivery(d.ID) != nil {
			continue
		}
		d.Time = stamp(d.Time)
		m.deliveries = append(m.deliveries, &orchestration.Owed{Delivery: d, State: orchestration.DeliveryPending, Next: d.Time})
	}
	if len(e.Deliveries) > 0 {
		signal(m.owing)
	}
}

func (m *mem) delivery(id string) *orchestration.Owed {
	i := slices.IndexFunc(m.deliveries, func(o *orchestration.Owed) bool { return o.ID == id })
	if i < 0 {
		return nil
	}
	return m.deliveries[i]
}

func (m *mem) Owing() <-chan struct{} { return m.owing }

func (m *mem) Due(ctx context.Context, now time.Time, most int) ([]orchestration.Owed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	var due []orchestration.Owed
	for _, o := range m.deliveries {
		if o.State == orchestration.DeliveryPending && nanos(o.Next) <= nanos(now) {
			due = append(due, *o)
		}
	}
	slices.SortStableFunc(due, func(a, b orchestration.Owed) int { return a.Next.Compare(b.Next) })
	return atMost(due, most), nil
}

func (m *mem) Tried(ctx context.Context, id string, t orchestration.Try) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	o := m.delivery(id)
	if o == nil || o.State != orchestration.DeliveryPending {
		return orchestration.ErrNotFound
	}
	o.State, o.Next, o.LastTry, o.LastStatus, o.LastError = t.State, stamp(due(&t)), stamp(t.Time), t.Status, t.Error
	o.Tries++
	return nil
}

func (m *mem) Redeliver(ctx context.Context, tenant, id string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	o := m.delivery(id)
	if o == nil || o.Tenant != tenant {
		return orchestration.ErrNotFound
	}
	o.State, o.Tries, o.Next = orchestration.DeliveryPending, 0, stamp(now)
	signal(m.owing)
	return nil
}

func (m *mem) Deliveries(ctx context.Context, tenant string, f orchestration.DeliveryFilter) ([]orchestration.Owed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	older := m.deliveries
	if f.Before != "" {
		i := slices.IndexFunc(older, func(o *orchestration.Owed) bool { return o.ID == f.Before && o.Tenant == tenant })
		if i < 0 {
			return nil, orchestration.ErrNotFound
		}
		older = older[:i]
	}
	var newest []orchestration.Owed
	for _, o := range slices.Backward(older) {
		if o.Tenant == tenant && (f.State == "" || o.State == f.State) && (f.Run == "" || o.Run == f.Run) {
			newest = append(newest, *o)
		}
	}
	return atMost(newest, f.Limit), nil
}

// atMost cuts a list to a limit.
func atMost[T any](list []T, limit int) []T {
	if limit > 0 && len(list) > limit {
		list = list[:limit]
	}
	return list
}
