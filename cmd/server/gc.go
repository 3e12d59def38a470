package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// How much the heap may grow before it is collected: so much of what is in use,
// as a percentage, and where that is little, so many bytes. Collecting a small
// heap over and over was a tenth of the service's CPU; a large one must not
// double, since many runs in flight would then not fit a small machine.
const (
	growth    = 50
	leastRoom = 48 << 20
	mostGC    = 1000 // percent, of a heap of next to nothing
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
		used := max(1, inUse[0].Value.Uint64()+inUse[1].Value.Uint64())
		debug.SetGCPercent(int(min(mostGC, max(growth, leastRoom*100/used))))
		runtime.AddCleanup(new([16]byte), pace, struct{}{}) // once it is collected
	}
	pace(struct{}{})
}
