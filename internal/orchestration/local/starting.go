package local

import "context"

// begins notes that a run is being started, until started is called. Others may read
// of it as soon as its first events are durable, which is before it has a loop or queues.
func (d *Driver) begins(run string) (started func()) {
	known := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.starting[run] = known
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.starting, run)
		close(known)
	}
}

// known returns once the driver knows a run that is being started, or that there is
// none, at once for any other one.
func (d *Driver) known(ctx context.Context, run string) error {
	d.mu.Lock()
	known, starting := d.starting[run]
	d.mu.Unlock()
	if !starting {
		return nil
	}
	select {
	case <-known:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
