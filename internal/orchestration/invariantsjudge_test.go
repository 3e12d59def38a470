package orchestration

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// What is known of a subtask from the events alone.
type known struct {
	Subtask
	status   Status
	attempts int // begun
	calling  bool
	ended    int64 // the seq of its end
	because  Because
	failure  *Failure
	output   string
	decided  bool // by a person
	madeUp   bool // its output is not its own
	cached   bool
	items    int
	dropped  bool
	tried    int // attempts at its compensation
	undone   bool
}

// hear holds an event against all that came before it.
func (w *world) hear(e Event) {
	k := w.known[e.Subtask]
	switch f := e.Fact.(type) {
	case *PlanSubtaskAdded:
		w.added(e, f.Subtask)
		return
	case *PlanReplaced:
		w.total -= len(f.Dropped)
		for _, id := range f.Dropped {
			w.known[id].dropped = true
		}
	case *PlanStarted, *SynthesisStarted:
		if w.ending() || w.stopping {
			w.t.Fatalf("%s in a run that is about to end, or to stop", e.Type())
		}
		if f, plan := e.Fact.(*PlanStarted); plan {
			w.given = f.Given
		}
	case *SubtaskStarted:
		w.started(e, k, f)
	case *SubtaskDecided:
		k.decided = true
	case *SubtaskRetrying:
		k.status, k.calling, k.failure = StatusPending, false, &f.Failure
	case *SubtaskWaiting:
		k.status, k.calling = StatusWaiting, false
	case *PlanCreated:
		if k != nil {
			k.calling = false
		} else {
			w.adopted(e, f)
		}
	case *SubtaskSucceeded:
		w.over(e, k, StatusSucceeded)
		k.output, k.cached, k.failure = f.Output, f.Cached, nil
		k.madeUp = f.Fallback || k.decided
		w.gave(e, k, f)
	case *SubtaskFailed:
		w.over(e, k, StatusFailed)
		k.failure = &f.Failure
	case *SubtaskSkipped:
		w.over(e, k, StatusSkipped)
		if k.because = f.Because; f.Because == "" {
			k.failure = &f.Failure
		}
		w.skipped(k, f)
	case *SubtaskCanceled:
		w.over(e, k, StatusCanceled)
	case *SubtaskCompensated:
		w.compensated(e, k, f)
	}
	if e.Progress.Total != w.total {
		w.t.Fatalf("after %d %s the progress is of %d subtasks, not %d", e.Seq, e.Type(), e.Progress.Total, w.total)
	}
}

// added holds a new subtask against its parent.
func (w *world) added(e Event, s Subtask) {
	w.total++
	if w.known[s.ID] != nil {
		w.t.Fatalf("%s is added twice", s.ID)
	}
	k := &known{Subtask: s, status: StatusPending}
	w.known[s.ID] = k
	if s.Parent == "" {
		return
	}
	p := w.known[s.Parent]
	if p == nil || p.status != StatusRunning {
		w.t.Fatalf("%s is added, and its parent is not running", s.ID)
	}
	if name, ok := strings.CutPrefix(s.ID, childID(s.Parent, s.Round, "")); !ok || !isID(name) {
		w.t.Fatalf("%s is round %d of %s", s.ID, s.Round, s.Parent)
	}
	most := 1
	switch p.Kind {
	case KindForEach:
		most = p.items
	case KindLoop:
		most = cmp.Or(p.Loop.MaxIterations, w.run.Spec.Limits.MaxIterations, DefaultIterations)
	}
	if s.Round < 1 || s.Round > most {
		w.t.Fatalf("%s: round %d of %d", s.ID, s.Round, most)
	}
	open := map[int]bool{s.Round: true}
	for _, other := range w.children(p) {
		if !other.status.Ended() {
			open[other.Round] = true
		}
	}
	if atOnce := p.atOnce(); len(open) > atOnce {
		w.t.Fatalf("%s: %d rounds of %d at once", s.ID, len(open), atOnce)
	}
	if w.ending() {
		w.t.Fatalf("%s is added to a run that is ending", s.ID)
	}
}

// atOnce returns how many rounds of a body may be under way together.
func (k *known) atOnce() int {
	if k.Kind == KindForEach {
		return cmp.Or(k.ForEach.MaxConcurrency, k.items)
	}
	return 1
}

func (w *world) children(of *known) []*known {
	var children []*known
	for _, k := range w.known {
		if k.Parent == of.ID {
			children = append(children, k)
		}
	}
	return children
}

// ending reports whether the run was about to end early before the events that
// are being heard.
func (w *world) ending() bool {
	return slices.ContainsFunc(w.events, func(e Event) bool { return e.Type() == "run.canceling" })
}

// started judges that a subtask may start.
func (w *world) started(e Event, k *known, f *SubtaskStarted) {
	if w.stopping {
		w.t.Fatalf("%s started while the process was about to stop", e.Subtask)
	}
	if w.ending() || k.dropped || k.status.Ended() {
		w.t.Fatalf("%s started, and was given up or has ended", e.Subtask)
	}
	if f.Repeats == 0 && w.revising() {
		w.t.Fatalf("%s started while the plan was being revised", e.Subtask)
	}
	if by, _ := w.run.performer(w.run.Subtask(e.Subtask)); !w.created && (k.Kind != KindWorker || slices.Contains(by.Tools, "act")) {
		w.t.Fatalf("%s started before its plan was checked, by %s", e.Subtask, by.Name)
	}
	if e.Attempt != k.attempts+1 {
		w.t.Fatalf("%s: attempt %d follows %d", e.Subtask, e.Attempt, k.attempts)
	}
	if k.Parent != "" && w.known[k.Parent].status != StatusRunning {
		w.t.Fatalf("%s started while its parent is %s", e.Subtask, w.known[k.Parent].status)
	}
	for _, id := range k.DependsOn {
		if on := w.known[id]; !on.status.Ended() || k.After == AfterSucceeded && !on.good() {
			w.t.Fatalf("%s started while %s was %s", e.Subtask, id, on.status)
		}
	}
	k.status, k.attempts, k.calling = StatusRunning, e.Attempt, k.calls()
	if json.Unmarshal(f.Items, new([]any)) == nil {
		var items []any
		_ = json.Unmarshal(f.Items, &items)
		k.items = len(items)
	}
	calling := 0
	for _, other := range w.known {
		if other.calling {
			calling++
		}
	}
	if calling > w.run.Spec.Limits.MaxConcurrency {
		w.t.Fatalf("%d run at once", calling)
	}
}

// revising reports whether the plan is being revised.
func (w *world) revising() bool {
	revising := false
	for _, e := range w.events {
		switch f := e.Fact.(type) {
		case *PlanStarted:
			revising = revising || f.Reason != nil
		case *PlanInvalid:
			revising = revising && f.RetryAt != nil
		case *PlanReplaced:
			revising = false
		}
	}
	return revising
}

// good reports whether what depends on the subtask may start.
func (k *known) good() bool {
	return k.status == StatusSucceeded || k.because != "" || k.status == StatusSkipped && k.OnFailure.Do == OnFailureSkip &&
		(k.failure.Code != CodeDependencyFailed || k.attempts > 0) && k.failure.Code != CodeBudgetExceeded
}

// over judges that a subtask may end: all that it expanded to has.
func (w *world) over(e Event, k *known, status Status) {
	if k.status.Ended() {
		w.t.Fatalf("%s of %s, which is %s", e.Type(), e.Subtask, k.status)
	}
	for _, child := range w.children(k) {
		if !child.status.Ended() {
			w.t.Fatalf("%s of %s while %s is %s", e.Type(), e.Subtask, child.ID, child.status)
		}
	}
	if w.awaiting(Work{Subtask: Subtask{ID: e.Subtask}, Attempt: k.attempts}.Key()) {
		w.t.Fatalf("%s of %s, whose call is in flight", e.Type(), e.Subtask)
	}
	k.status, k.calling, k.ended = status, false, e.Seq
}

func (w *world) awaiting(key string) bool {
	return slices.ContainsFunc(w.awaited, func(c Command) bool { return c.Key() == key })
}

// gave holds an output against what it is made of.
func (w *world) gave(e Event, k *known, f *SubtaskSucceeded) {
	if s := w.run.Subtask(k.ID); s.Kept && s.Status == StatusSucceeded && s.whole() != f.Output {
		w.t.Fatalf("of %s, which is looked into, the run holds %.20q, not %.20q", k.ID, s.whole(), f.Output)
	}
	if k.Kind != KindForEach || k.Gives != "" || f.Fallback || f.Cached || k.decided {
		return
	}
	var list []struct {
		Status Status
		Output json.RawMessage
	}
	if json.Unmarshal([]byte(f.Output), &list) != nil || len(list) != k.items {
		w.t.Fatalf("%s gives %s for %d items", k.ID, f.Output, k.items)
	}
	for _, child := range w.children(k) {
		if alone := len(k.ForEach.Body) == 1; !alone || child.status != StatusSucceeded {
			continue
		}
		want := appendJSON(nil, &child.output)
		if got := list[child.Round-1]; got.Status != StatusSucceeded || !jsonEqual(got.Output, want) {
			w.t.Fatalf("%s gives %s %s in the place of %s", k.ID, got.Status, got.Output, child.output)
		}
	}
}

// skipped judges that what is skipped for a dependency has one that is missed.
func (w *world) skipped(k *known, f *SubtaskSkipped) {
	if f.Because != "" || f.Failure.Code != CodeDependencyFailed || k.OnFailure.Do == OnFailureSkip {
		return
	}
	for _, id := range k.DependsOn {
		if on := w.known[id]; on.status.Ended() && !on.good() {
			return
		}
	}
	w.t.Fatalf("%s is skipped: %s", k.ID, f.Failure.Detail)
}

// compensated judges the end of an attempt to undo a subtask.
func (w *world) compensated(e Event, k *known, f *SubtaskCompensated) {
	if k.tried++; e.Attempt != k.tried || k.tried > undoAttempts || k.undone {
		w.t.Fatalf("attempt %d at the compensation of %s follows %d", e.Attempt, e.Subtask, k.tried-1)
	}
	k.undone = f.RetryAt == nil
}

// jsonEqual reports whether two JSON values are the same.
func jsonEqual(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && string(encoded(x)) == string(encoded(y))
}
