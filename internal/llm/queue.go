package llm

import (
	"container/heap"
	"container/list"
)

// A queue orders the requests that wait for a slot and for their gate: round
// the tenants, round each tenant's runs, and within a run the highest priority
// first, then first come. Whoever's gate is closed is passed over: it keeps its
// turn, and holds up nobody behind it. The queue holds only what waits, so that
// it is empty when nobody does. It is not safe for concurrent use.
type queue struct {
	tenants map[string]*tenant
	turns   list.List     // of *tenant; the first one is served next
	gates   map[*gate]int // how many wait for each; never 0
	size    int
	arrival uint64 // of the last waiter
}

// A tenant has at least one run that waits.
type tenant struct {
	name  string
	turn  *list.Element // in queue.turns
	runs  map[string]*run
	turns list.List // of *run; the first one is served next
}

// A run has at least one waiter.
type run struct {
	name    string
	tenant  *tenant
	turn    *list.Element      // in tenant.turns
	waiters map[*gate]*waiters // none of them empty
}

// A waiter is one request in the queue.
type waiter struct {
	run      *run
	gate     *gate
	priority int
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
func (q *queue) push(p Place, g *gate) *waiter {
	t := q.tenants[p.Tenant]
	if t == nil {
		t = &tenant{name: p.Tenant, runs: make(map[string]*run, 1)}
		t.turn = q.turns.PushBack(t)
		if q.tenants == nil {
			q.tenants = make(map[string]*tenant)
		}
		q.tenants[p.Tenant] = t
	}
	r := t.runs[p.Run]
	if r == nil {
		r = &run{name: p.Run, tenant: t, waiters: make(map[*gate]*waiters, 1)}
		r.turn = t.turns.PushBack(r)
		t.runs[p.Run] = r
	}
	q.arrival++
	q.size++
	if q.gates == nil {
		q.gates = make(map[*gate]int, 1)
	}
	q.gates[g]++
	w := &waiter{run: r, gate: g, priority: p.Priority, arrival: q.arrival, granted: make(chan struct{})}
	if r.waiters[g] == nil {
		r.waiters[g] = new(waiters)
	}
	heap.Push(r.waiters[g], w)
	return w
}

// pop removes the waiter whose turn it is among those whose gate is open, nil
// when there is none. Its run and its tenant then go to the end of their rounds.
func (q *queue) pop(open func(*gate) bool) *waiter {
	for e := q.turns.Front(); e != nil; e = e.Next() {
		t := e.Value.(*tenant)
		for e := t.turns.Front(); e != nil; e = e.Next() {
			r := e.Value.(*run)
			w := r.first(open)
			if w == nil {
				continue
			}
			t.turns.MoveToBack(r.turn)
			q.turns.MoveToBack(t.turn)
			q.remove(w)
			return w
		}
	}
	return nil
}

// first returns the run's next waiter whose gate is open, or nil.
func (r *run) first(open func(*gate) bool) *waiter {
	var first *waiter
	for g, all := range r.waiters {
		if w := (*all)[0]; open(g) && (first == nil || w.before(first)) {
			first = w
		}
	}
	return first
}

// remove takes a waiter out of the queue, and reports whether it was in it.
func (q *queue) remove(w *waiter) bool {
	if w.index < 0 {
		return false
	}
	r, t := w.run, w.run.tenant
	heap.Remove(r.waiters[w.gate], w.index)
	if q.gates[w.gate]--; q.gates[w.gate] == 0 {
		delete(q.gates, w.gate)
	}
	q.size--
	if r.waiters[w.gate].Len() == 0 {
		delete(r.waiters, w.gate)
	}
	if len(r.waiters) == 0 {
		t.turns.Remove(r.turn)
		delete(t.runs, r.name)
	}
	if t.turns.Len() == 0 {
		q.turns.Remove(t.turn)
		delete(q.tenants, t.name)
	}
	return true
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
