package journal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// usable returns an error when nothing may be done any more. The caller holds mu.
func (m *mem) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.closed {
		return errClosed
	}
	return nil
}

// lookup returns what is kept of a run. The caller holds mu.
func (m *mem) lookup(ctx context.Context, run string) (*memRun, error) {
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	r := m.runs[run]
	if r == nil {
		return nil, orchestration.ErrNotFound
	}
	return r, nil
}

func (m *mem) lookupOf(ctx context.Context, tenant, run string) (*memRun, error) {
	r, err := m.lookup(ctx, run)
	if err == nil && r.row.tenant != tenant {
		return nil, orchestration.ErrNotFound
	}
	return r, err
}

func (m *mem) Row(ctx context.Context, tenant, run string) (orchestration.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.lookupOf(ctx, tenant, run)
	if err != nil {
		return orchestration.Row{}, err
	}
	return r.row.decode(), nil
}

func (m *mem) Rows(ctx context.Context, tenant string, f orchestration.Filter) ([]orchestration.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var last *storedRow
	if f.Before != "" {
		r, err := m.lookupOf(ctx, tenant, f.Before)
		if err != nil {
			return nil, err
		}
		last = &r.row
	}
	return m.rows(ctx, f.Limit, func(a, b *storedRow) int { return older(b, a) }, func(r *memRun) bool {
		return r.row.tenant == tenant && matches(r, &f) && (last == nil || older(&r.row, last) < 0)
	})
}

func (m *mem) Unfinished(ctx context.Context) ([]orchestration.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rows(ctx, 0, older, func(r *memRun) bool { return !r.row.ended })
}

func (m *mem) rows(ctx context.Context, limit int, order func(a, b *storedRow) int, want func(*memRun) bool) ([]orchestration.Row, error) {
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	var kept []*storedRow
	for _, r := range m.runs {
		if want(r) {
			kept = append(kept, &r.row)
		}
	}
	slices.SortFunc(kept, order)
	if limit > 0 && len(kept) > limit {
		kept = kept[:limit]
	}
	var rows []orchestration.Row
	for _, s := range kept {
		rows = append(rows, s.decode())
	}
	return rows, nil
}

// older orders rows by creation, then id.
func older(a, b *storedRow) int {
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
}

func matches(r *memRun, f *orchestration.Filter) bool {
	if len(f.Status) > 0 && !slices.Contains(f.Status, orchestration.Status(r.row.status)) {
		return false
	}
	if f.Workflow != "" && r.row.workflow != f.Workflow {
		return false
	}
	for name, value := range f.Labels {
		if has, ok := r.labels[name]; !ok || has != value {
			return false
		}
	}
	return (f.CreatedAfter.IsZero() || r.row.created > nanos(f.CreatedAfter)) &&
		(f.CreatedBefore.IsZero() || r.row.created < nanos(f.CreatedBefore))
}

func (m *mem) Events(ctx context.Context, run string, after int64, limit int) ([]orchestration.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.lookup(ctx, run)
	if errors.Is(err, orchestration.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r.events(run, after, limit)
}

func (m *mem) Event(ctx context.Context, run string, seq int64) (orchestration.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.lookup(ctx, run)
	if err != nil {
		return orchestration.Event{}, err
	}
	events, err := r.events(run, seq-1, 1)
	if err != nil {
		return orchestration.Event{}, err
	}
	return only(events, seq)
}

func (r *memRun) events(run string, after int64, limit int) (events []orchestration.Event, err error) {
	for _, c := range r.parts {
		if c.seq <= after {
			continue
		}
		if enough(events, limit) {
			break
		}
		if events, err = decodeEvents(events, run, []byte(c.events), after, limit); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func (m *mem) Attachment(ctx context.Context, run string, i int) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.lookup(ctx, run)
	if err != nil {
		return nil, err
	}
	if i < 0 || i >= len(r.attachments) {
		return nil, orchestration.ErrNotFound
	}
	return bytes.Clone(r.attachments[i]), nil
}

func (m *mem) Key(ctx context.Context, tenant, key string) (run string, hash [32]byte, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return "", hash, err
	}
	use, ok := m.keys[memKey{tenant, key}]
	if !ok {
		return "", hash, orchestration.ErrNotFound
	}
	return use.run, use.hash, nil
}
