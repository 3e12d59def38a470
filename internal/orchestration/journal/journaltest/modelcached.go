package journaltest

import (
	"context"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// What a model knows of the cache: its rows, the one written first in front.
type modelCached []orchestration.Cached

var (
	modelKeys    = rapid.SampledFrom([]string{"c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"})
	modelOutputs = rapid.SampledFrom([]string{"", "a", Text, strings.Repeat("b", CacheBytes/10), strings.Repeat("c", CacheBytes/8)})
)

func modelSize(c orchestration.Cached) int { return len(c.Tenant) + len(c.Key) + len(c.Output) }

// cache draws what a commit adds to the cache.
func (m *model) cache(t *rapid.T, c *orchestration.Commit) {
	for range rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "cached") {
		c.Cached = append(c.Cached, orchestration.Cached{
			Tenant: c.Row.Tenant, Key: modelKeys.Draw(t, "key"), Output: modelOutputs.Draw(t, "output"), Expires: modelTimes.Draw(t, "expires"),
		})
	}
}

// caches notes what a commit has added.
func (m *model) caches(c orchestration.Commit) {
	for _, row := range c.Cached {
		if modelSize(row) > CacheBytes/8 {
			continue
		}
		m.cached = slices.DeleteFunc(m.cached, func(o orchestration.Cached) bool { return o.Tenant == row.Tenant && o.Key == row.Key })
		m.cached = append(m.cached, row)
		size := 0
		for i := len(m.cached) - 1; i >= 0; i-- {
			if size += modelSize(m.cached[i]); size > CacheBytes {
				m.cached = m.cached[i+1:]
				break
			}
		}
	}
}

// emptyCache removes what an earlier trial has left: it takes room.
func (m *model) emptyCache(t *rapid.T) {
	if err := m.j.ExpireCached(context.Background(), Epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
}

func (m *model) expireCached(t *rapid.T) {
	now := modelTimes.Draw(t, "now")
	if err := m.j.ExpireCached(context.Background(), now); err != nil {
		t.Fatal(err)
	}
	m.cached = slices.DeleteFunc(m.cached, func(c orchestration.Cached) bool { return !c.Expires.After(now) })
}

// checkCached looks for something in the cache.
func (m *model) checkCached(t *rapid.T) {
	tenant, key, now := m.tenant(t), modelKeys.Draw(t, "key"), modelTimes.Draw(t, "now")
	var want string
	i := slices.IndexFunc(m.cached, func(c orchestration.Cached) bool { return c.Tenant == tenant && c.Key == key && c.Expires.After(now) })
	if i >= 0 {
		want = m.cached[i].Output
	}
	if got, ok, err := m.j.Cached(context.Background(), tenant, key, now); got != want || ok != (i >= 0) || err != nil {
		t.Fatalf("%s of %s: %d bytes, found %v, error %v; want %d bytes, found %v", key, tenant, len(got), ok, err, len(want), i >= 0)
	}
}
