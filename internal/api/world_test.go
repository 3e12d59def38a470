package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A world is a Driver and a Reader on real runs of the core. By itself it
// performs every command at once, by perform; held, it waits for release.
type world struct {
	t       *testing.T
	perform func(orchestration.Command) orchestration.Said
	fail    error // what storage answers, if anything
	spoilt  error // what reading events answers, if anything
	page    int   // events on a page at most, if not 0
	left    bool  // runs are driven by nobody
	full    error // what Room answers, and Start
	reads   int   // pages of events read
	read    int   // events on them

	decide func(said orchestration.Said) error // what Decide does

	mu       sync.Mutex
	held     bool
	lateKey  bool                  // Key does not find what Start does
	runs     []*told               // oldest first
	owed     []*orchestration.Owed // oldest first
	keys     map[string]*told
	watchers map[int]func(orchestration.Row)
	deltas   map[int]func(orchestration.Delta)
	next     int
	working  sync.WaitGroup
}

// A told is a run with its events.
type told struct {
	run         *orchestration.Run
	events      []orchestration.Event
	todo        []orchestration.Command
	attachments [][]byte
	key         *orchestration.Key
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, perform: perform, keys: make(map[string]*told),
		watchers: make(map[int]func(orchestration.Row)), deltas: make(map[int]func(orchestration.Delta)),
	}
}

func testDefaults() Defaults {
	price := &orchestration.Price{Input: 1, Cached: 0.1, Output: 4}
	role := orchestration.Role{Model: "small"}
	return Defaults{
		Planner: orchestration.Planner{Role: role, MinSubtasks: 1, MaxSubtasks: 10}, Worker: orchestration.Worker{Role: role},
		Synthesizer: orchestration.Synthesizer{Role: role, Mode: orchestration.SynthesizeModel}, Evaluator: role,
		Limits: orchestration.Limits{
			MaxConcurrency: 10, Timeout: 10 * time.Minute, SubtaskTimeout: time.Minute,
			MaxAttempts: 3, MaxSubtasks: 100, MaxOutputBytes: 1 << 20, MaxIterations: 4,
		},
		Workers: []orchestration.Worker{
			{Name: "researcher", Description: "Finds things", Role: orchestration.Role{Model: "large"}, Tools: []string{"search"}},
		},
		Tools: []orchestration.Tool{{Name: "delete"}, {Name: "search"}, {Name: "unused"}},
		Models: []orchestration.Model{
			{Name: "large", ContextWindow: 200_000, Price: price}, {Name: "small", ContextWindow: 100_000, Price: price}, {Name: "unpriced"},
		},
		Exclusive: true,
	}
}

// perform answers as willing models would.
func perform(c orchestration.Command) orchestration.Said {
	call := func(role string) []orchestration.Call {
		now := time.Now()
		return []orchestration.Call{{
			Role: role, Model: "small", Attempt: 1, Queued: now, Started: now, FirstToken: now, Ended: now, Outcome: "ok",
			Usage: orchestration.Usage{PromptTokens: 10, CompletionTokens: 5}, CostUSD: 0.001,
		}}
	}
	switch c := c.(type) {
	case orchestration.MakePlan:
		return orchestration.Planned{Attempt: c.Attempt, Calls: call("planner"), Plan: orchestration.Plan{
			Analysis: "Two things.", Subtasks: []orchestration.Subtask{
				{ID: "T1", Type: "formal", Description: "The <first> & best", After: orchestration.AfterSucceeded},
				{ID: "T2", Type: "researcher", Description: "The \"second\"", DependsOn: []string{"T1"}, After: orchestration.AfterSucceeded},
			},
		}}
	case orchestration.Work:
		if strings.Contains(c.Subtask.Description, "FAIL") {
			return orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Calls: call("worker"), Failure: &orchestration.Failure{
				Code: orchestration.CodeUpstreamError, Detail: "broken", Retryable: strings.Contains(c.Subtask.Description, "AGAIN"),
			}}
		}
		output := "output of " + c.Subtask.ID
		if strings.Contains(c.Subtask.Description, "LONG") {
			output = strings.Repeat("€", 40_000) // 120,000 bytes
		}
		return orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Output: output, Calls: call("worker")}
	case orchestration.Synthesize:
		return orchestration.Synthesized{Attempt: c.Attempt, Output: `{"answer": 42}`, Calls: call("synthesizer")}
	case orchestration.SetTimer:
		if c.Timer != "timeout" {
			return orchestration.Due{Timer: c.Timer}
		}
	}
	return nil
}

func (w *world) Room(string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.full
}

func (w *world) Start(_ context.Context, spec *orchestration.Spec, attachments [][]byte, key *orchestration.Key) (orchestration.Row, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return orchestration.Row{}, w.fail
	}
	if key != nil {
		if earlier := w.keys[spec.Tenant+" "+key.Key]; earlier != nil {
			return orchestration.Row{}, &orchestration.KeyTaken{Run: earlier.run.ID, Hash: earlier.key.Hash}
		}
	}
	if w.full != nil {
		return orchestration.Row{}, w.full
	}
	r := &told{run: orchestration.New(orchestration.Funcs{}), attachments: attachments, key: key}
	w.runs = append(w.runs, r)
	if key != nil {
		w.keys[spec.Tenant+" "+key.Key] = r
	}
	w.step(r, orchestration.Start{ID: fmt.Sprintf("run_%04d", len(w.runs)), Spec: spec})
	if !w.held {
		w.working.Go(func() { w.release(r.run.ID) })
	}
	return r.run.Row(), nil
}

// step carries one input to the core and makes its events known.
func (w *world) step(r *told, said orchestration.Said) {
	if said == nil {
		return
	}
	now := time.Now()
	if due, ok := said.(orchestration.Due); ok {
		for _, e := range r.events {
			if f, ok := e.Fact.(*orchestration.SubtaskRetrying); ok && due.Timer != "" && f.RetryAt.After(now) {
				now = f.RetryAt
			}
		}
	}
	events, commands, err := r.run.Step(orchestration.Input{Time: now, Said: said})
	if err != nil {
		w.t.Error(err)
	}
	r.events = append(r.events, events...)
	for _, d := range r.run.Owes(events) {
		w.owed = append(w.owed, &orchestration.Owed{Delivery: d, State: orchestration.DeliveryPending, Next: now})
	}
	for _, c := range commands {
		if abort, ok := c.(orchestration.Abort); ok {
			w.abort(r, abort.Call.Key())
			continue
		}
		r.todo = append(r.todo, c)
	}
	if len(events) > 0 {
		for _, notify := range w.watchers {
			notify(r.run.Row())
		}
	}
}

// abort answers for a call that is given up.
func (w *world) abort(r *told, key string) {
	for i, c := range r.todo {
		if c.Key() != key {
			continue
		}
		r.todo = slices.Delete(r.todo, i, i+1)
		if work, ok := c.(orchestration.Work); ok {
			r.todo = append(r.todo, canceled{work})
		}
		return
	}
}

// A canceled command is one whose outcome is still awaited.
type canceled struct{ orchestration.Work }

// release performs all that the run has to do.
func (w *world) release(id string) {
	for w.releaseOne(id) {
	}
}

// releaseOne performs the next command, and reports whether there was one.
func (w *world) releaseOne(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs {
		if r.run.ID != id || len(r.todo) == 0 {
			continue
		}
		c := r.todo[0]
		r.todo = r.todo[1:]
		if gone, ok := c.(canceled); ok {
			w.step(r, orchestration.Worked{Subtask: gone.Subtask.ID, Attempt: gone.Attempt, Failure: &orchestration.Failure{Code: orchestration.CodeCanceled}})
			return true
		}
		w.step(r, w.perform(c))
		return true
	}
	return false
}

func (w *world) Cancel(_ context.Context, run, detail string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, err := w.find(run)
	if w.left {
		err = orchestration.ErrNotFound
	}
	if err != nil {
		return err
	}
	w.step(r, orchestration.Cancel{Detail: detail})
	if !w.held {
		w.working.Go(func() { w.release(run) })
	}
	return nil
}

func (w *world) Drives(string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.left
}

func (w *world) Decide(_ context.Context, run string, said orchestration.Said) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.find(run); err != nil {
		return err
	}
	return w.decide(said)
}

func (w *world) Attachment(_ context.Context, run string, i int) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, err := w.find(run)
	if err != nil {
		return nil, err
	}
	return r.attachments[i], nil
}

// tell appends facts to a run's events, as if the core had decided them.
func (w *world) tell(run string, facts ...orchestration.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, err := w.find(run)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range facts {
		e.Seq, e.Time, e.Run = r.run.Seq+1, r.run.UpdatedAt, run
		r.run.Replay(e)
		e.Progress = r.run.Progress
		r.events = append(r.events, e)
	}
}

func (w *world) Deltas(run string, notify func(orchestration.Delta)) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	n := w.next
	w.deltas[n] = func(d orchestration.Delta) {
		if d.Run == run {
			notify(d)
		}
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.deltas, n)
	}
}

func (w *world) say(d orchestration.Delta) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, notify := range w.deltas {
		notify(d)
	}
}

func (w *world) find(run string) (*told, error) {
	if w.fail != nil {
		return nil, w.fail
	}
	for _, r := range w.runs {
		if r.run.ID == run {
			return r, nil
		}
	}
	return nil, orchestration.ErrNotFound
}

func (w *world) Row(_ context.Context, tenant, run string) (orchestration.Row, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, err := w.find(run)
	if err != nil {
		return orchestration.Row{}, err
	}
	if row := r.run.Row(); row.Tenant == tenant {
		return row, nil
	}
	return orchestration.Row{}, orchestration.ErrNotFound
}

func (w *world) Rows(_ context.Context, tenant string, f orchestration.Filter) ([]orchestration.Row, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.Before != "" {
		if _, err := w.find(f.Before); err != nil {
			return nil, err
		}
	}
	var rows []orchestration.Row
	for _, r := range slices.Backward(w.runs) {
		row := r.run.Row()
		matches := row.Tenant == tenant && (f.Before == "" || row.ID < f.Before) &&
			(f.Workflow == "" || r.run.Spec.Workflow != nil && r.run.Spec.Workflow.Name == f.Workflow) &&
			(len(f.Status) == 0 || slices.Contains(f.Status, row.Status)) &&
			(f.CreatedAfter.IsZero() || row.CreatedAt.After(f.CreatedAfter)) &&
			(f.CreatedBefore.IsZero() || row.CreatedAt.Before(f.CreatedBefore))
		for k, v := range f.Labels {
			matches = matches && row.Labels[k] == v
		}
		if matches && len(rows) < f.Limit {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (w *world) Events(_ context.Context, run string, after int64, limit int) ([]orchestration.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	r, err := w.find(run)
	if err := cmp.Or(err, w.spoilt); err != nil {
		return nil, err
	}
	events := r.events[min(int(after), len(r.events)):]
	if w.page > 0 {
		limit = min(limit, w.page)
	}
	events = slices.Clone(events[:min(limit, len(events))])
	w.read += len(events)
	return events, nil
}

func (w *world) Key(_ context.Context, tenant, key string) (string, [32]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return "", [32]byte{}, w.fail
	}
	if r := w.keys[tenant+" "+key]; r != nil && !w.lateKey {
		return r.run.ID, r.key.Hash, nil
	}
	return "", [32]byte{}, orchestration.ErrNotFound
}

func (w *world) Delete(_ context.Context, _, run string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r, err := w.find(run); err == nil && !r.run.Done() && w.spoilt == nil {
		return orchestration.ErrConflict
	}
	w.runs = slices.DeleteFunc(w.runs, func(r *told) bool { return r.run.ID == run })
	return nil
}

func (w *world) Watch(run string, notify func(orchestration.Row)) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	n := w.next
	w.watchers[n] = func(row orchestration.Row) {
		if row.ID == run {
			notify(row)
		}
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.watchers, n)
	}
}

func (w *world) Ready(context.Context) error { return w.fail }

// followers returns how many watch runs.
func (w *world) followers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.watchers)
}

// listeners returns how many wait for deltas.
func (w *world) listeners() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.deltas)
}
