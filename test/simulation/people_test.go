package simulation

import (
	"context"
	"errors"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// person is who is asked by an event. After a while they decide, some at once with
// another who is asked the same, and some only when there is no default.
func (w *world) person(asked durable) {
	w.mu.Lock()
	task := w.task(asked.Run)
	w.mu.Unlock()
	r := w.roll("person", task, asked.Seq)
	if f, ok := asked.Fact.(*orchestration.SubtaskWaiting); ok && f.Waiting.Until != nil && oneIn(r, 3) {
		return
	}
	time.Sleep(upTo(r, 40*time.Second))
	for range 200 {
		said := decision(r, asked.Event)
		if oneIn(r, 5) {
			w.people.Go(func() { w.say(asked, said) })
		}
		if w.say(asked, said) {
			return
		}
		time.Sleep(time.Second + upTo(r, 5*time.Second))
	}
}

// say has a person decide. It reports whether there is nothing more to be decided.
func (w *world) say(asked durable, said orchestration.Said) bool {
	p := w.reached()
	if p == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	err := p.driver.Decide(ctx, asked.Run, said)
	w.mu.Lock()
	defer w.mu.Unlock()
	var wrong *orchestration.DecisionError
	switch {
	case err == nil:
		w.seen["decision"]++
		if !w.decided(asked) {
			w.fault("what a person decided of %s, asked by event %d of %s, is not durable", asked.Subtask, asked.Seq, asked.Run)
		}
		return true
	case errors.Is(err, orchestration.ErrNotWaiting):
		w.seen["decision refused"]++
		return w.answered(asked) // or the process has not taken the run up yet
	case errors.As(err, &wrong):
		w.seen["decision refused"]++
	case !expected(err) && !errors.Is(err, orchestration.ErrNotFound) && !errors.Is(err, context.DeadlineExceeded):
		w.fault("deciding: %v", err)
	}
	return false
}

// decided reports whether a decision on what is asked is durable.
func (w *world) decided(asked durable) bool {
	for _, e := range w.durable[asked.Run][asked.Seq:] {
		switch e.Fact.(type) {
		case *orchestration.PlanDecided, *orchestration.SubtaskDecided:
			if e.Subtask == asked.Subtask {
				return true
			}
		}
	}
	return false
}

// answered reports whether what is asked waits no more: it is decided, or nobody
// cares any more, or it does not yet.
func (w *world) answered(asked durable) bool {
	run := w.fold(asked.Run, int64(len(w.durable[asked.Run])))
	if _, plan := asked.Fact.(*orchestration.PlanWaiting); plan {
		return run.Planning.Waiting == nil || run.Done() || run.Ending != nil || run.Planning.Version != asked.Fact.(*orchestration.PlanWaiting).Version
	}
	return run.Done() || run.Subtask(asked.Subtask).Status != orchestration.StatusWaiting
}
