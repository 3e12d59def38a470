package local

import (
	"sync"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// deltas hands pieces of text on to those who follow a run.
type deltas struct {
	mu        sync.RWMutex
	followers map[string]map[*follower]struct{} // by run
}

type follower struct{ notify func(orchestration.Delta) }

func (d *deltas) follow(run string, notify func(orchestration.Delta)) (stop func()) {
	f := &follower{notify}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.followers == nil {
		d.followers = map[string]map[*follower]struct{}{}
	}
	if d.followers[run] == nil {
		d.followers[run] = map[*follower]struct{}{}
	}
	d.followers[run][f] = struct{}{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.followers[run], f)
		if len(d.followers[run]) == 0 {
			delete(d.followers, run)
		}
	}
}

// followed reports whether anybody follows a run.
func (d *deltas) followed(run string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.followers[run]) > 0
}

func (d *deltas) tell(delta orchestration.Delta) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for f := range d.followers[delta.Run] {
		f.notify(delta)
	}
}
