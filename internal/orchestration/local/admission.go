package local

import "github.com/tutti-run/tutti/internal/orchestration"

// An admission says how many runs there are.
type admission struct {
	begun    int            // that have begun, or are about to, and do not wait for a person
	joining  int            // that are about to queue
	queue    queue          // of those that have not begun
	suspects []*loop        // that are yet to be taken up: see tryOut
	of       map[string]int // all of these, by tenant
}

// Room returns the error that a run of the tenant would be refused with if it came now, so
// that a caller need not make one first.
func (d *Driver) Room(tenant string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.room(tenant)
	return err
}

// room says where there is room for a run: among those that have begun,
// otherwise in the queue. The lock is held.
func (d *Driver) room(tenant string) (queue bool, err error) {
	o := &d.options
	switch {
	case d.isStopping():
		return false, ErrClosed
	case o.Shed != nil && o.Shed():
		return false, orchestration.ErrOverloaded
	case o.MaxRunsOf != nil && o.MaxRunsOf(tenant) > 0 && d.of[tenant] >= o.MaxRunsOf(tenant):
		return false, orchestration.ErrTooManyRuns
	case o.MaxRuns <= 0 || d.begun < o.MaxRuns && d.queue.size == 0:
		return false, nil
	case d.queue.size+d.joining >= o.MaxQueued:
		return false, orchestration.ErrOverloaded
	}
	return true, nil
}

// admit takes room for a run. Stop waits for what was admitted until loops.Done.
func (d *Driver) admit(tenant string) (queued bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if queued, err = d.room(tenant); err != nil {
		return false, err
	}
	if queued {
		d.joining++
	} else {
		d.begun++
	}
	d.of[tenant]++
	d.loops.Add(1)
	return queued, nil
}

// refuse gives back the room of a run that was admitted and is none.
func (d *Driver) refuse(tenant string, queued bool) {
	d.mu.Lock()
	d.gone(tenant)
	if queued {
		d.joining--
	} else {
		d.begun--
	}
	d.mu.Unlock()
	d.beginNext()
}

// gone counts one run less of a tenant. The lock is held.
func (d *Driver) gone(tenant string) {
	if d.of[tenant]--; d.of[tenant] == 0 {
		delete(d.of, tenant)
	}
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
		tenant, run, ok := d.queue.next()
		if !ok {
			return
		}
		d.begun++
		d.launch(&loop{id: run, tenant: tenant}, heard{said: orchestration.Begin{}})
	}
}

// launch has a run's loop begin with inputs. The lock is held, and the run is
// among those that have begun, unless it waits for a person.
func (d *Driver) launch(l *loop, first ...heard) {
	l.init(d)
	d.runs[l.id] = l
	d.loops.Go(func() {
		l.drive(first)
		d.mu.Lock()
		delete(d.runs, l.id)
		if !l.waits {
			d.begun--
		}
		d.gone(l.tenant)
		d.mu.Unlock()
		d.beginNext()
	})
}

// keepPlace has a run that begins to wait for a person give its place to another one,
// and one that goes on take a place, even if there is none.
func (l *loop) keepPlace() {
	d, waits := l.driver, l.run.Status == orchestration.StatusWaiting
	if waits == l.waits {
		return
	}
	d.mu.Lock()
	if l.waits = waits; waits {
		d.begun--
	} else {
		d.begun++
	}
	d.mu.Unlock()
	d.beginNext()
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

// Drives reports whether a run is under way in this process, or is about to be. One
// that queues is not.
func (d *Driver) Drives(run string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, starting := d.starting[run]
	return starting || d.runs[run] != nil || d.suspect(run) >= 0
}

// Queued returns how many runs have not begun.
func (d *Driver) Queued() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.queue.size + d.joining
}
