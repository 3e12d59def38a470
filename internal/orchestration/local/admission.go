package local

import "github.com/tutti-run/tutti/internal/orchestration"

// An admission says how many runs there are.
type admission struct {
	begun   int   // that have begun, or are about to
	joining int   // that are about to queue
	queue   queue // of those that have not begun
}

// admit finds room for a run: among those that have begun, otherwise in the
// queue. Stop waits for what was admitted until loops.Done.
func (d *Driver) admit() (queued bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := &d.options
	switch {
	case d.isStopping():
		return false, ErrClosed
	case o.Shed != nil && o.Shed():
		return false, orchestration.ErrOverloaded
	case o.MaxRuns <= 0 || d.begun < o.MaxRuns && d.queue.size == 0:
		d.begun++
	case d.queue.size+d.joining >= o.MaxQueued:
		return false, orchestration.ErrOverloaded
	default:
		queued = true
		d.joining++
	}
	d.loops.Add(1)
	return queued, nil
}

// refuse gives back the room of a run that was admitted and is none.
func (d *Driver) refuse(queued bool) {
	d.mu.Lock()
	if queued {
		d.joining--
	} else {
		d.begun--
	}
	d.mu.Unlock()
	d.beginNext()
}

// enqueue has a run queue that was admitted to.
func (d *Driver) enqueue(tenant, run string) {
	d.mu.Lock()
	d.joining--
	d.queue.join(tenant, run)
	d.mu.Unlock()
	d.beginNext()
}

// beginNext begins the runs that queue, as long as there is room for them.
func (d *Driver) beginNext() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.isStopping() && (d.options.MaxRuns <= 0 || d.begun < d.options.MaxRuns) {
		run, ok := d.queue.next()
		if !ok {
			return
		}
		d.begun++
		d.launch(&loop{id: run}, orchestration.Begin{})
	}
}

// launch has a run's loop begin with inputs. The lock is held, and the run is
// among those that have begun.
func (d *Driver) launch(l *loop, first ...orchestration.Said) {
	l.init(d)
	d.runs[l.id] = l
	d.loops.Go(func() {
		l.drive(first)
		d.mu.Lock()
		delete(d.runs, l.id)
		d.begun--
		d.mu.Unlock()
		d.beginNext()
	})
}

// isStopping reports whether nothing new may start.
func (d *Driver) isStopping() bool {
	select {
	case <-d.stopping:
		return true
	default:
		return false
	}
}

// Queued returns how many runs have not begun.
func (d *Driver) Queued() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.queue.size
}
