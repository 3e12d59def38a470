package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
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
