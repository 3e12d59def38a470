package llm

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A plainQueue says in the plainest way what a queue must do.
type plainQueue struct {
	tenants []string            // whose turn it is, first
	runs    map[string][]string // by tenant, whose turn it is, first
	waiting []plainWaiter       // by arrival
}

type plainWaiter struct {
	id    int
	place Place
	gate  *gate
}

func (q *plainQueue) push(id int, p Place, g *gate) {
	if !slices.Contains(q.tenants, p.Tenant) {
		q.tenants = append(q.tenants, p.Tenant)
	}
	if !slices.Contains(q.runs[p.Tenant], p.Run) {
		q.runs[p.Tenant] = append(q.runs[p.Tenant], p.Run)
	}
	q.waiting = append(q.waiting, plainWaiter{id, p, g})
}

func (q *plainQueue) pop(open func(*gate) bool) int {
	for _, tenant := range q.tenants {
		for _, run := range q.runs[tenant] {
			best := -1
			for i, w := range q.waiting {
				if w.place.Tenant != tenant || w.place.Run != run || !open(w.gate) {
					continue
				}
				if best < 0 || w.place.Priority > q.waiting[best].place.Priority {
					best = i
				}
			}
			if best < 0 {
				continue
			}
			id := q.waiting[best].id
			q.tenants = toBack(q.tenants, tenant)
			q.runs[tenant] = toBack(q.runs[tenant], run)
			q.remove(id)
			return id
		}
	}
	return -1
}

func toBack(names []string, name string) []string {
	names = slices.DeleteFunc(names, func(n string) bool { return n == name })
	return append(names, name)
}

func (q *plainQueue) remove(id int) {
	i := slices.IndexFunc(q.waiting, func(w plainWaiter) bool { return w.id == id })
	gone := q.waiting[i].place
	q.waiting = slices.Delete(q.waiting, i, i+1)
	waits := func(tenant, run string) bool {
		return slices.ContainsFunc(q.waiting, func(w plainWaiter) bool {
			return w.place.Tenant == tenant && (run == "" || w.place.Run == run)
		})
	}
	if !waits(gone.Tenant, gone.Run) {
		q.runs[gone.Tenant] = slices.DeleteFunc(q.runs[gone.Tenant], func(r string) bool { return r == gone.Run })
	}
	if !waits(gone.Tenant, "") {
		q.tenants = slices.DeleteFunc(q.tenants, func(t string) bool { return t == gone.Tenant })
	}
}

func places() *rapid.Generator[Place] {
	return rapid.Custom(func(t *rapid.T) Place {
		return Place{
			Tenant:   rapid.SampledFrom([]string{"t1", "t2", "t3"}).Draw(t, "tenant"),
			Run:      rapid.SampledFrom([]string{"r1", "r2", "r3"}).Draw(t, "run"),
			Priority: rapid.IntRange(-2, 2).Draw(t, "priority"),
		}
	})
}

func TestQueueServesAsThePlainOneDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		plain := plainQueue{runs: map[string][]string{}}
		gates := []*gate{newGate(1), newGate(1), newGate(1)}
		ids := map[*waiter]int{}
		var in []*waiter // those in the queue
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				place, g := places().Draw(t, "place"), rapid.SampledFrom(gates).Draw(t, "gate")
				w := q.push(place, g)
				ids[w] = len(ids)
				in = append(in, w)
				plain.push(ids[w], place, g)
			},
			"pop": func(t *rapid.T) {
				closed := rapid.SliceOfDistinct(rapid.SampledFrom(gates), func(g *gate) *gate { return g }).Draw(t, "closed")
				open := func(g *gate) bool { return !slices.Contains(closed, g) }
				got, want := q.pop(open), plain.pop(open)
				if got == nil {
					if want >= 0 {
						t.Fatalf("nobody's turn, want %d", want)
					}
					return
				}
				if ids[got] != want {
					t.Fatalf("it is the turn of %d, want %d", ids[got], want)
				}
				in = slices.DeleteFunc(in, func(w *waiter) bool { return w == got })
				if q.remove(got) {
					t.Fatal("one that was served is still in the queue")
				}
			},
			"remove": func(t *rapid.T) {
				if len(in) == 0 {
					t.Skip("empty")
				}
				i := rapid.IntRange(0, len(in)-1).Draw(t, "which")
				if !q.remove(in[i]) {
					t.Fatal("one that waits is not in the queue")
				}
				plain.remove(ids[in[i]])
				in = slices.Delete(in, i, i+1)
			},
			"": func(t *rapid.T) {
				if q.size != len(in) {
					t.Fatalf("size %d, want %d", q.size, len(in))
				}
				if q.turns.Len() != len(q.tenants) || (len(in) == 0) != (len(q.tenants) == 0) {
					t.Fatalf("%d turns and %d tenants for %d waiters", q.turns.Len(), len(q.tenants), len(in))
				}
				for _, g := range gates {
					waiting := 0
					for _, w := range in {
						if w.gate == g {
							waiting++
						}
					}
					if n, some := q.gates[g]; n != waiting || some != (waiting > 0) {
						t.Fatalf("%d wait for a gate (%v), want %d", n, some, waiting)
					}
				}
			},
		})
	})
}

func TestQueueLetsNobodyStarve(t *testing.T) {
	tests := []struct {
		name        string
		many, three Place
	}{
		{"a tenant", Place{Tenant: "loud", Run: "a"}, Place{Tenant: "quiet", Run: "b"}},
		{"a run", Place{Tenant: "t", Run: "loud", Priority: 9}, Place{Tenant: "t", Run: "quiet"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var q queue
			g, open := newGate(1), func(*gate) bool { return true }
			for range 200 {
				q.push(test.many, g)
			}
			quiet := map[*waiter]bool{}
			for range 3 {
				quiet[q.push(test.three, g)] = true
			}
			for i := 1; len(quiet) > 0; i++ {
				delete(quiet, q.pop(open))
				if i == 6 && len(quiet) > 0 {
					t.Fatalf("after 6 turns %d of 3 still wait behind the 200", len(quiet))
				}
			}
		})
	}
}

func BenchmarkQueue(b *testing.B) {
	for _, waiting := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			var q queue
			g, open := newGate(1), func(*gate) bool { return true }
			place := func(i int) Place {
				return Place{Tenant: fmt.Sprint(i % 7), Run: fmt.Sprint(i % 101), Priority: i % 13}
			}
			for i := range waiting {
				q.push(place(i), g)
			}
			somewhere := place(5)
			b.ReportAllocs()
			for b.Loop() {
				q.push(somewhere, g)
				q.pop(open)
			}
		})
	}
}
