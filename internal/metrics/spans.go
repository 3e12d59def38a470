package metrics

import (
	"slices"
	"sort"
	"time"
)

// spans are the times in which at least one call of a run was in flight: apart
// from each other, in order. There are never more of them than calls.
type spans struct{ list []span }

type span struct{ from, to int64 } // in nanoseconds since 1970

// add takes in a call, which joins all spans that it touches.
func (s *spans) add(from, to time.Time) {
	added := span{from.UnixNano(), to.UnixNano()}
	if added.to <= added.from {
		return
	}
	first := sort.Search(len(s.list), func(i int) bool { return s.list[i].to >= added.from })
	after := sort.Search(len(s.list), func(i int) bool { return s.list[i].from > added.to })
	if first < after {
		added.from = min(added.from, s.list[first].from)
		added.to = max(added.to, s.list[after-1].to)
	}
	s.list = slices.Replace(s.list, first, after, added)
}

// within returns how much of the time between from and to the spans cover.
func (s *spans) within(from, to time.Time) time.Duration {
	var covered int64
	for _, one := range s.list {
		covered += max(0, min(one.to, to.UnixNano())-max(one.from, from.UnixNano()))
	}
	return time.Duration(covered)
}
