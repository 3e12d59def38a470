package simulation

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// step is how far apart, at most, things come to be that the product does at once.
const step = time.Millisecond

// task tells runs apart by what is the same each time that a world is played.
func (w *world) task(run string) string {
	if len(w.durable[run]) == 0 {
		return ""
	}
	return w.durable[run][0].Fact.(*orchestration.RunCreated).Spec.Task
}

// Append is the process's way to the journal, which may be slow, be away, lose
// the answer, or be another's by now.
func (p *process) Append(ctx context.Context, c orchestration.Commit) error {
	w := p.w
	w.mu.Lock()
	w.seen["append"]++
	try := fmt.Sprint(c.Row.Task, "/", c.After)
	r := w.roll("append", try, w.tries[try])
	w.tries[try]++
	w.mu.Unlock()
	time.Sleep(upTo(r, step)) // what happens at once happens in an order that follows from the seed
	w.mu.Lock()
	if !p.effect() {
		w.mu.Unlock()
		return errAway
	}
	slow := w.stopping == 0 && oneIn(r, 10)
	if slow {
		p.troubled = time.Now()
	}
	w.mu.Unlock()
	if slow {
		time.Sleep(upTo(r, 4*time.Second))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch p.state {
	case dead:
		return errAway
	case fenced:
		w.seen["append fenced"]++
		return orchestration.ErrConflict
	}
	calm := w.stopping > 0
	if !calm && (w.away() || oneIn(r, 25)) {
		w.seen["append failed"]++
		p.troubled = time.Now()
		return errAway
	}
	if err := w.journal.Append(context.Background(), c); err != nil {
		return err
	}
	p.keep(c)
	if !p.effect() {
		return errAway
	}
	// The first commit's answer is lost only in a crash, as journal.Append says.
	if !calm && c.After > 0 && oneIn(r, 20) {
		w.seen["answer lost"]++
		w.seen["append failed"]++
		p.troubled = time.Now()
		return errAway
	}
	return nil
}

// keep notes what has become durable, and judges it by what there was before.
func (p *process) keep(c orchestration.Commit) {
	w, run := p.w, c.Row.ID
	if c.After == 0 {
		w.order = append(w.order, run)
	}
	if got := int64(len(w.durable[run])); got != c.After {
		w.fault("%s appended to %s after %d, where %d are", p, run, c.After, got)
	}
	for _, e := range c.Events {
		w.durable[run] = append(w.durable[run], durable{e, time.Now(), p})
		switch {
		case e.Terminal() && p.flying[run] > 0:
			w.fault("%s ended (%s) with %d of its calls in flight", run, e.Type(), p.flying[run])
		case e.Type() == "run.started":
			w.begun(p)
		}
		w.settle(e)
		switch e.Fact.(type) {
		case *orchestration.SubtaskWaiting, *orchestration.PlanWaiting:
			asked := w.durable[run][e.Seq-1]
			w.people.Go(func() { w.person(asked) })
		}
	}
	for _, cached := range c.Cached {
		w.cache[cached.Tenant+" "+cached.Key] = cached
	}
	w.judgeHeld(c.Row.Tenant)
}

// begun judges that a run has begun by how many have that have not ended.
func (w *world) begun(p *process) {
	if w.maxRuns == 0 {
		return
	}
	begun := 0
	for _, run := range w.order {
		events := w.durable[run]
		if slices.ContainsFunc(events, func(e durable) bool { return e.Type() == "run.waiting" }) {
			continue // it gave its place to another, and took one again when it went on
		}
		if len(events) > 1 && events[1].Type() == "run.started" && !w.ended(run) && !w.suspect(run, p) {
			begun++
		}
	}
	if begun > w.maxRuns {
		w.fault("%d runs have begun and not ended; max_runs is %d", begun, w.maxRuns)
	}
}

// suspect reports whether a run was taken up more than once without an outcome
// when the process came: then it is taken up at its turn, whatever else has begun.
func (w *world) suspect(run string, p *process) bool {
	starts := 0
	for _, e := range w.durable[run] {
		if e.at.After(p.born) || e.by == p {
			break
		}
		if e.Type() == "run.resumed" {
			starts++
		} else if outcome(e.Event) {
			starts = 0
		}
	}
	return starts > 0
}

// away reports whether the storage is. The lock is held.
func (w *world) away() bool {
	now := time.Now()
	for _, o := range w.outages {
		if !now.Before(o[0]) && now.Before(o[1]) {
			return true
		}
	}
	return false
}

// Events reads the journal, if it can be read.
func (p *process) Events(ctx context.Context, run string, after int64, limit int) ([]orchestration.Event, error) {
	w := p.w
	w.mu.Lock()
	r := w.roll("read", w.task(run), after, p.name)
	w.mu.Unlock()
	time.Sleep(upTo(r, step))
	if err := p.reads(); err != nil {
		return nil, err
	}
	return p.w.journal.Events(ctx, run, after, limit)
}

// Unfinished reads the journal, if it can be read.
func (p *process) Unfinished(ctx context.Context) ([]orchestration.Row, error) {
	if err := p.reads(); err != nil {
		return nil, err
	}
	return p.w.journal.Unfinished(ctx)
}

func (p *process) reads() error {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if !p.effect() || p.w.stopping == 0 && p.w.away() {
		p.troubled = time.Now()
		return errAway
	}
	return nil
}

// period is when the budgets of the tenants begin: virtual time is in it.
var period = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// hold keeps back what a call may cost.
func (p *process) hold(h orchestration.Hold) error {
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !p.effect():
		return errAway
	case p.state == fenced:
		return orchestration.ErrConflict
	case w.stopping == 0 && w.away():
		return errAway
	}
	err := w.journal.Hold(context.Background(), h, orchestration.Budget{Period: period, CostUSD: w.budget})
	if err == nil {
		w.held[hold{h.Tenant, h.Run, h.Command}] = h.CostUSD
	}
	return err
}

// A hold is known by the command that it is for.
type hold struct{ tenant, run, command string }

// settle forgets what was held for a command that has ended, or was lost.
func (w *world) settle(e orchestration.Event) {
	attempt := e.Attempt
	if again, starts := repeats(e); starts && again > 0 {
		attempt--
	}
	command := fmt.Sprintf("%s/%d", unit(e), attempt)
	_, starts := repeats(e)
	for h := range w.held {
		if h.run == e.Run && (e.Terminal() || h.command == command && (outcome(e) || starts)) {
			delete(w.held, h)
		}
	}
}

// judgeHeld judges that the tenant's budget holds what calls in flight may cost.
func (w *world) judgeHeld(tenant string) {
	want := 0.0
	for h, cost := range w.held {
		if h.tenant == tenant {
			want += cost
		}
	}
	if _, held, err := w.journal.Spent(w.ctx, tenant, period); err != nil || math.Abs(held-want) > 1e-6 {
		w.fault("%.9f dollars are held of %s for calls in flight that may cost %.9f; error %v", held, tenant, want, err)
	}
}
