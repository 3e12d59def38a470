package local

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// act starts commands. Those in flight already are left alone.
func (l *loop) act(commands []orchestration.Command) {
	for _, c := range commands {
		switch c := c.(type) {
		case orchestration.SetTimer:
			l.setTimer(c)
		case orchestration.Abort:
			l.abort(c)
		default:
			l.perform(c)
		}
	}
}

func (l *loop) setTimer(c orchestration.SetTimer) {
	key := c.Key()
	if t, set := l.timers[key]; set {
		t.Stop()
	}
	l.timers[key] = time.AfterFunc(time.Until(c.At), func() {
		l.say(heard{said: orchestration.Due{Timer: c.Timer}})
	})
}

// abort ends a call. One that this process knows nothing of was lost with an
// earlier process: it is answered for.
func (l *loop) abort(c orchestration.Abort) {
	if cancel, ok := l.calls[c.Call.Key()]; ok {
		cancel()
		return
	}
	l.performing.Go(func() { l.say(heard{said: lost(c.Call)}) })
}

func (l *loop) perform(c orchestration.Command) {
	key := c.Key()
	if _, ok := l.calls[key]; ok || l.driver.isStopping() {
		return // or it is made after the next start
	}
	ctx, cancel := context.WithCancel(l.driver.calls)
	l.calls[key] = cancel
	p := orchestration.Performance{Run: l.id, Spec: l.run.Spec, Command: c, Deadline: l.run.Deadline()}
	if l.run.Spec.Deltas || l.driver.deltas.followed(l.id) {
		p.Deltas = l.driver.deltas.tell
	}
	if plan, ok := c.(orchestration.MakePlan); ok {
		p.Drafted = func(subtasks []orchestration.Subtask) {
			l.draft(orchestration.Drafted{Attempt: plan.Attempt, Subtasks: subtasks})
		}
	}
	l.performing.Add(1)
	l.driver.crew.call(func() {
		defer l.performing.Done()
		defer cancel()
		said := l.driver.options.Agent.Perform(ctx, p)
		l.say(heard{said: said, call: key})
	})
}

// stop ends what the loop has begun, and waits for it.
func (l *loop) stop() {
	close(l.ended)
	for _, t := range l.timers {
		t.Stop()
	}
	for _, cancel := range l.calls {
		cancel()
	}
	l.performing.Wait()
}

func (l *loop) log() *zap.Logger { return l.driver.options.Logger.With(zap.String("run", l.id)) }

// lost is the outcome of a call that nobody makes any more.
func lost(call orchestration.Command) orchestration.Said {
	failure := &orchestration.Failure{Code: orchestration.CodeCanceled, Detail: "The call was lost with an earlier process."}
	switch c := call.(type) {
	case orchestration.MakePlan:
		return orchestration.Planned{Attempt: c.Attempt, Failure: failure}
	case orchestration.Work:
		return orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Failure: failure}
	case orchestration.Compensate:
		return orchestration.Compensated{Subtask: c.Subtask, Attempt: c.Attempt, Failure: failure}
	case orchestration.Synthesize:
		return orchestration.Synthesized{Attempt: c.Attempt, Failure: failure}
	}
	return nil
}

// unfinished reports whether it is a compensation that was cut short, as nothing
// but a process that stops does. It has no outcome then: it is made again after the
// next start, under its key.
func unfinished(said orchestration.Said) bool {
	c, ok := said.(orchestration.Compensated)
	return ok && c.Failure != nil && c.Failure.Code == orchestration.CodeCanceled
}
