package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// When to collect: once what is in use and what is garbage take so many bytes
// together, or a quarter more than what is in use, whichever is more. Collecting
// a small heap over and over, as by default, was a tenth of the service's CPU;
// and a large one must not double, since thousands of calls in flight would then
// not fit a small machine.
const (
	enough = 160 << 20
	growth = 25   // percent
	mostGC = 1000 // percent, of a heap of next to nothing
)

// Memory that is in use no more is given back to the system once the server has
// allocated little for a while: no more than its scrapes and checks of health take.
const (
	quietFor    = 5 * time.Second
	quietAllocs = 2 << 20
)

// settle paces the collector once the server is ready, and gives back what is
// not in use from there on, until ctx ends. The start is collected as by default,
// which leaves what stays scattered over less memory.
func settle(ctx context.Context, ready <-chan struct{}) {
	select {
	case <-ready:
		paceGC()
		debug.FreeOSMemory() // what the start left is half of all that there is
		giveBack(ctx, allocated, debug.FreeOSMemory)
	case <-ctx.Done():
	}
}

// giveBack calls free each time that the server has become quiet.
func giveBack(ctx context.Context, allocated func() uint64, free func()) {
	tick := time.NewTicker(quietFor)
	defer tick.Stop()
	before, used := allocated(), false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := allocated()
		switch quiet := now-before < quietAllocs; {
		case !quiet:
			used = true
		case used:
			free()
			used = false
		}
		before = now
	}
}

// allocated returns how many bytes were ever allocated.
func allocated() uint64 {
	all := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(all)
	return all[0].Value.Uint64()
}

// paceGC sets the collector's pace anew after each collection. An operator who
// sets GOGC is obeyed instead; GOMEMLIMIT holds in any case.
func paceGC() {
	if os.Getenv("GOGC") != "" {
		return
	}
	inUse := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}}
	var pace func(struct{})
	pace = func(struct{}) {
		metrics.Read(inUse)
		used := max(1, int(inUse[0].Value.Uint64()+inUse[1].Value.Uint64()))
		debug.SetGCPercent(min(mostGC, max(growth, (enough-used)*100/used)))
		runtime.AddCleanup(new([16]byte), pace, struct{}{}) // once it is collected
	}
	pace(struct{}{})
}
