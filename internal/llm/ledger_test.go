package llm

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func anyGate(*gate) bool { return true }

// A consumer always has a call that waits, and what it takes is not what was
// expected.
type consumer struct {
	place    Place
	cost     int // that is expected of its calls
	used     int // by each of them
	tokens   float64
	least    map[*consumer]float64 // of how much more it has had than the other one, for their weights
	greatest map[*consumer]float64
}

func (c *consumer) has() float64 { return c.tokens / c.place.Weight }

func consumers(t *rapid.T, weights []float64, place func(i int, weight float64) Place) []*consumer {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *consumer {
		used := rapid.IntRange(leastTokens, 20_000).Draw(t, "used")
		return &consumer{
			place: place(0, rapid.SampledFrom(weights).Draw(t, "weight")),
			used:  used,
			cost:  max(leastTokens, used*rapid.IntRange(80, 120).Draw(t, "percent")/100),
			least: map[*consumer]float64{}, greatest: map[*consumer]float64{},
		}
	}), 2, 6).Draw(t, "consumers")
}

// Over any interval two parties that wait all along have had the same, for their
// weights, but for what one may have in a round and what was wrongly expected.
func TestSharesAreFairOverAnyInterval(t *testing.T) {
	tests := map[string]struct {
		weights []float64
		place   func(i int, weight float64) Place
	}{
		"tenants": {[]float64{1}, func(i int, weight float64) Place { return Place{Tenant: fmt.Sprint(i), Weight: weight} }},
		"runs": {[]float64{Weight(-10), Weight(-1), 1, Weight(2), Weight(10)}, func(i int, weight float64) Place {
			return Place{Run: fmt.Sprint(i), Weight: weight, Deadline: time.Unix(int64(1+i*37%5), 0)}
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				all := consumers(t, test.weights, test.place)
				slots := rapid.IntRange(1, 5).Draw(t, "slots")
				consume(t, all, slots, func(i int, c *consumer) Place { return test.place(i, c.place.Weight) })
				for _, a := range all {
					for _, b := range all {
						off := func(c *consumer) float64 {
							return float64(c.cost+slots*max(c.cost-c.used, c.used-c.cost)) / c.place.Weight
						}
						if most := 2 * (roundTokens + off(a) + off(b)); a.greatest[b]-a.least[b] > most {
							t.Fatalf("%+v had %.0f tokens more than %+v in some interval, at most %.0f are fair", a.place, a.greatest[b]-a.least[b], b.place, most)
						}
					}
				}
			})
		})
	}
}

// consume has the consumers share so many slots, calls ending in the order in
// which they began.
func consume(_ *rapid.T, all []*consumer, slots int, place func(i int, c *consumer) Place) {
	type call struct {
		by   *consumer
		bill bill
	}
	var q queue
	var out []call
	g, of := newGate(1), map[*party]*consumer{}
	come := func(i int, c *consumer) { of[q.push(place(i, c), g, c.cost).run] = c }
	index := map[*consumer]int{}
	for i, c := range all {
		index[c] = i
		for range 2 { // so that one waits while the other is served
			come(i, c)
		}
	}
	for range 600 {
		if len(out) == slots {
			out[0].bill.settle([]Call{{Usage: Usage{Prompt: out[0].by.used}}})
			out = out[1:]
		}
		w, bill := q.pop(anyGate)
		c := of[w.run]
		out = append(out, call{c, bill})
		come(index[c], c)
		c.tokens += float64(c.used)
		for _, other := range all {
			more := c.has() - other.has()
			c.greatest[other], c.least[other] = max(c.greatest[other], more), min(c.least[other], more)
			other.greatest[c], other.least[c] = max(other.greatest[c], -more), min(other.least[c], -more)
		}
	}
}

// A run of 3 among 200, however large its calls, waits for a round of the others
// at most.
func TestNobodyStarves(t *testing.T) {
	tests := map[string]struct {
		many, few Place
		turns     int // until the few are served
	}{
		"a tenant":          {Place{Tenant: "loud"}, Place{Tenant: "quiet"}, 8},
		"a run":             {Place{Run: "loud", Priority: 9}, Place{Run: "quiet"}, 8},
		"a run, less dear":  {Place{Run: "loud", Weight: Weight(4)}, Place{Run: "quiet"}, 4 * 8},
		"a run, least dear": {Place{Run: "loud", Weight: Weight(4)}, Place{Run: "quiet", Weight: Weight(-4)}, 16 * 8},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var q queue
			g := newGate(1)
			for range 200 {
				q.push(test.many, g, 2000)
			}
			for range 10 {
				q.pop(anyGate)
			}
			quiet := map[*waiter]bool{}
			for range 3 {
				quiet[q.push(test.few, g, 2000)] = true
			}
			for turn := 1; len(quiet) > 0; turn++ {
				w, _ := q.pop(anyGate)
				if delete(quiet, w); turn == test.turns && len(quiet) > 0 {
					t.Fatalf("after %d turns %d of 3 still wait behind the 200", turn, len(quiet))
				}
			}
		})
	}
}

// Newcomers without end, all of them with more weight and nearer deadlines, do
// not keep one waiting that was there before.
func TestNewcomersStarveNobody(t *testing.T) {
	var q queue
	g := newGate(1)
	come := func(i int) *waiter {
		return q.push(Place{Run: fmt.Sprint(i), Weight: Weight(10), Deadline: time.Unix(int64(1e6-i), 0)}, g, 2000)
	}
	for i := range 10 {
		come(i)
	}
	victim := q.push(Place{Run: "victim", Weight: Weight(-10)}, g, 2000)
	for i := 10; ; i++ {
		come(i)
		if w, _ := q.pop(anyGate); w == victim {
			break
		}
		if i > 100 {
			t.Fatal("a hundred newcomers were served before one that was there")
		}
	}
}

// Whoever could not be served saves up a few rounds and no more, and who does
// not wait saves up nothing.
func TestNobodySavesUpCredit(t *testing.T) {
	for name, waits := range map[string]bool{"at a closed gate": true, "not waiting": false} {
		t.Run(name, func(t *testing.T) {
			var q queue
			free, closed := newGate(1), newGate(1)
			push := func(run string, g *gate) { q.push(Place{Run: run}, g, 2000) }
			if waits {
				push("late", closed)
			} else {
				w := q.push(Place{Run: "late"}, free, 2000)
				push("busy", free)
				q.remove(w)
			}
			for range 1000 {
				push("busy", free)
				push("other", free)
				q.pop(func(g *gate) bool { return g == free })
			}
			had := 0
			for range 40 {
				push("late", free)
				if w, _ := q.pop(anyGate); w.run.name == "late" {
					had++
				}
			}
			// A third is its part; a round is 5 calls.
			if most := 40/3 + 1 + 5*(roundsLag+1); had > most || had < 40/3-5 {
				t.Errorf("it had %d of 40 turns, want about a third and at most %d", had, most)
			}
		})
	}
}

func TestCanceledWaitersCostNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q, quiet queue // the one with canceled waiters, and the one without
		g := newGate(1)
		for _, r := range []string{"a", "b"} {
			for range 40 {
				q.push(Place{Run: r}, g, 3000)
				quiet.push(Place{Run: r}, g, 3000)
			}
		}
		for range 60 {
			for range rapid.IntRange(0, 3).Draw(t, "canceled") {
				w := q.push(Place{Run: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "run"), Priority: -1}, g, 100_000)
				q.remove(w)
			}
			got, _ := q.pop(anyGate)
			want, _ := quiet.pop(anyGate)
			if got.run.name != want.run.name || got.run.had != want.run.had {
				t.Fatalf("it is %s's turn with %.0f, want %s with %.0f", got.run.name, got.run.had, want.run.name, want.run.had)
			}
		}
	})
}

// A near deadline goes first among those alike, and gets no more.
func TestNearDeadlinesGoFirst(t *testing.T) {
	var q queue
	g := newGate(1)
	at := func(run string, minutes int) Place {
		return Place{Run: run, Deadline: time.Unix(int64(60*minutes), 0)}
	}
	runs := []Place{at("far", 30), at("near", 1), at("nearer", 0), {Run: "none"}}
	for range 50 {
		for _, p := range runs {
			q.push(p, g, roundTokens/2)
		}
	}
	order := ""
	for range 16 {
		w, _ := q.pop(anyGate)
		order += w.run.name + " "
	}
	const turn = "%[1]s %[1]s %[2]s %[2]s %[3]s %[3]s %[4]s %[4]s "
	if round := fmt.Sprintf(turn, "nearer", "near", "far", "none"); order != round+round {
		t.Errorf("served %s", order)
	}
}

func TestLedgerForgets(t *testing.T) {
	var q queue
	g := newGate(1)
	q.push(Place{Run: "long", Weight: 1000}, g, 1)
	q.push(Place{Run: "other", Weight: 1000}, g, 1)
	for i := range 5000 {
		q.push(Place{Run: fmt.Sprint(i), Weight: Weight(-10)}, g, 1_000_000) // 4,000 rounds
		q.pop(anyGate)
		if known := len(q.tenants.parties[""].runs.parties); known > idleMost+len(q.tenants.parties[""].runs.waiting) {
			t.Fatalf("%d runs are known", known)
		}
	}
}
