package expr

import "sync"

// A cache keeps what was used lately. It has two generations: when the young one
// is full it becomes the old one, and what nobody asked for meanwhile is dropped.
type cache[V any] struct {
	mu         sync.Mutex
	entries    int // bounds of a generation
	bytes      int // of the keys
	size       int // of the young generation's keys
	young, old map[string]V
}

func newCache[V any](entries, bytes int) *cache[V] {
	return &cache[V]{entries: entries, bytes: bytes, young: map[string]V{}}
}

func (c *cache[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.young[key]; ok {
		return v, true
	}
	v, ok := c.old[key]
	if ok {
		c.add(key, v)
	}
	return v, ok
}

func (c *cache[V]) put(key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(key, v)
}

func (c *cache[V]) add(key string, v V) {
	if len(c.young) >= c.entries || c.size+len(key) > c.bytes {
		c.young, c.old, c.size = map[string]V{}, c.young, 0
	}
	if _, ok := c.young[key]; !ok {
		c.size += len(key)
	}
	c.young[key] = v
}
