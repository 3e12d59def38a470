// The race detector allocates too.
//go:build !race

package journal_test

import (
	"fmt"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// An ordinary run's commits are appended within so many allocations, the
// writer's and SQLite's driver's among them.
func TestAppendAllocates(t *testing.T) {
	const most = 650
	j := open(t, newFile(t))
	var runs [][]orchestration.Commit
	for i := range 51 {
		runs = append(runs, story(fmt.Sprintf("run_%026d", i)))
	}
	i := 0
	allocs := testing.AllocsPerRun(len(runs)-1, func() {
		for _, c := range runs[i] {
			if err := j.Append(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		i++
	})
	if allocs > most {
		t.Errorf("%v allocations for the %d commits of a run, at most %d are expected", allocs, len(runs[0]), most)
	}
}
