// Package simulation plays worlds: the core, the local driver and the journal as
// they are, in virtual time, on storage that fails, with models that fail, and in
// processes that die. Everything that happens in a world is drawn from its seed,
// so a world that went wrong can be played again.
//
// In a world several callers start runs, and cancel some. The process that drives
// them crashes between any two things that it does, or is told to stop, or is
// taken for dead while it lives on, and another one takes the runs up from the
// journal. While that goes on and when all has ended, the world is judged by what
// is durable and by a ledger of the calls to models: see judge_test.go.
//
// testdata/bugs has mistakes that one could make in the product. With the tag
// integration, TestBugs makes one after the other and has each of them noticed.
package simulation

import (
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

var (
	seeds = flag.Int("simulation.seeds", 200, "how many worlds are played, from seed 1 on")
	only  = flag.Uint64("simulation.seed", 0, "of the one world that is played; 0: as many as simulation.seeds says")
)

func TestMain(m *testing.M) {
	// What panics in a goroutine of the product's tells which world it was in.
	if err := os.Setenv("GODEBUG", "tracebacklabels=1"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func TestSimulation(t *testing.T) {
	if *only != 0 {
		play(t, *only)
		return
	}
	all := tally{}
	for s := range uint64(*seeds) {
		all.add(play(t, s+1))
		if t.Failed() && failFast() {
			return
		}
	}
	t.Log(all)
	if *seeds >= 200 && !t.Failed() {
		all.enough(t)
	}
}

// failFast reports whether the first failure is enough.
func failFast() bool { return flag.Lookup("test.failfast").Value.String() == "true" }

// play plays the world of a seed, and judges it.
func play(t *testing.T, seed uint64) (seen tally) {
	t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
		again := fmt.Sprintf("go test ./test/simulation -simulation.seed %d", seed)
		pprof.SetGoroutineLabels(pprof.WithLabels(t.Context(), pprof.Labels("simulation.seed", fmt.Sprint(seed))))
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, seed)
			w.play()
			w.judge()
			if len(w.faults) > 0 {
				t.Errorf("%s\nto see it again: %s", strings.Join(w.faults, "\n"), again)
				if *only != 0 {
					w.tell()
				}
			}
			seen = w.seen
		})
	})
	return seen
}
