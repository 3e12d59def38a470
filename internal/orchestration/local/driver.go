// Package local drives runs in this process: one loop a run takes its inputs
// one after the other, has the core decide, appends the events, and only then
// acts.
//
// What it promises: no command starts before the events that it follows from
// are durable; a run that this process lost, by a crash or by Stop, goes on
// with Resume from where its journal ends, on this machine or another one.
//
// What it does not: a call in flight when the process dies is made again, under
// the same idempotency key, as nobody knows how it ended.
package local

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A Journal makes events durable. Append returns nil only when they are, an
// error that wraps ErrUnavailable when the same append may succeed later, and
// ErrConflict when the run has moved on. Events returns none only where there are none.
type Journal interface {
	Append(ctx context.Context, c orchestration.Commit) error
	Events(ctx context.Context, run string, after int64, limit int) ([]orchestration.Event, error)
	Unfinished(ctx context.Context) ([]orchestration.Row, error)
}

// An Agent performs a MakePlan, Work, Compensate or Synthesize and returns its
// outcome, however it ends. It returns soon after ctx was canceled, with a failure
// of CodeCanceled if that cut it short.
type Agent interface {
	Perform(ctx context.Context, p orchestration.Performance) orchestration.Said
}

// ErrClosed is what whoever starts, cancels or decides is told once the driver is
// stopping.
var ErrClosed = fmt.Errorf("the driver is stopping: %w", orchestration.ErrOverloaded)

// Options of a Driver.
type Options struct {
	Journal Journal
	Agent   Agent
	Logger  *zap.Logger
	Funcs   orchestration.Funcs
	// Appended, if set, is told of events once they are durable, with the run
	// after them. It must not keep the run.
	Appended func(run *orchestration.Run, events []orchestration.Event)

	// MaxRuns is how many runs are at work at once; 0: any number. What is accepted
	// beyond queues. A run that waits for a person is not at work: it gives its place
	// to another one and, when it goes on, takes one again even if there is none.
	MaxRuns int
	// MaxQueued is how many runs queue; what comes then is refused.
	MaxQueued int
	// MaxRunsOf, if set, returns how many runs of a tenant there may be that have
	// not ended; 0: any number.
	MaxRunsOf func(tenant string) int
	// Shed, if set, reports whether the process has no room for another run.
	Shed func() bool
	// Random draws a number in [0, 1) for each input; nil: one that nobody can foresee.
	Random func() float64
}

// A Driver carries inputs to the runs of this process, and their commands to
// the world.
type Driver struct {
	options Options
	crew    *crew
	deltas  deltas

	stopping chan struct{}   // closed when nothing new may start
	calls    context.Context // of the calls in flight
	abort    context.CancelFunc
	closing  context.Context // of all else
	close    context.CancelFunc
	loops    sync.WaitGroup

	mu       sync.Mutex
	starting map[string]chan struct{} // runs whose Start is under way; closed at its end
	runs     map[string]*loop         // that have begun and have not ended
	admission
}

// New returns a driver that drives nothing yet.
func New(o Options) *Driver {
	if o.Appended == nil {
		o.Appended = func(*orchestration.Run, []orchestration.Event) {}
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	d := &Driver{options: o, crew: newCrew(), stopping: make(chan struct{})}
	d.starting, d.runs, d.of = map[string]chan struct{}{}, map[string]*loop{}, map[string]int{}
	d.closing, d.close = context.WithCancel(context.Background())
	d.calls, d.abort = context.WithCancel(d.closing) //nolint:gosec // Stop calls it, or closing does
	return d
}

// Start accepts a run. When it returns without an error, the run is durable and
// will be carried to its end: it has begun, or queues. The error is a *KeyTaken,
// unchanged, when the tenant used the idempotency key before, and ErrOverloaded
// or ErrTooManyRuns when there is no room for the run.
func (d *Driver) Start(ctx context.Context, spec *orchestration.Spec, attachments [][]byte, key *orchestration.Key) (orchestration.Row, error) {
	queued, err := d.admit(spec.Tenant)
	if err != nil {
		return orchestration.Row{}, err
	}
	defer d.loops.Done()
	accepted := false
	defer func() { // whatever becomes of it
		if !accepted {
			d.refuse(spec.Tenant, queued)
		}
	}()
	id := newID()
	defer d.begins(id)()
	run := orchestration.New(d.options.Funcs)
	events, commands, err := run.Step(d.input(orchestration.Start{ID: id, Spec: spec, Queue: queued}))
	if err != nil {
		return orchestration.Row{}, fmt.Errorf("start run: %w", err)
	}
	commit := commitOf(run, events, orchestration.Commit{Key: key, Attachments: attachments})
	// Once begun the append is not given up: its end would be unknown.
	if err := d.options.Journal.Append(context.WithoutCancel(ctx), commit); err != nil {
		return orchestration.Row{}, fmt.Errorf("start run: %w", err)
	}
	accepted = true
	d.options.Appended(run, events)
	if queued {
		d.enqueue(spec.Tenant, run.ID)
		return commit.Row, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.launch(&loop{id: run.ID, tenant: spec.Tenant, run: run, commands: commands})
	return commit.Row, nil
}

// commitOf completes the commit of a run's last events.
func commitOf(run *orchestration.Run, events []orchestration.Event, c orchestration.Commit) orchestration.Commit {
	c.Events, c.Row = events, run.Row()
	c.Settled, c.Deliveries, c.Cached = run.Settles(events), run.Owes(events), run.Caches(events)
	return c
}

// heardWithin is how long a cancel may take to be durable.
const heardWithin = 10 * time.Second

// Cancel says to a run that its caller gives it up. It returns nil once that is
// durable. The error is ErrNotFound when this process drives no such run, or it has
// ended, ErrClosed when it is stopping and hears it no more, and one that wraps
// ErrUnavailable when it is not durable in time: it may be heard all the same.
func (d *Driver) Cancel(ctx context.Context, run, detail string) error {
	ctx, stop := context.WithTimeoutCause(ctx, heardWithin, fmt.Errorf("the cancel is not durable yet: %w", orchestration.ErrUnavailable))
	defer stop()
	h := heard{said: orchestration.Cancel{Detail: detail}, answer: make(chan error, 1)}
	err := d.known(ctx, run)
	if err != nil {
		return err
	}
	d.mu.Lock()
	l, begun := d.runs[run]
	if !begun {
		l, err = d.cancelWaiting(run, h)
	}
	d.mu.Unlock()
	switch {
	case err != nil:
		return err
	case begun:
		err = l.ask(ctx, h)
	default:
		err = l.answered(ctx, h)
	}
	if errors.Is(err, orchestration.ErrNotWaiting) { // it has ended
		return orchestration.ErrNotFound
	}
	return err
}

// cancelWaiting takes a run up that has not begun in this process, for it to be
// canceled. The lock is held.
func (d *Driver) cancelWaiting(run string, h heard) (*loop, error) {
	if d.isStopping() {
		return nil, ErrClosed
	}
	l, inputs := d.takeSuspect(run), []heard{h, {said: orchestration.Resume{}}} // in this order, so that its calls are not made again
	if l == nil {
		tenant, queued := d.queue.leave(run)
		if !queued {
			return nil, orchestration.ErrNotFound
		}
		l, inputs = &loop{id: run, tenant: tenant}, inputs[:1]
	}
	d.begun++
	d.launch(l, inputs...)
	return l, nil
}

// Deltas has notify told of each piece of text that a run's models write, from
// many goroutines, until stop is called. It must not block.
func (d *Driver) Deltas(run string, notify func(orchestration.Delta)) (stop func()) {
	return d.deltas.follow(run, notify)
}

// lastWords is how long aborted calls have, all together, to be heard.
const lastWords = 5 * time.Second

// Stop starts nothing new, lets the calls in flight end until ctx does, then
// aborts them, and returns when nothing runs any more. What ended is in the
// journal. The runs that have not ended can be resumed. Stopping again does
// nothing more.
func (d *Driver) Stop(ctx context.Context) {
	d.mu.Lock() // no run is launched once the loops are waited for
	select {
	case <-d.stopping:
		d.mu.Unlock()
		d.loops.Wait()
		return
	default:
		close(d.stopping)
	}
	d.mu.Unlock()
	aborted := context.AfterFunc(ctx, d.abort)
	closed := context.AfterFunc(d.calls, func() { time.AfterFunc(lastWords, d.close) })
	d.loops.Wait()
	aborted()
	closed()
	d.close()
	d.crew.close()
}

// Close stops at once.
func (d *Driver) Close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d.Stop(ctx)
}

// replayPage is how many events are read at a time.
const replayPage = 500

// replay folds a run from its journal and shows each event. There are events up to that
// seq at least.
func (d *Driver) replay(ctx context.Context, id string, known int64, show func(orchestration.Event)) (*orchestration.Run, error) {
	run := orchestration.New(d.options.Funcs)
	for {
		events, err := d.options.Journal.Events(ctx, id, run.Seq, replayPage)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			run.Replay(e)
			show(e)
		}
		if len(events) == 0 || known > 0 && run.Seq >= known && len(events) < replayPage {
			return run, nil
		}
	}
}

// newID returns an id that no other run has and that sorts by time (UUIDv7, RFC 9562).
func newID() string {
	id := uuid.Must(uuid.NewV7())
	return "run_" + hex.EncodeToString(id[:])
}

func (d *Driver) input(said orchestration.Said) orchestration.Input {
	return orchestration.Input{Time: time.Now().UTC().Round(0), Random: d.options.Random(), Said: said}
}
