// Package local drives runs in this process: one loop a run takes its inputs
// one after the other, has the core decide, appends the events, and only then
// acts.
//
// What it promises: no command starts before the events that it follows from
// are durable; a run that this process lost, by a crash or by Close, goes on
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
// ErrConflict when the run has moved on.
type Journal interface {
	Append(ctx context.Context, c orchestration.Commit) error
	Events(ctx context.Context, run string, after int64, limit int) ([]orchestration.Event, error)
	Unfinished(ctx context.Context) ([]orchestration.Row, error)
}

// An Agent performs a MakePlan, Work or Synthesize and returns its outcome,
// however it ends. It returns soon after ctx was canceled.
type Agent interface {
	Perform(ctx context.Context, p orchestration.Performance) orchestration.Said
}

// ErrClosed is what Start returns once the driver is closing.
var ErrClosed = errors.New("the driver is closed")

// Options of a Driver.
type Options struct {
	Journal Journal
	Agent   Agent
	Logger  *zap.Logger
	// Appended, if set, is told of events once they are durable, with the run
	// after them. It must not keep the run.
	Appended func(run *orchestration.Run, events []orchestration.Event)
}

// A Driver carries inputs to the runs of this process, and their commands to
// the world.
type Driver struct {
	options Options
	closing context.Context
	close   context.CancelFunc
	loops   sync.WaitGroup
	crew    *crew
	deltas  deltas

	mu   sync.Mutex
	runs map[string]*loop // that have not ended
}

// New returns a driver that drives nothing yet.
func New(o Options) *Driver {
	closing, cancel := context.WithCancel(context.Background())
	if o.Appended == nil {
		o.Appended = func(*orchestration.Run, []orchestration.Event) {}
	}
	return &Driver{options: o, closing: closing, close: cancel, crew: newCrew(), runs: map[string]*loop{}}
}

// Start begins a run. When it returns without an error, the run is durable and
// will be carried to its end. The error is a *KeyTaken, unchanged, when the
// tenant used the idempotency key before.
func (d *Driver) Start(ctx context.Context, spec *orchestration.Spec, attachments [][]byte, key *orchestration.Key) (orchestration.Row, error) {
	if d.closing.Err() != nil {
		return orchestration.Row{}, ErrClosed
	}
	l := newLoop(d, orchestration.New(orchestration.Funcs{}))
	events, commands, err := l.run.Step(input(orchestration.Start{ID: newID(), Spec: spec}))
	if err != nil {
		return orchestration.Row{}, fmt.Errorf("start run: %w", err)
	}
	row := l.run.Row()
	// Once begun the append is not given up: its end would be unknown.
	err = d.options.Journal.Append(context.WithoutCancel(ctx), orchestration.Commit{
		Events: events, Row: row, Key: key, Attachments: attachments,
	})
	if err != nil {
		return orchestration.Row{}, fmt.Errorf("start run: %w", err)
	}
	d.options.Appended(l.run, events)
	d.launch(l, commands)
	return row, nil
}

// Resume goes on with every run that has not ended, where its journal ends.
func (d *Driver) Resume(ctx context.Context) error {
	rows, err := d.options.Journal.Unfinished(ctx)
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	for _, row := range rows {
		run, err := replay(ctx, d.options.Journal, row.ID, func(orchestration.Event) {})
		if err != nil {
			return fmt.Errorf("resume run %s: %w", row.ID, err)
		}
		if !run.Done() {
			d.launch(newLoop(d, run), run.Outstanding())
		}
	}
	return nil
}

// Cancel says to a run that its caller gives it up. ErrNotFound: this process
// drives no such run, or it has ended.
func (d *Driver) Cancel(_ context.Context, run, detail string) error {
	d.mu.Lock()
	l, ok := d.runs[run]
	d.mu.Unlock()
	if !ok || !l.say(heard{said: orchestration.Cancel{Detail: detail}}) {
		return orchestration.ErrNotFound
	}
	return nil
}

// Deltas has notify told of each piece of text that a run's models write, from
// many goroutines, until stop is called. It must not block.
func (d *Driver) Deltas(run string, notify func(orchestration.Delta)) (stop func()) {
	return d.deltas.follow(run, notify)
}

// Close aborts all calls and returns when nothing runs any more. The runs that
// have not ended can be resumed. Closing again does nothing more.
func (d *Driver) Close() {
	d.mu.Lock() // no run is launched once the loops are waited for
	again := d.closing.Err() != nil
	d.close()
	d.mu.Unlock()
	d.loops.Wait()
	if !again {
		d.crew.close()
	}
}

// launch has a run's loop begin with commands that are outstanding.
func (d *Driver) launch(l *loop, commands []orchestration.Command) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing.Err() != nil {
		return // the run is in the journal, to be resumed
	}
	d.runs[l.run.ID] = l
	d.loops.Go(func() {
		l.drive(commands)
		d.mu.Lock()
		delete(d.runs, l.run.ID)
		d.mu.Unlock()
	})
}

// replayPage is how many events are read at a time.
const replayPage = 500

// replay folds a run from its journal and shows each event.
func replay(ctx context.Context, j Journal, id string, show func(orchestration.Event)) (*orchestration.Run, error) {
	run := orchestration.New(orchestration.Funcs{})
	for {
		events, err := j.Events(ctx, id, run.Seq, replayPage)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			run.Replay(e)
			show(e)
		}
		if len(events) < replayPage {
			return run, nil
		}
	}
}

// newID returns an id that no other run has and that sorts by time (UUIDv7, RFC 9562).
func newID() string {
	id := uuid.Must(uuid.NewV7())
	return "run_" + hex.EncodeToString(id[:])
}

func input(said orchestration.Said) orchestration.Input {
	return orchestration.Input{Time: time.Now().UTC().Round(0), Random: rand.Float64(), Said: said}
}
