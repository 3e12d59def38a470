package orchestration

import (
	"cmp"
	"container/heap"
	"iter"
	"slices"
	"time"
)

// A schedule knows which subtasks can start, and how many have not ended: those
// that a later plan dropped too, while they are being aborted. It follows from the
// states of the subtasks: fold keeps it up to date, so that no event costs a look
// at the whole plan, and it is made anew from them when there is none.
type schedule struct {
	open    int             // subtasks that have not ended
	ready   queue           // whose dependencies have all ended; some may have been given up since
	instant queue           // of these, those that need no call
	retries queue           // that wait for their next attempt
	closing []*node         // composite ones of which a round may have ended
	added   []*SubtaskState // that have no node yet
	nodes   int
}

// A node is a subtask with its place in the graph.
type node struct {
	*SubtaskState
	place   int     // in the plan
	path    int     // subtasks on the longest path from it to an end, itself included
	needs   []*node // its dependencies
	awaits  int     // those that have not ended
	awaited []*node // those that depend on it, in plan order

	parent *node   // whose body it is of; nil: none
	rounds []round // of its own body; the first has the number 1
	open   int     // rounds of which something is left to be done
}

// A round is what a body was expanded to once.
type round struct {
	children []*node // in order
	open     int     // that have not ended
}

// in returns the subtasks of a round, in order; none where it has not begun.
func (n *node) in(round int) []*node {
	if round < 1 || round > len(n.rounds) {
		return nil
	}
	return n.rounds[round-1].children
}

// children returns those of every round, in order.
func (n *node) children() iter.Seq[*node] {
	return func(yield func(*node) bool) {
		for _, at := range n.rounds {
			for _, child := range at.children {
				if !yield(child) {
					return
				}
			}
		}
	}
}

// schedule returns the run's schedule. A version of the plan has it made anew.
func (r *Run) schedule() *schedule {
	if r.scheduled == nil {
		r.scheduled = newSchedule()
		r.scheduled.added = r.Subtasks
	}
	if len(r.scheduled.added) > 0 {
		r.scheduled.link(r)
	}
	return r.scheduled
}

// node returns the place of a subtask in the graph.
func (r *Run) node(s *SubtaskState) *node {
	r.schedule()
	return s.node
}

func newSchedule() *schedule {
	sc := new(schedule)
	sc.ready.before = func(a, b *node) int {
		return cmp.Or(cmp.Compare(b.path, a.path), cmp.Compare(a.place, b.place))
	}
	sc.instant.before = sc.ready.before
	sc.retries.before = func(a, b *node) int {
		return cmp.Or(a.RetryAt.Compare(b.RetryAt), cmp.Compare(a.place, b.place))
	}
	return sc
}

// link gives the added subtasks their places in the graph.
func (sc *schedule) link(r *Run) {
	first, nodes := sc.nodes, make([]node, len(sc.added))
	for i, s := range sc.added {
		nodes[i] = node{SubtaskState: s, place: first + i, needs: make([]*node, 0, len(s.DependsOn))}
		s.node = &nodes[i]
	}
	sc.nodes += len(nodes)
	sc.added = nil
	for i := range nodes {
		n := &nodes[i]
		if n.Parent != "" {
			n.parent = r.Subtask(n.Parent).node
			n.parent.adopt(n)
		}
		if n.Dropped > 0 {
			continue
		}
		for _, id := range n.DependsOn {
			on := r.Subtask(id).node
			n.needs = append(n.needs, on)
			on.awaited = append(on.awaited, n)
			if !on.Status.Ended() {
				n.awaits++
			}
		}
	}
	measurePaths(nodes, first)
	for i := range nodes {
		n := &nodes[i]
		if n.parent != nil {
			n.path += n.parent.path
		}
		if !n.Status.Ended() {
			sc.open++
		}
		if n.Kind.Composite() && n.Status == StatusRunning && !n.Calling {
			sc.closing = append(sc.closing, n)
		}
		sc.enqueue(n)
	}
}

// adopt takes a child.
func (n *node) adopt(child *node) {
	for len(n.rounds) < child.Round {
		n.rounds = append(n.rounds, round{})
	}
	at := &n.rounds[child.Round-1]
	at.children = append(at.children, child)
	if !child.Status.Ended() {
		if at.open++; at.open == 1 {
			n.open++
		}
	}
}

// measurePaths walks the nodes, whose places begin with first, from their ends
// backwards, each after all of them that depend on it.
func measurePaths(nodes []node, first int) {
	left := make([]int, len(nodes)) // dependants not yet measured
	measured := make([]*node, 0, len(nodes))
	for i := range nodes {
		if left[i] = len(nodes[i].awaited); left[i] == 0 {
			measured = append(measured, &nodes[i])
		}
	}
	for len(measured) > 0 {
		n := measured[0]
		measured = measured[1:]
		n.path++
		for _, on := range n.needs {
			if on.place < first {
				continue // it has been measured before, without this one
			}
			on.path = max(on.path, n.path)
			if left[on.place-first]--; left[on.place-first] == 0 {
				measured = append(measured, on)
			}
		}
	}
}

// changed follows a subtask to its new status.
func (sc *schedule) changed(s *SubtaskState) {
	n := s.node
	if !s.Status.Ended() {
		sc.enqueue(n)
		return
	}
	sc.open--
	if p := n.parent; p != nil {
		at := &p.rounds[n.Round-1]
		if at.open--; at.open == 0 {
			p.open--
			sc.closing = append(sc.closing, p)
		}
	}
	for _, dependant := range n.awaited {
		dependant.awaits--
		sc.enqueue(dependant)
	}
}

// enqueue puts a subtask where it waits to be started, if it can be.
func (sc *schedule) enqueue(n *node) {
	switch {
	case n.Status != StatusPending || n.awaits > 0:
	case n.retrying() && !n.due:
		heap.Push(&sc.retries, n)
	case n.retrying(), n.calls():
		heap.Push(&sc.ready, n)
	default:
		heap.Push(&sc.instant, n)
	}
}

// due has a subtask whose timer has come wait for nothing but room, whatever clocks
// say meanwhile.
func (sc *schedule) due(n *node) {
	n.due = true
	if i := slices.Index(sc.retries.nodes, n); i >= 0 {
		heap.Remove(&sc.retries, i)
		sc.wait(n)
	}
}

// wait has a subtask wait for room.
func (sc *schedule) wait(n *node) { heap.Push(&sc.ready, n) }

// closed takes a composite subtask of which a round has ended, nil if there is
// none.
func (sc *schedule) closed() *SubtaskState {
	for len(sc.closing) > 0 {
		n := sc.closing[0]
		sc.closing = sc.closing[1:]
		if n.Status == StatusRunning && !n.Calling && n.Dropped == 0 {
			return n.SubtaskState
		}
	}
	return nil
}

// next takes the subtask to be started next: one that needs no call or, if there
// is room for a call, of those that can be the one with the longest path still to
// go. It returns nil when there is none.
func (sc *schedule) next(now time.Time, room bool) *SubtaskState {
	if n := sc.instant.take(); n != nil {
		return n
	}
	if !room {
		return nil
	}
	for sc.retries.Len() > 0 && !sc.retries.nodes[0].RetryAt.After(now) {
		heap.Push(&sc.ready, heap.Pop(&sc.retries))
	}
	return sc.ready.take()
}
