package orchestration

import "slices"

// What must hold of a run between two inputs, and when it has ended.

// ask takes a command. One that is under way is left alone, and what is aborted
// still has an outcome.
func (w *world) ask(c Command) {
	if abort, ok := c.(Abort); ok {
		if !w.awaiting(abort.Call.Key()) {
			w.awaited = append(w.awaited, abort.Call)
		}
		return
	}
	w.awaited = slices.DeleteFunc(w.awaited, func(a Command) bool {
		_, timer := a.(SetTimer)
		return timer && a.Key() == c.Key()
	})
	if !w.awaiting(c.Key()) {
		w.awaited = append(w.awaited, c)
	} else if _, undo := c.(Compensate); !undo {
		w.t.Fatalf("%s is to be done twice", c.Key())
	}
	undo, ok := c.(Compensate)
	if !ok {
		return
	}
	last := w.toUndo()
	if last == nil || last.ID != undo.Subtask || undo.Attempt != last.tried+1 {
		w.t.Fatalf("%s is not the next compensation", c.Key())
	}
	for _, k := range w.known {
		if !k.status.Ended() {
			w.t.Fatalf("%s while %s is %s", c.Key(), k.ID, k.status)
		}
	}
}

// toUndo returns the subtask that is to be compensated next, the last that ended.
func (w *world) toUndo() *known {
	var last *known
	for _, k := range w.known {
		harmless := k.status == StatusFailed && k.attempts == 1 && k.failure.Code == CodeOutputInvalid && k.Kind == KindTool
		if k.Compensate == nil || k.attempts == 0 || k.cached || k.undone || harmless {
			continue
		}
		if last == nil || k.ended > last.ended {
			last = k
		}
	}
	return last
}

// settled judges the run between two inputs.
func (w *world) settled(said Said) {
	r := w.run
	calls, held := map[string]bool{}, Reserve{}
	busy := false // something will be heard of without a person
	for _, c := range w.awaited {
		switch c := c.(type) {
		case Work:
			calls[c.Key()] = true
			busy = true
		case SetTimer:
			busy = busy || w.helps(c.Timer)
		default:
			busy = true
		}
	}
	if r.Calling != len(calls) {
		w.t.Fatalf("after %T %d subtasks are calling, in flight are %d", said, r.Calling, len(calls))
	}
	counted := Progress{}
	for _, s := range r.Subtasks {
		held.add(s.Reserved)
		if s.Dropped == 0 {
			counted.Total++
			counted.count(s.Status, 1)
		}
	}
	if counted != r.Progress {
		w.t.Fatalf("progress is %v, counted %v", r.Progress, counted)
	}
	held.add(r.Planning.Reserved)
	held.add(r.Synthesis.Reserved)
	w.afforded(held)
	switch {
	case r.Done() || w.stopping || r.Status == StatusQueued:
	case r.Ending != nil && !busy:
		w.t.Fatalf("after %T the run is %s, and nothing will be heard of", said, r.Status)
	case r.Ending == nil && busy == (r.Status == StatusWaiting):
		w.t.Fatalf("after %T the run is %s; what goes on without people: %v", said, r.Status, busy)
	case r.Status == StatusWaiting && !w.asks():
		w.t.Fatalf("the run waits, and nobody is asked")
	}
}

// helps reports whether a timer may have the run go on.
func (w *world) helps(timer string) bool {
	kind, id := subjectOf(timer)
	s := w.run.Subtask(id)
	switch kind {
	case "subtask":
		return s != nil && s.retrying() && w.run.Planning.Waiting == nil
	case "decision", timeoutName:
		return false
	}
	return true
}

// asks reports whether a person can have the run go on.
func (w *world) asks() bool {
	return !w.run.WaitingSince.IsZero() && (w.run.Planning.Waiting != nil ||
		slices.ContainsFunc(w.run.Subtasks, func(s *SubtaskState) bool { return s.Status == StatusWaiting && s.Waiting != nil }))
}

// afforded judges that what calls in flight may spend is held back, and affordable.
func (w *world) afforded(held Reserve) {
	r := w.run
	l, spent := &r.Spec.Limits, &r.Totals
	if d := r.Held.CostUSD - held.CostUSD; r.Held.Calls != held.Calls || r.Held.PromptTokens != held.PromptTokens || d > rounding || d < -rounding {
		w.t.Fatalf("%v is held back, not %v", r.Held, held)
	}
	if l.MaxLLMCalls > 0 && spent.LLMCalls+held.Calls > l.MaxLLMCalls ||
		l.MaxTokens > 0 && spent.tokens()+held.PromptTokens+held.AnswerTokens > l.MaxTokens ||
		l.MaxCostUSD > 0 && spent.CostUSD+held.CostUSD > l.MaxCostUSD+rounding {
		w.t.Fatalf("%+v are spent and %+v may be, of %+v", *spent, held, *l)
	}
}

// ended checks a run that is done.
func (w *world) ended() {
	r := w.run
	if last := w.events[len(w.events)-1]; !last.Terminal() {
		w.t.Fatalf("the last event is %s", last.Type())
	}
	if got := r.Outstanding(); len(got) > 0 {
		w.t.Fatalf("outstanding after the end: %v", got)
	}
	counted, missing := Progress{}, r.Exhausted != nil
	for _, s := range r.Subtasks {
		k := w.known[s.ID]
		if !s.Status.Ended() || s.EndedAt.IsZero() || s.Status != k.status {
			w.t.Fatalf("%s is %s since %v after the end, as events say %s", s.ID, s.Status, s.EndedAt, k.status)
		}
		if s.Dropped > 0 {
			continue
		}
		counted.Total++
		counted.count(s.Status, 1)
		missing = missing || !s.Superseded && s.Status != StatusSucceeded && s.Because == "" && !w.madeUpFor(k)
	}
	if counted != r.Progress {
		w.t.Fatalf("progress is %v, counted %v", r.Progress, counted)
	}
	if held := r.Held; held.Calls != 0 || held.PromptTokens != 0 {
		w.t.Fatalf("after the end %v is held back", held)
	}
	if r.Status == StatusSucceeded {
		if r.Partial != missing {
			w.t.Fatalf("partial is %v, something is missing: %v", r.Partial, missing)
		}
	} else if left := w.toUndo(); left != nil {
		w.t.Fatalf("%s is not undone", left.ID)
	}
	for _, said := range []Said{Cancel{}, Due{Timer: timeoutName}, Resume{}} {
		if events := w.say(said); len(events) > 0 {
			w.t.Fatalf("%T after the end gave events", said)
		}
	}
}

// madeUpFor reports whether a value or a person gave the output of what a subtask
// is a part of.
func (w *world) madeUpFor(k *known) bool {
	for k.Parent != "" {
		if k = w.known[k.Parent]; k.madeUp {
			return true
		}
	}
	return false
}
