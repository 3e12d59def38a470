package orchestration

import (
	"cmp"
	"container/heap"
	"time"
)

// A schedule knows which subtasks can start. It follows from the states of the
// subtasks: fold keeps it up to date, so that no event costs a look at the whole
// plan, and it is made anew from them when there is none.
type schedule struct {
	subtasks []*SubtaskState
	place    map[string]int
	open     int     // subtasks that have not ended
	awaits   []int   // by place: dependencies that have not ended
	awaited  [][]int // by place: those that depend on it
	paths    []int   // by place: subtasks on the longest path from it to an end, itself included
	ready    queue   // whose dependencies have all ended; some may have been given up since
	retries  queue   // that wait for their next attempt
}

// schedule returns the run's schedule. The plan must be complete.
func (r *Run) schedule() *schedule {
	if r.scheduled == nil {
		r.Subtask("") // makes the index
		r.scheduled = newSchedule(r.Subtasks, r.index)
	}
	return r.scheduled
}

func newSchedule(subtasks []*SubtaskState, place map[string]int) *schedule {
	n := len(subtasks)
	sc := &schedule{subtasks: subtasks, place: place, awaits: make([]int, n), awaited: make([][]int, n), paths: make([]int, n)}
	sc.ready.before = func(a, b int) int {
		return cmp.Or(cmp.Compare(sc.paths[b], sc.paths[a]), cmp.Compare(a, b))
	}
	sc.retries.before = func(a, b int) int {
		return cmp.Or(subtasks[a].RetryAt.Compare(subtasks[b].RetryAt), cmp.Compare(a, b))
	}
	for i, s := range subtasks {
		for _, id := range s.DependsOn {
			on := place[id]
			sc.awaited[on] = append(sc.awaited[on], i)
			if !subtasks[on].Status.Ended() {
				sc.awaits[i]++
			}
		}
	}
	sc.measurePaths()
	for i, s := range subtasks {
		if !s.Status.Ended() {
			sc.open++
		}
		sc.enqueue(i)
	}
	return sc
}

// measurePaths walks the plan from its ends backwards, each subtask after all
// that depend on it.
func (sc *schedule) measurePaths() {
	left := make([]int, len(sc.subtasks)) // dependants not yet measured
	var measured []int
	for i := range sc.subtasks {
		if left[i] = len(sc.awaited[i]); left[i] == 0 {
			measured = append(measured, i)
		}
	}
	for len(measured) > 0 {
		i := measured[0]
		measured = measured[1:]
		sc.paths[i]++
		for _, id := range sc.subtasks[i].DependsOn {
			on := sc.place[id]
			sc.paths[on] = max(sc.paths[on], sc.paths[i])
			if left[on]--; left[on] == 0 {
				measured = append(measured, on)
			}
		}
	}
}

// changed follows a subtask to its new status.
func (sc *schedule) changed(s *SubtaskState) {
	i := sc.place[s.ID]
	if !s.Status.Ended() {
		sc.enqueue(i)
		return
	}
	sc.open--
	for _, dependant := range sc.awaited[i] {
		sc.awaits[dependant]--
		sc.enqueue(dependant)
	}
}

// enqueue puts a subtask where it waits to be started, if it can be.
func (sc *schedule) enqueue(i int) {
	switch s := sc.subtasks[i]; {
	case s.Status != StatusPending || sc.awaits[i] > 0:
	case s.retrying():
		heap.Push(&sc.retries, i)
	default:
		heap.Push(&sc.ready, i)
	}
}

// next takes the subtask to be started next: of those that can be, the one with
// the longest path still to go. It returns nil when there is none.
func (sc *schedule) next(now time.Time) *SubtaskState {
	for sc.retries.Len() > 0 && !sc.subtasks[sc.retries.places[0]].RetryAt.After(now) {
		heap.Push(&sc.ready, heap.Pop(&sc.retries))
	}
	for sc.ready.Len() > 0 {
		if s := sc.subtasks[heap.Pop(&sc.ready).(int)]; s.Status == StatusPending {
			return s
		}
	}
	return nil
}

// dependants returns those that depend on s, in plan order.
func (sc *schedule) dependants(s *SubtaskState) []*SubtaskState {
	var found []*SubtaskState
	for _, i := range sc.awaited[sc.place[s.ID]] {
		found = append(found, sc.subtasks[i])
	}
	return found
}

// path returns the number of subtasks on the longest path from s to an end of
// the plan, s included.
func (sc *schedule) path(s *SubtaskState) int { return sc.paths[sc.place[s.ID]] }

// A queue of places, as container/heap wants it.
type queue struct {
	places []int
	before func(a, b int) int
}

func (q *queue) Len() int           { return len(q.places) }
func (q *queue) Less(i, j int) bool { return q.before(q.places[i], q.places[j]) < 0 }
func (q *queue) Swap(i, j int)      { q.places[i], q.places[j] = q.places[j], q.places[i] }
func (q *queue) Push(x any)         { q.places = append(q.places, x.(int)) }
func (q *queue) Pop() any {
	last := len(q.places) - 1
	x := q.places[last]
	q.places = q.places[:last]
	return x
}
