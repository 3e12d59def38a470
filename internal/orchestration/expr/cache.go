package expr

import "sync"

// A cache keeps what was used lately. It has two generations: when the young one
// is full it becomes the old one, and what nobody asked for meanwhile is dropped.
type cache[V any] struct {
	mu         sync.Mutex
	entries    int // bounds of a generation
	bytes      int
	size       int // of the young generation, in bytes
	young, old map[string]kept[V]
}

type kept[V any] struct {
	value V
	bytes int
}

func newCache[V any](entries, bytes int) *cache[V] {
	return &cache[V]{entries: entries, bytes: bytes, young: map[string]kept[V]{}}
}

func (c *cache[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.young[key]; ok {
		return k.value, true
	}
	k, ok := c.old[key]
	if ok {
		c.add(key, k)
	}
	return k.value, ok
}

// put keeps a value, which takes about so many bytes with its key.
func (c *cache[V]) put(key string, v V, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(key, kept[V]{v, bytes})
}

func (c *cache[V]) add(key string, k kept[V]) {
	if len(c.young) >= c.entries || c.size+k.bytes > c.bytes {
		c.young, c.old, c.size = map[string]kept[V]{}, c.young, 0
	}
	if _, ok := c.young[key]; !ok {
		c.size += k.bytes
	}
	c.young[key] = k
}
