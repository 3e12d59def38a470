package journal

import (
	lists "container/list"
	"context"
	"time"
)

// A memCache is the cache of the journal in memory.
type memCache struct {
	bound, bytes int64
	rows         map[memKey]*lists.Element
	order        lists.List // of memCached, the one written first in front
}

type memCached struct {
	storedCached
	at memKey
}

func newMemCache(bound int64) memCache {
	return memCache{bound: bound, rows: make(map[memKey]*lists.Element)}
}

// add puts an entry's rows in the cache, and evicts others for them.
func (c *memCache) add(e *entry) {
	for _, row := range e.cached {
		if row.bytes > c.bound/mostOfCache {
			continue
		}
		at := memKey{e.row.tenant, row.key}
		if old, there := c.rows[at]; there {
			c.drop(old)
		}
		c.rows[at] = c.order.PushBack(memCached{row, at})
		for c.bytes += row.bytes; c.bytes > c.bound; {
			c.drop(c.order.Front())
		}
	}
}

func (c *memCache) drop(e *lists.Element) {
	row := c.order.Remove(e).(memCached)
	delete(c.rows, row.at)
	c.bytes -= row.bytes
}

func (m *mem) Cached(ctx context.Context, tenant, key string, now time.Time) (output string, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return "", false, err
	}
	e, there := m.cache.rows[memKey{tenant, key}]
	if !there || e.Value.(memCached).expires <= nanos(now) {
		return "", false, nil
	}
	return e.Value.(memCached).output, true, nil
}

func (m *mem) ExpireCached(ctx context.Context, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	for _, e := range m.cache.rows {
		if e.Value.(memCached).expires <= nanos(now) {
			m.cache.drop(e)
		}
	}
	return nil
}
