//go:build integration

// Package overload asks more of the server than it can do: more runs than it
// has room for, more memory than it may take, and more calls than a model's
// endpoint allows. What it accepts it must carry out, the rest it must refuse
// at once, and it must not get slower by being asked.
package overload

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/test/service"
)

func TestMain(m *testing.M) { os.Exit(service.Main(m)) }

const (
	maxRuns    = 16
	maxQueued  = 32
	runLatency = 100 * time.Millisecond // of each of the three calls in series of a run
	rounds     = 3
	peakTime   = 4 * time.Second // of a round
	loadTime   = 6 * time.Second // of a round
	times      = 5               // what is offered, in peaks
)

const body = `{"task": "Say hello in two ways [[sim subtasks=2]]", "limits": {"timeout": "50s"}}`

// Five times of what the server can do are offered: it does as much as before,
// and refuses the rest as quickly as it says that it lives. Both are measured
// in turns, as others use the machine, too.
func TestFiveTimesTheLoad(t *testing.T) {
	s := serve(t, simulator.Options{Latency: runLatency},
		fmt.Sprintf("TUTTI_MAX_RUNS=%d", maxRuns), fmt.Sprintf("TUTTI_MAX_QUEUED_RUNS=%d", maxQueued))
	c := newCaller(t, s, 1000)
	var ratios []float64
	var runs []run
	var refusals, lives []time.Duration
	var memory []int
	for range rounds {
		peak := c.saturate(maxRuns+maxQueued/2, peakTime)
		if most := maxRuns / (3 * runLatency).Seconds(); peak > 1.1*most {
			t.Fatalf("%.1f runs ended a second, and the models cannot do more than %.1f", peak, most)
		}
		l := c.offer(times*peak, loadTime)
		memory = append(memory, resident(t, s.PID()))
		if sent := float64(len(l.answers)) / l.to.Sub(l.from).Seconds(); sent < (times-1)*peak {
			t.Errorf("%.1f requests a second were sent: that is no overload of a server that does %.1f", sent, peak)
		}
		accepted := c.ends(l.accepted)
		goodput := endedWithin(accepted, l.from.Add(loadTime/5), l.to)
		ratios = append(ratios, goodput/peak)
		runs = append(runs, accepted...)
		refusals, lives = append(refusals, l.refusals()...), append(lives, l.lives...)
		t.Logf("peak %.1f runs/s; of %d offered at %.0f/s, %d accepted, %.1f runs/s ended", peak, len(l.answers), times*peak, len(accepted), goodput)
	}
	t.Logf("refused within p50 %v, p99 %v; /livez answered within p50 %v, p99 %v",
		quantile(refusals, 0.5), quantile(refusals, 0.99), quantile(lives, 0.5), quantile(lives, 0.99))
	t.Logf("memory %v kB after each round; at most %d runs at once", memory, mostAtOnce(runs))

	if got := slices.Sorted(slices.Values(ratios))[rounds/2]; got < 0.9 {
		t.Errorf("of the runs that end without overload, these shares ended with it: %.2f", ratios)
	}
	for _, q := range []float64{0.5, 0.99} {
		if got, bound := quantile(refusals, q), 10*max(quantile(lives, q), time.Millisecond); got > bound {
			t.Errorf("the quantile %v of refusals took %v, more than %v, ten times as long as /livez", q, got, bound)
		}
	}
	// The journal's caches, which are bounded, are still filling up.
	if first, last := memory[0], memory[rounds-1]; float64(last) > 1.5*float64(first) {
		t.Errorf("the memory grew: %v kB", memory)
	}
	if most := mostAtOnce(runs); most > maxRuns+maxQueued {
		t.Errorf("%d runs were accepted and had not ended", most)
	}
}

// serve serves a model and a server that calls it.
func serve(t *testing.T, options simulator.Options, env ...string) *service.Server {
	t.Helper()
	model, err := simulator.Listen(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = model.Close() })
	return service.Start(t, append(env, "OPENAI_BASE_URL="+model.URL())...)
}

// endedWithin returns how many runs ended a second between two moments.
func endedWithin(runs []run, from, to time.Time) float64 {
	n := 0
	for _, r := range runs {
		if r.EndedAt.After(from) && !r.EndedAt.After(to) {
			n++
		}
	}
	return float64(n) / to.Sub(from).Seconds()
}

// mostAtOnce returns how many runs there were at most that had not ended.
func mostAtOnce(runs []run) int {
	type change struct {
		at time.Time
		by int
	}
	var changes []change
	for _, r := range runs {
		changes = append(changes, change{r.CreatedAt, 1}, change{r.EndedAt, -1})
	}
	slices.SortFunc(changes, func(a, b change) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.by - b.by
	})
	now, most := 0, 0
	for _, c := range changes {
		now += c.by
		most = max(most, now)
	}
	return most
}

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[int(q*float64(len(all)-1))].Round(10 * time.Microsecond)
}
