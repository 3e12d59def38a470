package simulation

import (
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A trial goes through the events of a run that has ended, one by one.
type trial struct {
	w      *world
	spec   *orchestration.Spec
	run    *orchestration.Run // as it is before the event
	units  map[string]*attempts
	open   int // subtasks at work
	starts int // of processes, since the last outcome

	begun     time.Time
	kinds     map[string]orchestration.Subtask // by id
	waits     time.Time                        // for a person, since then; zero: it does not
	waited    time.Duration                    // before
	ended     map[string]int64                 // subtasks, by id: the seq
	canceling bool
	replans   int
	replanned time.Time
}

// What is known of the attempts at one thing.
type attempts struct {
	number, key int  // of the last one: its own, and that of its call
	open        bool // it has no outcome
	last        durable
	next        follows
	tried       int // with the present model, those made again apart
}

func (w *world) judgeRun(run string) {
	events := w.durable[run]
	t := &trial{w: w, run: orchestration.New(funcs), units: map[string]*attempts{}, kinds: map[string]orchestration.Subtask{}, ended: map[string]int64{}}
	t.spec = events[0].Fact.(*orchestration.RunCreated).Spec
	for i, e := range events {
		if i > 0 {
			t.judgeIdle(events[i-1], e)
		}
		t.hear(e)
		t.run.Replay(e.Event)
	}
}

func (t *trial) fault(e durable, format string, args ...any) {
	t.w.fault("%s, event %d (%s %s): "+format, append([]any{e.Run, e.Seq, e.Type(), e.Subtask}, args...)...)
}

func (t *trial) hear(e durable) {
	r, starts := repeats(e.Event)
	if t.canceling && (starts || e.Type() == "subtask.retrying") {
		t.fault(e, "nothing may start after the run was given up")
	}
	switch f := e.Fact.(type) {
	case *orchestration.RunCreated:
		if len(t.w.durable[e.Run]) > 1 && t.w.durable[e.Run][1].at.After(e.at) {
			t.w.seen["queued"]++
		}
	case *orchestration.RunStarted:
		t.begun = e.Time
	case *orchestration.RunWaiting:
		t.waits = e.Time
	case *orchestration.RunResumed:
		t.goesOn(e)
		if f.Starts > 0 {
			t.starts++
		}
	case *orchestration.PlanSubtaskAdded:
		t.kinds[e.Subtask] = f.Subtask
	case *orchestration.PlanDecided:
		if t.run.Planning.Waiting == nil || t.run.Planning.Version != f.Version {
			t.fault(e, "nobody was asked")
		}
		t.w.seen["decided: "+string(f.Action)]++
	case *orchestration.SubtaskDecided:
		if s := t.run.Subtask(e.Subtask); s.Status != orchestration.StatusWaiting || f.Expired && e.Time.Before(*s.Waiting.Until) {
			t.fault(e, "nobody was asked, or there was time")
		}
		t.w.seen["decided: "+string(f.Action)]++
	case *orchestration.RunCanceling:
		t.goesOn(e)
		t.canceling = true
		if f.Reason.Code == orchestration.CodePoisonRun && t.starts < 5 {
			t.fault(e, "poison after %d starts without an outcome", t.starts)
		}
		if f.Reason.Code == orchestration.CodeTimeout && e.Time.Sub(t.begun)-t.waited < t.spec.Limits.Timeout {
			t.fault(e, "the timeout comes after %v, of which the run waited %v", e.Time.Sub(t.begun), t.waited)
		}
	case *orchestration.PlanCreated:
		t.judgePlan(e, f)
	case *orchestration.PlanStarted:
		t.replan(e, f)
	}
	t.judgeSubtask(e)
	if starts {
		t.start(e, r)
	}
	if outcome(e.Event) {
		t.end(e)
	}
}

// goesOn notes that the run does not wait for people any more.
func (t *trial) goesOn(e durable) {
	if !t.waits.IsZero() {
		t.waited += e.Time.Sub(t.waits)
		t.waits = time.Time{}
	}
}

func (t *trial) replan(e durable, f *orchestration.PlanStarted) {
	if f.Reason == nil {
		return
	}
	limits := &t.spec.Limits
	if t.replans++; t.replans > limits.MaxReplans {
		t.fault(e, "replan %d of %d", t.replans, limits.MaxReplans)
	}
	if since := e.Time.Sub(t.replanned); t.replans > 1 && since < limits.ReplanCooldown {
		t.fault(e, "a replan %v after the last one", since)
	}
	t.replanned = e.Time
}

func (t *trial) start(e durable, repeats int) {
	u := t.units[unit(e.Event)]
	if u == nil {
		u = &attempts{}
		t.units[unit(e.Event)] = u
	}
	switch {
	case e.Attempt != u.number+1:
		t.fault(e, "attempt %d follows attempt %d", e.Attempt, u.number)
	case u.open && (repeats != u.key || e.by == u.last.by):
		t.fault(e, "the call of attempt %d was lost with %s, and %s makes that of attempt %d again", u.key, u.last.by, e.by, repeats)
	case !u.open && u.next.again && repeats != u.key:
		t.fault(e, "the call of attempt %d was cut short, and that of attempt %d is made again", u.key, repeats)
	case !u.open && !u.next.again && repeats != 0:
		t.fault(e, "the call of attempt %d has ended, and is made again", repeats)
	case e.Time.Before(u.next.at):
		t.fault(e, "it was to start at %v", u.next.at)
	}
	if t.open += t.calls(e); !u.open && t.open > t.spec.Limits.MaxConcurrency || u.open && t.open-1 > t.spec.Limits.MaxConcurrency {
		t.fault(e, "%d subtasks at work; max_concurrency is %d", t.open, t.spec.Limits.MaxConcurrency)
	}
	if u.open {
		t.open -= t.calls(e)
	}
	if repeats == 0 {
		u.tried++
	}
	if unit(e.Event) != "plan" && u.tried > t.spec.Limits.MaxAttempts {
		t.fault(e, "try %d of %d", u.tried, t.spec.Limits.MaxAttempts)
	}
	asksMore := false // and so makes another call
	if f, ok := e.Fact.(*orchestration.PlanStarted); ok {
		asksMore = len(f.Given) > len(t.run.Planning.Given)
	}
	if u.number, u.open, u.last, u.key = e.Attempt, true, e, e.Attempt; repeats > 0 && !asksMore {
		u.key = repeats
	}
	u.next = follows{}
}

// calls returns 1 for an event about a subtask whose attempts are calls.
func (t *trial) calls(e durable) int {
	switch s := t.kinds[e.Subtask]; s.Kind {
	case orchestration.KindWorker, orchestration.KindTool, orchestration.KindPlan:
		return 1
	case orchestration.KindDecide:
		if s.Decide.By == orchestration.DecideByModel {
			return 1
		}
	}
	return 0
}

func (t *trial) end(e durable) {
	u := t.units[unit(e.Event)]
	t.starts = 0
	if u == nil || !u.open {
		return // of one that never began, or waits
	}
	if t.open -= t.calls(e); e.Attempt != u.number {
		t.fault(e, "the outcome is of attempt %d, at work is %d", e.Attempt, u.number)
	}
	u.open, u.last, u.next = false, e, followed(e.Event)
	if f, retrying := e.Fact.(*orchestration.SubtaskRetrying); u.next.fallback || retrying && f.Feedback != "" || e.Type() == "subtask.waiting" {
		u.tried = 0
	}
	if n := u.next; !n.at.IsZero() && !n.again && !n.fallback && n.at.Sub(e.Time) < min(n.after, 5*time.Minute) {
		t.fault(e, "the provider asked for %v, and is asked again after %v", n.after, n.at.Sub(e.Time))
	}
}

// judgeIdle judges that a run that waits for timers alone goes on when one of
// them is due.
func (t *trial) judgeIdle(e, next durable) {
	if t.run.StartedAt.IsZero() || t.run.Ending != nil || next.at.Equal(e.at) { // of one commit
		return
	}
	due := t.begun.Add(t.spec.Limits.Timeout + t.waited)
	if !t.waits.IsZero() { // people may take their time, unless there is a default
		due = due.Add(1000 * time.Hour)
	}
	for _, c := range t.run.Outstanding() {
		timer, ok := c.(orchestration.SetTimer)
		if !ok {
			return
		}
		if subtask := strings.HasPrefix(timer.Timer, "subtask/"); subtask && t.run.Planning.Status != orchestration.StatusSucceeded {
			continue // it waits for the plan's revision
		}
		if timer.At.Before(due) {
			due = timer.At
		}
	}
	for _, since := range []time.Time{e.at, next.by.born} {
		if since.After(due) {
			due = since
		}
	}
	if next.at.After(due.Add(patience)) {
		t.fault(next, "the run was idle for %v", next.at.Sub(due))
	}
}
