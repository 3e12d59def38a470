package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// shedAt is the part of the memory limit (GOMEMLIMIT) above which new runs are
// refused: a collector that is pressed against the limit takes the CPU from the
// runs that are there.
const shedAt = 0.9

// A pressure tells whether the process has little memory left. Without a limit
// it always has some.
type pressure struct {
	limit   int64
	used    func() uint64
	collect func()

	mu        sync.Mutex
	looked    time.Time
	found     bool
	collected time.Time
}

const (
	// lookEvery is how long what was found counts: to look is not free.
	lookEvery = 100 * time.Millisecond
	// collectEvery is how often garbage is collected while runs are refused. What
	// is in use is known by the last collection alone, and where little goes on
	// the next one may be minutes away.
	collectEvery = 10 * time.Second
)

func newPressure() *pressure {
	return &pressure{limit: debug.SetMemoryLimit(-1), used: memoryUsed, collect: runtime.GC}
}

// high reports whether new runs are to be refused.
func (p *pressure) high() bool {
	if p.limit == math.MaxInt64 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.looked) >= lookEvery {
		p.looked, p.found = now, float64(p.used()) > shedAt*float64(p.limit)
	}
	if p.found && now.Sub(p.collected) >= collectEvery {
		p.collected = now
		go p.collect() // nobody waits for it
	}
	return p.found
}

// memoryUsed is what counts against the limit, as package runtime/debug defines
// it, without what only waits to be collected: garbage is no reason to refuse a
// run.
func memoryUsed() uint64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	rest := value(0) - value(1) - value(2) - value(3) - value(4)
	return rest + value(5)
}
