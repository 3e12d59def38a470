package simulation

import (
	"slices"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// judgeCall judges a call as it begins, by what is durable at that moment. The
// lock is held.
func (w *world) judgeCall(c *call) {
	events := w.durable[c.run]
	undoes := strings.HasPrefix(c.unit, "compensation/")
	if before := w.performed[c.run+" "+c.command]; before != nil && (!undoes || before.by == c.by) {
		w.fault("%s was begun before, by %s", c, before.by)
	}
	started := undoes // it begins with the end of something else
	for _, e := range events {
		_, starts := repeats(e.Event)
		started = started || starts && unit(e.Event) == c.unit && e.Attempt == c.attempt
		// A call that is about to begin may be overtaken, in the same moment.
		if e.Type() == "run.canceling" && e.at.Before(c.begun) && !undoes {
			w.fault("%s begins after its run was given up", c)
		}
	}
	switch {
	case !started:
		w.fault("%s begins before that is durable", c)
	case w.outcomeOf(c) != nil && w.outcomeOf(c).at.Before(c.begun):
		w.fault("%s begins after its outcome was durable", c)
	case w.ended(c.run) && events[len(events)-1].at.Before(c.begun):
		w.fault("%s begins after its run has ended", c)
	}
	if undoes {
		w.judgeUndoing(c)
		return
	}
	w.judgeEarlier(c)
}

// judgeUndoing judges that a compensation begins when all else has ended, and is
// for the last of what is left to undo.
func (w *world) judgeUndoing(c *call) {
	id := strings.TrimPrefix(c.unit, "compensation/")
	if !slices.ContainsFunc(w.durable[c.run], func(e durable) bool { return e.Type() == "run.canceling" }) {
		w.fault("%s begins, and its run goes on", c)
	}
	if n := c.by.flying[c.run]; n > 1 {
		w.fault("%s begins with %d other calls in flight", c, n-1)
	}
	folded := w.fold(c.run, int64(len(w.durable[c.run])))
	for _, s := range folded.Subtasks {
		done := s.Undoing != nil && s.Undoing.Status.Ended()
		switch {
		case !s.Status.Ended():
			w.fault("%s begins while %s is %s", c, s.ID, s.Status)
		case s.ID == id && (done || s.Attempts == 0 || s.Compensate == nil):
			w.fault("%s begins, and there is nothing to undo", c)
		case s.Status == orchestration.StatusSucceeded && s.Compensate != nil && s.Attempts > 0 && !s.Cached && !done && s.Completed > folded.Subtask(id).Completed:
			w.fault("%s begins before that of %s, which ended later", c, s.ID)
		}
	}
}

// judgeEarlier holds a call against those before it that were for the same.
func (w *world) judgeEarlier(c *call) {
	for _, before := range w.calls {
		if before.run != c.run || before.unit != c.unit {
			continue
		}
		e := w.outcomeOf(before)
		var next follows
		if e != nil {
			next = followed(e.Event)
		}
		if before.key == c.key {
			w.seen["call made again"]++
			if e != nil && !next.again {
				w.fault("%s is made again as %s, and its outcome is durable", before, c.key)
			}
			if !slices.Equal(before.given, c.given) {
				w.fault("%s, given %v, is made again as %s, given %v", before, before.given, c.key, c.given)
			}
			if e == nil && before.by == c.by {
				w.fault("%s is made again as %s by the process that made it", before, c.key)
			}
		}
		if before.attempt != c.attempt-1 || e == nil || next.at.IsZero() {
			continue
		}
		if c.begun.Before(next.at) {
			w.fault("%s begins %v early", c, next.at.Sub(c.begun))
		}
		if f := before.failure; f != nil && !next.again && !next.fallback && c.begun.Before(before.ended.Add(min(f.RetryAfter, 5*time.Minute))) && c.key != before.key {
			w.fault("%s begins %v after a failure that asked for %v", c, c.begun.Sub(before.ended), f.RetryAfter)
		}
	}
}

// judgeWork judges that a subtask may begin: there is room, and what it depends
// on has ended, as it is told.
func (w *world) judgeWork(c orchestration.Work, p *process, perf *orchestration.Performance) {
	if most := perf.Spec.Limits.MaxConcurrency; p.working[perf.Run] >= most {
		w.fault("%s of %s begins while %d run; max_concurrency is %d", c.Key(), perf.Run, p.working[perf.Run], most)
	}
	if seen := len(c.Subtask.DependsOn) - len(c.Subtask.Implied); len(c.Dependencies) != seen {
		w.fault("%s of %s is told of %d dependencies of %d", c.Key(), perf.Run, len(c.Dependencies), seen)
	}
	for _, on := range c.Dependencies {
		status, skips, body := w.became(perf.Run, on.ID)
		good := status == orchestration.StatusSucceeded || skips && status == orchestration.StatusSkipped
		if !status.Ended() || c.Subtask.After != orchestration.AfterEnded && !good {
			w.fault("%s of %s begins while %s is %s", c.Key(), perf.Run, on.ID, status)
		}
		if on.Status != status || on.Output.Bytes != len(body) || on.Output.Seq == 0 && on.Output.Whole != body {
			w.fault("%s of %s is told that %s is %s, with %.40q; it is %s, with %.40q", c.Key(), perf.Run, on.ID, on.Status, on.Output.Whole, status, body)
		}
	}
}

// became returns what has become of a subtask, whether its dependants go on
// without it, and its output.
func (w *world) became(run, id string) (status orchestration.Status, skips bool, body string) {
	status = orchestration.StatusPending
	for _, e := range w.durable[run] {
		if e.Subtask != id {
			continue
		}
		switch f := e.Fact.(type) {
		case *orchestration.PlanSubtaskAdded:
			skips = f.Subtask.OnFailure.Do == orchestration.OnFailureSkip
		case *orchestration.SubtaskStarted:
			status = orchestration.StatusRunning
		case *orchestration.SubtaskSkipped:
			status, skips = orchestration.StatusSkipped, skips || f.Because != ""
		case *orchestration.SubtaskFailed, *orchestration.SubtaskCanceled:
			status = orchestration.Status(strings.TrimPrefix(e.Type(), "subtask."))
		case *orchestration.SubtaskSucceeded:
			status, body = orchestration.StatusSucceeded, e.Body()
		}
	}
	return status, skips, body
}

// unit returns what a started event or an outcome is about: "plan", "synthesis",
// "subtask/T1" or "compensation/T1".
func unit(e orchestration.Event) string {
	kind, _, _ := strings.Cut(e.Type(), ".")
	switch {
	case e.Type() == "subtask.compensated":
		return "compensation/" + e.Subtask
	case e.Subtask != "":
		return "subtask/" + e.Subtask
	}
	return kind
}

// repeats returns the attempt whose call a started event makes again, 0 if none.
func repeats(e orchestration.Event) (attempt int, started bool) {
	switch f := e.Fact.(type) {
	case *orchestration.PlanStarted:
		return f.Repeats, true
	case *orchestration.SubtaskStarted:
		return f.Repeats, true
	case *orchestration.SynthesisStarted:
		return f.Repeats, true
	}
	return 0, false
}

// outcome reports whether an event tells how a call ended.
func outcome(e orchestration.Event) bool {
	switch e.Type() {
	case "plan.invalid", "plan.created", "plan.replaced", "synthesis.succeeded", "synthesis.failed",
		"subtask.waiting", "subtask.compensated", "subtask.retrying", "subtask.succeeded", "subtask.failed", "subtask.skipped", "subtask.canceled":
		return true
	}
	return false
}

// outcomeOf returns the event that tells how a call ended, nil if there is none.
func (w *world) outcomeOf(c *call) *durable {
	events := w.durable[c.run]
	for i := range events {
		if e := &events[i]; outcome(e.Event) && e.Attempt == c.attempt && unit(e.Event) == c.unit {
			return e
		}
	}
	return nil
}

// What follows a failed attempt: another one, at a time; none if that is zero.
type follows struct {
	at              time.Time
	again, fallback bool
	after           time.Duration // that the provider asked for
}

func followed(e orchestration.Event) follows {
	at := func(t *time.Time) time.Time {
		if t == nil {
			return time.Time{}
		}
		return *t
	}
	switch f := e.Fact.(type) {
	case *orchestration.SubtaskRetrying:
		return follows{f.RetryAt, f.Again, f.Fallback, f.Failure.RetryAfter}
	case *orchestration.SubtaskCompensated:
		if f.Failure != nil {
			return follows{at(f.RetryAt), false, false, f.Failure.RetryAfter}
		}
	case *orchestration.PlanInvalid:
		return follows{at(f.RetryAt), f.Again, f.Fallback, f.Failure.RetryAfter}
	case *orchestration.SynthesisFailed:
		return follows{at(f.RetryAt), f.Again, f.Fallback, f.Failure.RetryAfter}
	}
	return follows{}
}
