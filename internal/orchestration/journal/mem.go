package journal

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// mem is the journal in memory. It keeps stored forms and decodes them anew for
// each read, as a database would: so a fact that does not survive its encoding
// shows in the tests that use mem, and a reader that changes one harms no other.
type mem struct {
	watchers
	owing      chan struct{}
	mu         sync.Mutex
	runs       map[string]*memRun
	keys       map[memKey]memUse
	budgets    map[memPeriod]*memBudget
	deliveries []*orchestration.Owed // in the order of their commits
	cache      memCache
	closed     bool
}

type memRun struct {
	row         storedRow
	labels      map[string]string
	parts       []part // of its commits
	attachments [][]byte
	key         *memKey
	holds       map[memCall]memHold
}

type memKey struct{ tenant, key string }

type memUse struct {
	run  string
	hash [32]byte
}

func newMem(cacheBytes int64) *mem {
	return &mem{
		owing: make(chan struct{}, 1), runs: make(map[string]*memRun), keys: make(map[memKey]memUse),
		budgets: make(map[memPeriod]*memBudget), cache: newMemCache(cacheBytes),
	}
}

func (m *mem) Append(ctx context.Context, c orchestration.Commit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e, err := encode(c)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	if err := m.append(e); err != nil {
		return err
	}
	m.settle(e)
	m.owe(e)
	m.cache.add(e)
	m.tell(e.Row) // under mu: in the order of the commits
	return nil
}

func (m *mem) append(e *entry) error {
	if e.After == 0 {
		return m.create(e)
	}
	r := m.runs[e.row.id]
	if r == nil || r.row.tenant != e.row.tenant || r.row.seq != e.After {
		return orchestration.ErrConflict
	}
	r.parts = append(r.parts, e.parts...)
	s := &r.row
	s.status, s.ended, s.seq, s.progress = e.row.status, e.row.ended, e.row.seq, e.row.progress
	s.started, s.finished = e.row.started, e.row.finished
	return nil
}

func (m *mem) create(e *entry) error {
	r := &memRun{row: e.row, labels: e.Row.Labels, parts: e.parts, attachments: e.Attachments}
	if e.Key != nil {
		r.key = &memKey{e.row.tenant, e.Key.Key}
		if use, taken := m.keys[*r.key]; taken {
			return &orchestration.KeyTaken{Run: use.run, Hash: use.hash}
		}
	}
	if m.runs[e.row.id] != nil {
		return orchestration.ErrConflict
	}
	m.runs[e.row.id] = r
	if r.key != nil {
		m.keys[*r.key] = memUse{e.row.id, e.Key.Hash}
	}
	return nil
}

func (m *mem) Delete(ctx context.Context, tenant, run string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.lookupOf(ctx, tenant, run)
	if err != nil {
		return err
	}
	if !r.row.ended {
		if _, err := r.events(run, 0, 0); !errors.Is(err, orchestration.ErrUnreadable) { // nothing of it is ever missing
			return ErrNotEnded
		}
		m.free(run, 0, func(memCall) bool { return true })
	}
	m.remove(run, r)
	return nil
}

// remove deletes a run with all that belongs to it. The caller holds mu.
func (m *mem) remove(run string, r *memRun) {
	delete(m.runs, run)
	if r.key != nil {
		delete(m.keys, *r.key)
	}
	m.deliveries = slices.DeleteFunc(m.deliveries, func(o *orchestration.Owed) bool { return o.Run == run })
}

func (m *mem) Watch(run string, notify func(orchestration.Row)) (stop func()) {
	return m.watch(run, notify)
}

func (m *mem) Ready(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	return nil
}

func (m *mem) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
