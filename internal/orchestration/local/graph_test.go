package local

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A graph is a plan of which it is known how long each subtask takes. A subtask
// needs only those before it.
type graph struct {
	needs [][]int
	takes []time.Duration
}

// graphOf returns the graph of n subtasks that shape draws with a seed. Each takes
// about 10 seconds, as long as a model writes: lognormal, with a sigma of 0.5, so
// that of 20 subtasks one takes less than 4.4 seconds and one more than 23.
func graphOf(shape func(g *graph, r *rand.Rand, n int), n int, seed uint64) *graph {
	g, r := new(graph), rand.New(rand.NewPCG(seed, 1))
	shape(g, r, n)
	for range g.needs {
		g.takes = append(g.takes, time.Duration(1e10*math.Exp(0.5*r.NormFloat64())))
	}
	return g
}

// add adds a subtask and returns it.
func (g *graph) add(needs ...int) int {
	slices.Sort(needs)
	g.needs = append(g.needs, slices.Compact(needs))
	return len(g.needs) - 1
}

// scattered has each subtask need up to three of the forty before it.
func scattered(g *graph, r *rand.Rand, n int) {
	for i := range n {
		needs := make([]int, min(i, r.IntN(4)))
		for j := range needs {
			needs[j] = i - 1 - r.IntN(min(i, 40))
		}
		g.add(needs...)
	}
}

// layered has layers of 1 to 16 subtasks, each of which needs one to three of the
// layer before.
func layered(g *graph, r *rand.Rand, n int) { g.layers(r, n, 16) }

// slim is as layered, with layers of 1 to 8.
func slim(g *graph, r *rand.Rand, n int) { g.layers(r, n, 8) }

func (g *graph) layers(r *rand.Rand, n, widest int) {
	var above []int
	for len(g.needs) < n {
		var layer []int
		for range min(1+r.IntN(widest), n-len(g.needs)) {
			var needs []int
			for range min(len(above), 1+r.IntN(3)) {
				needs = append(needs, above[r.IntN(len(above))])
			}
			layer = append(layer, g.add(needs...))
		}
		above = layer
	}
}

// topics has five parts side by side, which are nested, each forking and joining.
func topics(g *graph, r *rand.Rand, n int) {
	for range 5 {
		g.nest(r, n/5, nil)
	}
}

// nested is one such part.
func nested(g *graph, r *rand.Rand, n int) { g.nest(r, n, nil) }

// nest adds n subtasks, in series or between a fork and a join, and returns the
// last of them.
func (g *graph) nest(r *rand.Rand, n int, after []int) []int {
	switch {
	case n == 0:
		return after
	case n <= 3:
		return g.nest(r, n-1, []int{g.add(after...)})
	case r.IntN(2) == 0:
		first := 1 + r.IntN(n-1)
		return g.nest(r, n-first, g.nest(r, first, after))
	}
	fork, left := []int{g.add(after...)}, n-2
	var ends []int
	for branches := 2 + r.IntN(5); left > 0; branches-- {
		size := left
		if branches > 1 {
			size = min(left, 1+r.IntN(max(1, 2*left/branches)))
		}
		ends = append(ends, g.nest(r, size, fork)...)
		left -= size
	}
	return []int{g.add(ends...)}
}

// rounds has fans of 2 to 20 branches, of one to three subtasks in series, each
// fan joined before the next one.
func rounds(g *graph, r *rand.Rand, n int) {
	var last []int
	for len(g.needs) < n {
		var ends []int
		for range 2 + r.IntN(19) {
			ends = append(ends, g.nest(r, 1+r.IntN(3), last)...)
		}
		last = []int{g.add(ends...)}
	}
}

func name(i int) string { return fmt.Sprint("s", i) }

// duration returns how long the subtask of that id takes.
func (g *graph) duration(id string) time.Duration {
	i, err := strconv.Atoi(id[1:])
	if err != nil {
		panic(err)
	}
	return g.takes[i]
}

func (g *graph) plan() *orchestration.Plan {
	p := new(orchestration.Plan)
	for i, needs := range g.needs {
		s := orchestration.Subtask{ID: name(i), Description: "do it"}
		for _, on := range needs {
			s.DependsOn = append(s.DependsOn, name(on))
		}
		p.Subtasks = append(p.Subtasks, s)
	}
	return p
}

// paths returns the longest path from each subtask to an end, of what they weigh.
func (g *graph) paths(weigh func(i int) time.Duration) []time.Duration {
	paths := make([]time.Duration, len(g.needs))
	for i, needs := range slices.Backward(g.needs) {
		paths[i] += weigh(i)
		for _, on := range needs {
			paths[on] = max(paths[on], paths[i])
		}
	}
	return paths
}

func (g *graph) critical() time.Duration {
	return slices.Max(g.paths(func(i int) time.Duration { return g.takes[i] }))
}

// atLeast returns what no schedule of the graph can be shorter than.
func (g *graph) atLeast(slots int) time.Duration {
	var work time.Duration
	for _, d := range g.takes {
		work += d
	}
	return max(g.critical(), work/time.Duration(slots))
}

// An order says which of two subtasks that can start does.
type order func(a, b int) int

// fifo starts first what could start first.
func (g *graph) fifo() order { return func(_, _ int) int { return 0 } }

// longest starts what has the longest path to go, of subtasks, as the core does.
func (g *graph) longest() order { return g.byPath(func(int) time.Duration { return 1 }) }

// foresight starts what has the longest path to go, in time, which nobody knows.
func (g *graph) foresight() order {
	return g.byPath(func(i int) time.Duration { return g.takes[i] })
}

func (g *graph) byPath(weigh func(i int) time.Duration) order {
	paths := g.paths(weigh)
	return func(a, b int) int { return cmp.Or(cmp.Compare(paths[b], paths[a]), cmp.Compare(a, b)) }
}

// simulate returns how long the graph takes in that order, and how many of its
// subtasks are under way at most.
func (g *graph) simulate(slots int, before order) (wall time.Duration, most int) {
	awaits, awaited := make([]int, len(g.needs)), make([][]int, len(g.needs))
	var ready, running []int
	for i, needs := range g.needs {
		if awaits[i] = len(needs); len(needs) == 0 {
			ready = append(ready, i)
		}
		for _, on := range needs {
			awaited[on] = append(awaited[on], i)
		}
	}
	ends := make([]time.Duration, len(g.needs))
	for len(ready)+len(running) > 0 {
		slices.SortStableFunc(ready, before)
		for len(ready) > 0 && len(running) < slots {
			ends[ready[0]] = wall + g.takes[ready[0]]
			running, ready = append(running, ready[0]), ready[1:]
		}
		most = max(most, len(running))
		slices.SortFunc(running, func(a, b int) int { return cmp.Compare(ends[a], ends[b]) })
		wall = ends[running[0]]
		for _, i := range awaited[running[0]] {
			if awaits[i]--; awaits[i] == 0 {
				ready = append(ready, i)
			}
		}
		running = running[1:]
	}
	return wall, most
}
