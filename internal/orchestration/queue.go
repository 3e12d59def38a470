package orchestration

import "container/heap"

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

// take takes the first node that is still to be started, nil if there is none.
func (q *queue) take() *SubtaskState {
	for q.Len() > 0 {
		if n := heap.Pop(q).(*node); n.Status == StatusPending {
			return n.SubtaskState
		}
	}
	return nil
}
