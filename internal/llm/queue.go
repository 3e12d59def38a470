package llm

import (
	"container/heap"
	"container/list"
)

// A queue orders the requests that wait for a slot: round the tenants, round
// each tenant's runs, and within a run the highest priority first, then first
// come. It holds only what waits, so that it is empty when nobody does. It is
// not safe for concurrent use.
type queue struct {
	tenants map[string]*tenant
	turns   list.List // of *tenant; the first one is served next
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
	turn    *list.Element // in tenant.turns
	waiters waiters
}

// A waiter is one request in the queue.
type waiter struct {
	run      *run
	priority int
	arrival  uint64
	index    int           // in run.waiters; -1 once it has left the queue
	granted  chan struct{} // closed when it is given a slot
}

// push adds a waiter at its place.
func (q *queue) push(p Place) *waiter {
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
		r = &run{name: p.Run, tenant: t}
		r.turn = t.turns.PushBack(r)
		t.runs[p.Run] = r
	}
	q.arrival++
	q.size++
	w := &waiter{run: r, priority: p.Priority, arrival: q.arrival, granted: make(chan struct{})}
	heap.Push(&r.waiters, w)
	return w
}

// pop removes the waiter whose turn it is, nil when nobody waits. Its run and
// its tenant then go to the end of their rounds.
func (q *queue) pop() *waiter {
	first := q.turns.Front()
	if first == nil {
		return nil
	}
	t := first.Value.(*tenant)
	r := t.turns.Front().Value.(*run)
	w := r.waiters[0]
	t.turns.MoveToBack(r.turn)
	q.turns.MoveToBack(t.turn)
	q.remove(w)
	return w
}

// remove takes a waiter out of the queue, and reports whether it was in it.
func (q *queue) remove(w *waiter) bool {
	if w.index < 0 {
		return false
	}
	r, t := w.run, w.run.tenant
	heap.Remove(&r.waiters, w.index)
	q.size--
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

func (h waiters) Less(i, j int) bool {
	if h[i].priority != h[j].priority {
		return h[i].priority > h[j].priority
	}
	return h[i].arrival < h[j].arrival
}

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
