package orchestration

import (
	"cmp"
	"container/heap"
	"time"
)

// A schedule knows which subtasks can start, and how many have not ended: those
// that a later plan dropped too, while they are being aborted. It follows from the states of the
// subtasks: fold keeps it up to date, so that no event costs a look at the whole
// plan, and it is made anew from them when there is none.
type schedule struct {
	open    int   // subtasks that have not ended
	ready   queue // whose dependencies have all ended; some may have been given up since
	retries queue // that wait for their next attempt
}

// A node is a subtask with its place in the graph.
type node struct {
	*SubtaskState
	place   int     // in the plan
	path    int     // subtasks on the longest path from it to an end, itself included
	needs   []*node // its dependencies
	awaits  int     // those that have not ended
	awaited []*node // those that depend on it, in plan order
}

// schedule returns the run's schedule. The plan must be complete.
func (r *Run) schedule() *schedule {
	if r.scheduled == nil {
		r.scheduled = r.newSchedule()
	}
	return r.scheduled
}

// node returns the place of a subtask in the graph.
func (r *Run) node(s *SubtaskState) *node {
	r.schedule()
	return s.node
}

func (r *Run) newSchedule() *schedule {
	sc := new(schedule)
	sc.ready.before = func(a, b *node) int {
		return cmp.Or(cmp.Compare(b.path, a.path), cmp.Compare(a.place, b.place))
	}
	sc.retries.before = func(a, b *node) int {
		return cmp.Or(a.RetryAt.Compare(b.RetryAt), cmp.Compare(a.place, b.place))
	}
	nodes := make([]node, len(r.Subtasks))
	for i, s := range r.Subtasks {
		nodes[i] = node{SubtaskState: s, place: i, needs: make([]*node, 0, len(s.DependsOn))}
		s.node = &nodes[i]
	}
	for i := range nodes {
		n := &nodes[i]
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
	measurePaths(nodes)
	for i := range nodes {
		if !nodes[i].Status.Ended() {
			sc.open++
		}
		sc.enqueue(&nodes[i])
	}
	return sc
}

// measurePaths walks the plan from its ends backwards, each subtask after all
// that depend on it.
func measurePaths(nodes []node) {
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
			on.path = max(on.path, n.path)
			if left[on.place]--; left[on.place] == 0 {
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
	for _, dependant := range n.awaited {
		dependant.awaits--
		sc.enqueue(dependant)
	}
}

// enqueue puts a subtask where it waits to be started, if it can be.
func (sc *schedule) enqueue(n *node) {
	switch {
	case n.Status != StatusPending || n.awaits > 0:
	case n.retrying():
		heap.Push(&sc.retries, n)
	default:
		heap.Push(&sc.ready, n)
	}
}

// next takes the subtask to be started next: of those that can be, the one with
// the longest path still to go. It returns nil when there is none.
func (sc *schedule) next(now time.Time) *SubtaskState {
	for sc.retries.Len() > 0 && !sc.retries.nodes[0].RetryAt.After(now) {
		heap.Push(&sc.ready, heap.Pop(&sc.retries))
	}
	for sc.ready.Len() > 0 {
		if n := heap.Pop(&sc.ready).(*node); n.Status == StatusPending {
			return n.SubtaskState
		}
	}
	return nil
}

// A queue of nodes, as container/heap wants it.
type queue struct {
	nodes  []*node
	before func(a, b *node) int
}

func (q *queue) Len() int           { return len(q.nodes) }
func (q *queue) Less(i, j int) bool { return q.before(q.nodes[i], q.nodes[j]) < 0 }
func (q *queue) Swap(i, j int)      { q.nodes[i], q.nodes[j] = q.nodes[j], q.nodes[i] }
func (q *queue) Push(x any)         { q.nodes = append(q.nodes, x.(*node)) }
func (q *queue) Pop() any {
	last := len(q.nodes) - 1
	n := q.nodes[last]
	q.nodes[last] = nil
	q.nodes = q.nodes[:last]
	return n
}
