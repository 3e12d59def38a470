package llm

import (
	"container/heap"
	"slices"
	"time"
)

// A queue orders the requests that wait for a slot and for their gate: fairly
// between the tenants, fairly between each tenant's runs (see [ledger]), and
// within a run the highest priority first, then first come. Whoever's gate is
// closed is passed over: it keeps its turn, and holds up nobody behind it. When
// nobody waits any more all is forgotten, since nobody was kept waiting by what
// comes then. It is not safe for concurrent use.
type queue struct {
	tenants *ledger       // nil: nobody waits
	gates   map[*gate]int // how many wait for each; never 0
	size    int
	arrival uint64 // of the last waiter
}

// A waiter is one request in the queue.
type waiter struct {
	run      *party
	gate     *gate
	priority int
	cost     int // that is expected, in tokens
	arrival  uint64
	index    int           // in its waiters; -1 once it has left the queue
	pass     pass          // once granted
	granted  chan struct{} // closed when it is given a slot
}

// before reports whether a waiter comes before another one of its run.
func (w *waiter) before(other *waiter) bool {
	if w.priority != other.priority {
		return w.priority > other.priority
	}
	return w.arrival < other.arrival
}

// push adds a waiter at its place.
func (q *queue) push(p Place, g *gate, cost int) *waiter {
	if q.tenants == nil {
		q.tenants = new(ledger)
	}
	t := q.tenants.come(p.Tenant, 1, time.Time{})
	if t.runs == nil {
		t.runs = new(ledger)
	}
	r := t.runs.come(p.Run, p.Weight, p.Deadline)
	r.tenant = t
	q.arrival++
	q.size++
	if q.gates == nil {
		q.gates = make(map[*gate]int, 1)
	}
	q.gates[g]++
	w := &waiter{run: r, gate: g, priority: p.Priority, cost: cost, arrival: q.arrival, granted: make(chan struct{})}
	heap.Push(&r.lane(g).waiters, w)
	return w
}

// pop removes the waiter whose turn it is among those whose gate is open, nil
// when there is none, and charges its run and its tenant. Their bill is to be
// settled once it is known what the turn has cost; who was served alone owes
// nothing to anybody.
func (q *queue) pop(open func(*gate) bool) (*waiter, bill) {
	if q.tenants == nil {
		return nil, bill{}
	}
	var w *waiter
	q.tenants.waiting.first(0, nil, func(t *party) bool {
		r := t.runs.waiting.first(0, nil, func(r *party) bool { return r.next(open) != nil })
		if r == nil {
			return false
		}
		w = r.next(open)
		return true
	})
	if w == nil {
		return nil, bill{}
	}
	b := bill{charged: w.cost}
	r, t := w.run, w.run.tenant
	if t.runs.serve(r, w.cost) {
		b.run = r
	}
	if q.tenants.serve(t, w.cost) {
		b.tenant = t
	}
	q.remove(w)
	return w, b
}

// next returns the run's next waiter whose gate is open, or nil.
func (p *party) next(open func(*gate) bool) *waiter {
	var first *waiter
	for _, l := range p.lanes {
		if w := l.waiters[0]; open(l.gate) && (first == nil || w.before(first)) {
			first = w
		}
	}
	return first
}

// lane returns the run's lane to a gate.
func (p *party) lane(g *gate) *lane {
	for _, l := range p.lanes {
		if l.gate == g {
			return l
		}
	}
	l := &lane{gate: g}
	p.lanes = append(p.lanes, l)
	return l
}

// remove takes a waiter out of the queue, and reports whether it was in it.
func (q *queue) remove(w *waiter) bool {
	if w.index < 0 {
		return false
	}
	r, t := w.run, w.run.tenant
	l := r.lane(w.gate)
	heap.Remove(&l.waiters, w.index)
	if q.gates[w.gate]--; q.gates[w.gate] == 0 {
		delete(q.gates, w.gate)
	}
	q.size--
	if len(l.waiters) == 0 {
		r.lanes = slices.DeleteFunc(r.lanes, func(other *lane) bool { return other == l })
	}
	if len(r.lanes) == 0 {
		t.runs.leave(r)
	}
	if len(t.runs.waiting) == 0 {
		q.tenants.leave(t)
	}
	if q.size == 0 {
		q.tenants = nil
	}
	return true
}

// A lane is those of a run who wait for one gate.
type lane struct {
	gate    *gate
	waiters waiters
}

// waiters is a heap, the next one first.
type waiters []*waiter

func (h waiters) Len() int { return len(h) }

func (h waiters) Less(i, j int) bool { return h[i].before(h[j]) }

func (h waiters) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push adds a waiter at the end, for package heap.
func (h *waiters) Push(x any) {
	w := x.(*waiter)
	w.index = len(*h)
	*h = append(*h, w)
}

// Pop takes the last waiter away, for package heap.
func (h *waiters) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	w.index = -1
	return w
}
