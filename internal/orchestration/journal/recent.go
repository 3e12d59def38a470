package journal

import (
	lists "container/list"
	"maps"
	"sync"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// maxRecent is how many bytes of events are kept in memory, counted as they are
// stored.
const maxRecent = 8 << 20

// recent keeps the events of the runs that were last appended to, each whole
// from its first event on: whoever follows a run, or waits for its end, finds
// them here and need not read and decode what was encoded a moment ago. What it
// has of a run is at any time all that is durable. The facts are shared by all
// who read them. A run larger than a quarter of the room is not kept, as it would
// drive out too many others. Those that have ended share an eighth: who waited
// for one reads it at once, and what stays of thousands is scattered over several
// times its own bytes.
type recent struct {
	room     int // bytes
	mu       sync.Mutex
	runs     map[string]*lists.Element
	going    recentRuns
	ended    recentRuns
	changing map[string]struct{} // runs whose writes are becoming durable
}

// recentRuns are runs in the order in which they were appended to.
type recentRuns struct {
	order lists.List // of *recentRun, the last one first
	bytes int
}

func (l *recentRuns) push(run *recentRun) *lists.Element {
	l.bytes += run.bytes
	return l.order.PushFront(run)
}

func (l *recentRuns) remove(at *lists.Element) {
	l.bytes -= l.order.Remove(at).(*recentRun).bytes
}

func (l *recentRuns) last() *recentRun { return l.order.Back().Value.(*recentRun) }

type recentRun struct {
	id     string
	row    orchestration.Row
	events []orchestration.Event
	bytes  int
}

func newRecent(room int) *recent {
	return &recent{room: room, runs: make(map[string]*lists.Element), changing: make(map[string]struct{})}
}

// begin is called before writes become durable: from then on, until end, the
// storage alone knows what there is of their runs.
func (r *recent) begin(batch []*write) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range batch {
		if one.entry != nil {
			r.changing[one.entry.row.id] = struct{}{}
		}
		for _, run := range one.deletes {
			r.changing[run] = struct{}{}
		}
	}
}

// end takes what has become of writes. Of a run with a write that failed the
// storage may have kept more than is known.
func (r *recent) end(batch []*write, failed error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.changing)
	for _, one := range batch {
		switch {
		case one.entry == nil:
		case failed != nil:
			r.forget(one.entry.row.id)
		case one.refused == nil:
			r.add(one.entry)
		}
		if failed != nil || one.refused == nil {
			for _, run := range one.deletes {
				r.forget(run)
			}
		}
	}
}

func (r *recent) add(e *entry) {
	at, known := r.runs[e.row.id]
	var run *recentRun
	switch {
	case known:
		run = at.Value.(*recentRun)
		r.listOf(run).remove(at)
	case e.After == 0:
		run = &recentRun{id: e.row.id}
	default:
		return // its first events are here no more
	}
	row := e.Row
	if known { // what is written once, with the run
		first := &run.row
		row.Task, row.Labels, row.Workflow, row.Simulated, row.CreatedAt = first.Task, first.Labels, first.Workflow, first.Simulated, first.CreatedAt
	}
	run.row, run.events = row, append(run.events, e.Events...)
	run.bytes += e.bytes
	r.runs[run.id] = r.listOf(run).push(run)
	if run.bytes > r.room/4 {
		r.forget(run.id)
	}
	for r.ended.bytes > r.room/8 && r.ended.order.Len() > 1 {
		r.forget(r.ended.last().id)
	}
	for r.going.bytes+r.ended.bytes > r.room {
		r.forget(r.going.last().id)
	}
}

// listOf returns the list that a run is in, by its row.
func (r *recent) listOf(run *recentRun) *recentRuns {
	if run.row.Status.Ended() {
		return &r.ended
	}
	return &r.going
}

func (r *recent) forget(run string) {
	if at, known := r.runs[run]; known {
		delete(r.runs, run)
		r.listOf(at.Value.(*recentRun)).remove(at)
	}
}

// forgetAll leaves all to the storage.
func (r *recent) forgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.runs)
	r.going, r.ended = recentRuns{}, recentRuns{}
}

// latest returns the run's row, if it knows it.
func (r *recent) latest(run string) (row orchestration.Row, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.runs[run]
	if _, changing := r.changing[run]; !known || changing {
		return orchestration.Row{}, false
	}
	row = at.Value.(*recentRun).row
	row.Labels = maps.Clone(row.Labels)
	return row, true
}

// after returns the run's events with a seq above that one, at most limit of
// them, if it knows them.
func (r *recent) after(run string, seq int64, limit int) (events []orchestration.Event, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.runs[run]
	if _, changing := r.changing[run]; !known || changing {
		return nil, false
	}
	events = at.Value.(*recentRun).events
	events = events[min(max(seq, 0), int64(len(events))):]
	if limit > 0 && limit < len(events) {
		events = events[:limit]
	}
	if len(events) == 0 {
		return nil, true
	}
	return events[:len(events):len(events)], true // who appends to them does so elsewhere
}
