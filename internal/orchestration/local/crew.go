package local

import (
	"sync"
	"sync/atomic"
)

// maxIdle is how many goroutines are kept for calls to come.
const maxIdle = 128

// A crew calls functions on goroutines that it uses again. Sending a request to
// a model takes a deep stack, and growing one anew for every call was a
// twentieth of the CPU that a call takes.
type crew struct {
	work    chan func()
	closed  chan struct{}
	idle    atomic.Int64
	members sync.WaitGroup
}

func newCrew() *crew { return &crew{work: make(chan func()), closed: make(chan struct{})} }

// call has f called, on a goroutine that is idle if there is one.
func (c *crew) call(f func()) {
	select {
	case c.work <- f:
	default:
		c.members.Go(func() { c.serve(f) })
	}
}

func (c *crew) serve(f func()) {
	for {
		f()
		if c.idle.Add(1) > maxIdle {
			c.idle.Add(-1)
			return
		}
		select {
		case f = <-c.work:
			c.idle.Add(-1)
		case <-c.closed:
			return
		}
	}
}

// close waits for the functions being called. None may be called any more.
func (c *crew) close() {
	close(c.closed)
	c.members.Wait()
}
