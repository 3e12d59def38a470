package simulation

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/expr"
	"github.com/tutti-run/tutti/internal/orchestration/local"
)

// funcs are what the runs of all worlds are handed.
var funcs = orchestration.Funcs{Expressions: expr.New()}

// What has become of a process.
const (
	alive   = iota
	stopped // in an orderly way, or about to be
	dead    // nothing of it reaches the journal any more
	fenced  // it lives on, and the journal is another's
)

// A process is a driver with its way to the journal and to the models, which
// counts what it does and dies when its time has come.
type process struct {
	w      *world
	name   string
	driver *local.Driver
	died   chan struct{}

	// Guarded by the world's lock.
	state    int
	effects  int
	dieAt    int // the effect that it dies before; 0: it does not
	born     time.Time
	over     time.Time        // since when it is not alive
	troubled time.Time        // when the storage was last slow or away
	told     map[string]int64 // by run: the last event that readers were told of
	flying   map[string]int   // calls in flight, by run
	working  map[string]int   // those at subtasks
}

func newProcess(w *world, name string, dieAt int) *process {
	p := &process{
		w: w, name: name, died: make(chan struct{}), dieAt: dieAt, born: time.Now(),
		told: map[string]int64{}, flying: map[string]int{}, working: map[string]int{},
	}
	log := zap.NewNop()
	if *only != 0 {
		log = zaptest.NewLogger(w.t).Named("process " + name)
	}
	p.driver = local.New(local.Options{
		Journal: p, Agent: p, Logger: log, Funcs: funcs, Appended: p.appended, MaxRuns: w.maxRuns, MaxQueued: w.queue,
		// Of the moment, and not of the order in which goroutines come to it.
		Random: func() float64 { return w.roll("input", time.Since(w.born)).Float64() },
	})
	return p
}

func (p *process) String() string { return "process " + p.name }

func (p *process) is(state int) bool {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.state == state
}

// become has a process that lives be dead or fenced.
func (p *process) become(state int) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.end(state)
}

func (p *process) end(state int) {
	if p.state != alive {
		return
	}
	p.state, p.over = state, time.Now()
	if p.w.serving == p {
		p.w.serving = nil
	}
	close(p.died)
}

// effect counts what the process does, or what is done to it, and reports whether
// it lived to see it. The lock is held.
func (p *process) effect() bool {
	if p.effects++; p.effects == p.dieAt {
		p.end(dead)
	}
	return p.state != dead
}

// count counts an effect that is nobody else's.
func (p *process) count() {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.effect()
}

// lost reports that nothing of what the process does shows any more. The lock is held.
func (p *process) lost() bool { return p.state == dead || p.state == fenced }

// appended is what readers of the process are told: each event once, and with it
// the run as anybody else would fold it.
func (p *process) appended(run *orchestration.Run, events []orchestration.Event) {
	w := p.w
	if len(events) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range events {
		if last, any := p.told[run.ID]; any && e.Seq != last+1 {
			w.fault("%s tells of event %d of %s after %d", p, e.Seq, run.ID, last)
		}
		if e.Seq > int64(len(w.durable[run.ID])) {
			w.fault("%s tells of event %d of %s, which is not durable", p, e.Seq, run.ID)
		}
		p.told[run.ID] = e.Seq
	}
	if run.Seq != p.told[run.ID] {
		w.fault("%s is told of up to event %d, with the state of event %d", run.ID, p.told[run.ID], run.Seq)
	}
	if run.Done() || oneIn(w.roll("compare", run.Spec.Task, run.Seq), 8) {
		if diff := differ(run, w.fold(run.ID, run.Seq)); diff != "" {
			w.fault("at event %d the run that lived is another than its journal's (-lived +journal):\n%s", run.Seq, diff)
		}
	}
}

// fold folds a run's events in the journal, up to one of them.
func (w *world) fold(run string, upTo int64) *orchestration.Run {
	folded := orchestration.New(funcs)
	events, err := w.journal.Events(w.ctx, run, 0, int(upTo))
	if err != nil {
		w.fault("the events of %s: %v", run, err)
	}
	for _, e := range events {
		folded.Replay(e)
	}
	return folded
}

func differ(a, b *orchestration.Run) string {
	return cmp.Diff(a, b, cmpopts.IgnoreUnexported(orchestration.Run{}, orchestration.SubtaskState{}),
		cmpopts.EquateEmpty(), cmpopts.EquateApprox(0, 1e-9))
}

var errAway = fmt.Errorf("the storage is away: %w", orchestration.ErrUnavailable)
