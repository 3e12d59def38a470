package journal

import (
	"sync"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// watchers are those who asked to be told of a run's commits.
type watchers struct {
	mu    sync.Mutex // held while notifying, so that stop waits for a call under way
	byRun map[string]map[*watcher]struct{}
}

type watcher struct{ notify func(orchestration.Row) }

func (w *watchers) watch(run string, notify func(orchestration.Row)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byRun == nil {
		w.byRun = make(map[string]map[*watcher]struct{})
	}
	if w.byRun[run] == nil {
		w.byRun[run] = make(map[*watcher]struct{})
	}
	one := &watcher{notify}
	w.byRun[run][one] = struct{}{}
	return func() { w.drop(run, one) }
}

func (w *watchers) drop(run string, one *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byRun[run], one)
	if len(w.byRun[run]) == 0 {
		delete(w.byRun, run)
	}
}

// tell notifies the watchers of a row's run. The caller keeps the order of a
// run's commits.
func (w *watchers) tell(row orchestration.Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.byRun[row.ID] {
		one.notify(row)
	}
}

// signal wakes who waits for the channel, now or next: it holds one signal.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
