// The race detector allocates too.
//go:build !race

package agent

import "testing"

// All that is ours of a worker's attempt takes so many allocations.
func TestWorkAllocates(t *testing.T) {
	const most = 40
	perform := instantWork()
	if allocs := testing.AllocsPerRun(100, func() { perform(t.Context()) }); allocs > most {
		t.Errorf("%v allocations for a worker's attempt, at most %v are expected", allocs, most)
	}
}
