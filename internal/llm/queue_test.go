package llm

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A plainQueue says in the plainest way what a queue must do.
type plainQueue struct {
	tenants plainLedger
	runs    map[string]*plainLedger // by tenant
	waiting []plainWaiter           // by arrival
}

type plainWaiter struct {
	id    int
	place Place
	gate  *gate
	cost  int
}

// A plainLedger forgets nobody before it must.
type plainLedger struct {
	now   float64
	known map[string]*plainParty
	came  int
}

type plainParty struct {
	had, weight float64
	deadline    int64
	came        int // 0: it does not wait
}

func (l *plainLedger) come(name string, weight float64, deadline time.Time) {
	l.came++
	p := l.known[name]
	if p == nil {
		p = &plainParty{had: (math.Floor(l.now/roundTokens) + 1) * roundTokens}
		l.known[name] = p
	}
	if p.came > 0 {
		return
	}
	p.came, p.weight, p.deadline = l.came, weight, math.MaxInt64
	if !deadline.IsZero() {
		p.deadline = deadline.UnixNano()
	}
}

// order returns those who wait, the first one first.
func (l *plainLedger) order() []string {
	var names []string
	for name, p := range l.known {
		if p.came > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		p, q := l.known[a], l.known[b]
		return cmp.Or(
			cmp.Compare(math.Floor(p.had/roundTokens), math.Floor(q.had/roundTokens)),
			cmp.Compare(q.weight, p.weight), cmp.Compare(p.deadline, q.deadline),
			cmp.Compare(p.had, q.had), cmp.Compare(p.came, q.came))
	})
	return names
}

func (l *plainLedger) serve(name string, cost int) {
	p := l.known[name]
	l.now = max(l.now, p.had)
	p.had = max(p.had, (math.Floor(l.now/roundTokens)-roundsLag)*roundTokens) + float64(cost)/p.weight
	l.forget()
}

func (l *plainLedger) forget() {
	maps.DeleteFunc(l.known, func(_ string, p *plainParty) bool {
		return p.came == 0 && math.Floor(p.had/roundTokens) < math.Floor(l.now/roundTokens)
	})
}

func (q *plainQueue) push(id int, p Place, g *gate, cost int) {
	if len(q.waiting) == 0 {
		*q = plainQueue{tenants: plainLedger{known: map[string]*plainParty{}}, runs: map[string]*plainLedger{}}
	}
	if q.tenants.come(p.Tenant, 1, time.Time{}); q.tenants.known[p.Tenant].had >= 0 && q.runs[p.Tenant] == nil {
		q.runs[p.Tenant] = &plainLedger{known: map[string]*plainParty{}}
	}
	q.runs[p.Tenant].come(p.Run, p.Weight, p.Deadline)
	q.waiting = append(q.waiting, plainWaiter{id, p, g, cost})
}

func (q *plainQueue) pop(open func(*gate) bool) int {
	for _, tenant := range q.tenants.order() {
		for _, run := range q.runs[tenant].order() {
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
			w := q.waiting[best]
			q.tenants.serve(tenant, w.cost)
			q.runs[tenant].serve(run, w.cost)
			q.remove(w.id)
			return w.id
		}
	}
	return -1
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
		q.runs[gone.Tenant].known[gone.Run].came = 0
		q.runs[gone.Tenant].forget()
	}
	if !waits(gone.Tenant, "") {
		q.tenants.known[gone.Tenant].came = 0
		q.tenants.forget()
	}
	for tenant := range q.runs {
		if q.tenants.known[tenant] == nil {
			delete(q.runs, tenant)
		}
	}
}

func places() *rapid.Generator[Place] {
	return rapid.Custom(func(t *rapid.T) Place {
		p := Place{
			Tenant:   rapid.SampledFrom([]string{"t1", "t2", "t3"}).Draw(t, "tenant"),
			Run:      rapid.SampledFrom([]string{"r1", "r2", "r3"}).Draw(t, "run"),
			Priority: rapid.IntRange(-2, 2).Draw(t, "priority"),
		}
		p.Weight = map[string]float64{"r1": 1, "r2": 0.25, "r3": 8}[p.Run] // a run's place does not change
		if p.Run != "r1" {
			p.Deadline = time.Unix(int64(len(p.Tenant+p.Run)), 0)
		}
		return p
	})
}

func TestQueueServesAsThePlainOneDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var plain plainQueue
		gates := []*gate{newGate(1), newGate(1), newGate(1)}
		ids := map[*waiter]int{}
		var in []*waiter // those in the queue
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				place, g, cost := places().Draw(t, "place"), rapid.SampledFrom(gates).Draw(t, "gate"), rapid.IntRange(1, 30_000).Draw(t, "cost")
				w := q.push(place, g, cost)
				ids[w] = len(ids)
				in = append(in, w)
				plain.push(ids[w], place, g, cost)
			},
			"pop": func(t *rapid.T) {
				closed := rapid.SliceOfDistinct(rapid.SampledFrom(gates), func(g *gate) *gate { return g }).Draw(t, "closed")
				open := func(g *gate) bool { return !slices.Contains(closed, g) }
				got, _ := q.pop(open)
				want := plain.pop(open)
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
				checkLedgers(t, &q, in)
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

// checkLedgers holds a queue's ledgers against who waits in it.
func checkLedgers(t *rapid.T, q *queue, in []*waiter) {
	if len(in) == 0 {
		if q.tenants != nil {
			t.Fatal("something is known though nobody waits")
		}
		return
	}
	waits := map[string]map[string]bool{}
	for _, w := range in {
		tenant := w.run.tenant.name
		if waits[tenant] == nil {
			waits[tenant] = map[string]bool{}
		}
		waits[tenant][w.run.name] = true
	}
	if len(q.tenants.waiting) != len(waits) {
		t.Fatalf("%d tenants wait, want %d", len(q.tenants.waiting), len(waits))
	}
	for _, tenant := range q.tenants.parties {
		if len(tenant.runs.waiting) != len(waits[tenant.name]) || tenant.waits != (len(waits[tenant.name]) > 0) {
			t.Fatalf("%d runs of %s wait (%v), want %d", len(tenant.runs.waiting), tenant.name, tenant.waits, len(waits[tenant.name]))
		}
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
				q.push(place(i), g, 2000)
			}
			somewhere := place(5)
			b.ReportAllocs()
			for b.Loop() {
				q.push(somewhere, g, 2000)
				q.pop(open)
			}
		})
	}
}
