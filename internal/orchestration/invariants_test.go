package orchestration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// A world answers a run's commands at random: in any order, twice, late, with
// failures, and with a cancel now and then. It checks what must always hold.
type world struct {
	t        *rapid.T
	run      *Run
	events   []Event
	now      time.Time
	awaited  []Command // issued and not yet answered
	answered []Said    // to be said again
	canceled bool
	stopping bool
}

func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, run: New(Funcs{}), now: epoch}
		w.say(Start{ID: "run_1", Spec: drawSpec(t)})
		for inputs := 0; !w.run.Done(); inputs++ {
			if inputs > 2000 {
				t.Fatal("the run does not end")
			}
			w.next()
		}
		w.again()
		w.ended()
	})
}

func drawSpec(t *rapid.T) *Spec {
	spec := specOf(nil, nil)
	spec.Limits.MaxConcurrency = rapid.IntRange(1, 5).Draw(t, "max_concurrency")
	spec.Limits.MaxAttempts = rapid.IntRange(1, 3).Draw(t, "max_attempts")
	spec.Limits.MaxSubtasks = 12
	spec.OnFailure = rapid.SampledFrom([]OnFailure{OnFailurePartial, OnFailureFail, OnFailureReplan}).Draw(t, "on_failure")
	spec.Limits.MaxReplans = rapid.IntRange(0, 3).Draw(t, "max_replans")
	spec.Limits.ReplanCooldown = time.Duration(rapid.IntRange(0, 5).Draw(t, "cooldown")) * time.Second
	spec.Limits.MaxLLMCalls = rapid.SampledFrom([]int{0, 0, 3, 8, 20}).Draw(t, "max_llm_calls")
	if rapid.Bool().Draw(t, "fallback") {
		spec.Models = []Model{{Name: "m", Fallback: "small"}}
	}
	spec.Synthesizer.Mode = rapid.SampledFrom([]SynthesisMode{SynthesizeModel, SynthesizeNone}).Draw(t, "mode")
	if rapid.Bool().Draw(t, "own plan") {
		p := drawPlan(t)
		spec.Plan = &p
	}
	return spec
}

// drawPlan draws a plan whose subtasks depend on any of those before them.
func drawPlan(t *rapid.T) Plan {
	var p Plan
	for i := range rapid.IntRange(1, 12).Draw(t, "subtasks") {
		s := Subtask{ID: fmt.Sprintf("s%d", i), Description: "do it"}
		for j := range i {
			if rapid.IntRange(0, 3).Draw(t, "dependency") == 0 {
				s.DependsOn = append(s.DependsOn, fmt.Sprintf("s%d", j))
			}
		}
		s.After = rapid.SampledFrom([]After{"", AfterSucceeded, AfterEnded}).Draw(t, "after")
		s.OnFailure.Do = rapid.SampledFrom([]OnFailure{"", "", OnFailureSkip, OnFailureFallback, OnFailureReplan}).Draw(t, "on_failure of one")
		p.Subtasks = append(p.Subtasks, s)
	}
	return p
}

// next says something to the run.
func (w *world) next() {
	w.now = w.now.Add(time.Duration(rapid.IntRange(-100, 5000).Draw(w.t, "ms")) * time.Millisecond)
	switch choice := rapid.IntRange(0, 40).Draw(w.t, "what"); {
	case choice == 0:
		w.canceled = true
		w.say(Cancel{})
	case choice <= 3 && len(w.answered) > 0:
		if said := w.say(rapid.SampledFrom(w.answered).Draw(w.t, "again")); len(said) > 0 {
			w.t.Fatalf("an input said twice gave %v", said)
		}
	case choice == 4:
		w.replay()
	case choice == 5:
		w.crash()
	case choice == 6:
		w.stop()
	default:
		w.answer()
	}
}

// answer answers one of the awaited commands.
func (w *world) answer() {
	i := rapid.IntRange(0, len(w.awaited)-1).Draw(w.t, "command")
	c := w.awaited[i]
	if timer, ok := c.(SetTimer); ok {
		if timer.Timer == timeoutName && len(w.awaited) > 1 && rapid.IntRange(0, 9).Draw(w.t, "timeout") > 0 {
			return // rarely: there would be no story
		}
		w.now = later(w.now, timer.At)
	}
	w.awaited = slices.Delete(w.awaited, i, i+1)
	said := w.outcome(c)
	if said == nil {
		return
	}
	w.say(said)
	if w.run.Done() {
		return
	}
	if _, timer := said.(Due); !timer {
		w.answered = append(w.answered, said)
	}
}

// crash loses all that is in flight: another process takes the run up. What a
// lost attempt would have said comes too late, unless the run is ending.
func (w *world) crash() {
	lost := w.awaited
	w.run, w.awaited = w.again(), nil
	w.say(Resume{})
	for i, c := range w.awaited {
		if abort, ok := c.(Abort); ok {
			w.awaited[i] = abort.Call
		}
	}
	if w.run.Ending != nil {
		return
	}
	for _, c := range lost {
		if slices.ContainsFunc(w.awaited, func(a Command) bool { return a.Key() == c.Key() }) {
			continue // a later plan has left it out: it is given up as it is
		}
		if said := w.outcome(c); said != nil && c.Key() != "timer/"+timeoutName {
			if _, timer := c.(SetTimer); !timer {
				w.answered = append(w.answered, said)
			}
		}
	}
}

// stop cuts all calls short, as a process does that is told to stop, and has
// another one go on.
func (w *world) stop() {
	for _, c := range w.awaited {
		said := w.outcome(c)
		switch s := said.(type) {
		case Planned:
			s.Failure = &Failure{Code: CodeCanceled}
			said = s
		case Worked:
			s.Failure = &Failure{Code: CodeCanceled}
			said = s
		case Synthesized:
			s.Failure = &Failure{Code: CodeCanceled}
			said = s
		default:
			continue
		}
		w.stopping = true
		w.say(said)
		w.stopping = false
		if w.run.Done() {
			return
		}
	}
	w.awaited = nil
	w.say(Resume{})
}

func (w *world) outcome(c Command) Said {
	failure := w.drawFailure()
	switch c := c.(type) {
	case MakePlan:
		p := Planned{Attempt: c.Attempt, Failure: failure, Calls: callsOf("planner", c.Attempt)}
		if failure == nil {
			p.Plan, p.Answer = drawPlan(w.t), "an answer"
			if rapid.IntRange(0, 3).Draw(w.t, "spoiled") == 0 {
				p.Plan.Subtasks[0].DependsOn = []string{"nobody"}
			}
		}
		return p
	case Work:
		o := Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Failure: failure, Calls: callsOf("worker", c.Attempt)}
		if failure == nil {
			o.Output = rapid.SampledFrom([]string{"", "done", string(make([]byte, 5000)) + "long"}).Draw(w.t, "output")
		}
		return o
	case Synthesize:
		return Synthesized{Attempt: c.Attempt, Failure: failure, Output: "all", Calls: callsOf("synthesizer", c.Attempt)}
	case SetTimer:
		return Due{Timer: c.Timer}
	}
	return nil // an abort is answered by the outcome of its call
}

func (w *world) drawFailure() *Failure {
	if rapid.IntRange(0, 2).Draw(w.t, "fails") > 0 {
		return nil
	}
	return &Failure{
		Code:       rapid.SampledFrom([]Code{CodeUpstreamError, CodeUpstreamRateLimited, CodeOutputInvalid}).Draw(w.t, "code"),
		Retryable:  rapid.Bool().Draw(w.t, "retryable"),
		RetryAfter: time.Duration(rapid.IntRange(0, 3).Draw(w.t, "after")) * time.Second,
	}
}

// say carries an input to the run and checks what follows from it.
func (w *world) say(said Said) []Event {
	random := rapid.Float64Range(0, 0.999).Draw(w.t, "random")
	events, commands, err := w.run.Step(Input{Time: w.now, Random: random, Said: said, Stopping: w.stopping})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		if n := len(w.events); n > 0 && (e.Seq != w.events[n-1].Seq+1 || e.Time.Before(w.events[n-1].Time)) {
			w.t.Fatalf("event %d follows event %d", e.Seq, w.events[n-1].Seq)
		}
		w.events = append(w.events, e)
		w.check(e)
	}
	if _, resumed := said.(Resume); len(events) == 0 && len(commands) > 0 && !resumed {
		w.t.Fatalf("commands without an event: %v", commands)
	}
	w.awaited = append(w.awaited, commands...)
	return events
}

// check holds an event against all that came before it.
func (w *world) check(e Event) {
	if most := w.run.Spec.Limits.MaxLLMCalls; most > 0 && w.run.Totals.LLMCalls+w.run.Held.Calls > most {
		w.t.Fatalf("after %s %d calls were made and %d may be, of %d", e.Type(), w.run.Totals.LLMCalls, w.run.Held.Calls, most)
	}
	f, started := e.Fact.(*SubtaskStarted)
	if !started {
		return
	}
	if w.stopping {
		w.t.Fatalf("%s started while the process was about to stop", e.Subtask)
	}
	if p := w.run.Planning; f.Repeats == 0 && p.Version > 0 && p.Status != StatusSucceeded {
		w.t.Fatalf("%s started while the plan was being revised", e.Subtask)
	}
	if w.canceled || w.run.Ending != nil {
		w.t.Fatalf("%s started after the cancel", e.Subtask)
	}
	if w.run.Progress.Running > w.run.Spec.Limits.MaxConcurrency {
		w.t.Fatalf("%d run at once", w.run.Progress.Running)
	}
	s := w.run.Subtask(e.Subtask)
	for _, id := range s.DependsOn {
		on := w.run.Subtask(id).Status
		skipped := w.run.Subtask(id).OnFailure.Do == OnFailureSkip
		if !on.Ended() || (s.After == AfterSucceeded && on != StatusSucceeded && !skipped) {
			w.t.Fatalf("%s started while %s was %s", s.ID, id, on)
		}
	}
}

// replay puts in the run's place one that was folded from its journal: the
// state must be the same, and what is outstanding.
func (w *world) replay() {
	again := w.again()
	w.run = again
	var awaited []Command
	for _, c := range again.Outstanding() {
		abort, ok := c.(Abort)
		if ok { // the call was lost in the crash: what it ended in is still awaited
			c = abort.Call
		}
		awaited = append(awaited, c)
	}
	for _, c := range w.awaited {
		_, timer := c.(SetTimer)
		_, abort := c.(Abort)
		if !timer && !abort && !slices.ContainsFunc(awaited, func(a Command) bool { return a.Key() == c.Key() }) {
			w.t.Fatalf("%s was issued and is not outstanding after a replay", c.Key())
		}
	}
	w.awaited = awaited
}

func (w *world) again() *Run {
	again := New(Funcs{})
	for _, e := range w.events {
		again.Replay(throughJSON(w.t, e))
	}
	if diff := cmp.Diff(w.run, again, cmpopts.IgnoreUnexported(Run{}, SubtaskState{}), cmpopts.EquateEmpty()); diff != "" {
		w.t.Fatalf("the replayed run is another (-lived +replayed):\n%s", diff)
	}
	if diff := cmp.Diff(w.run.Outstanding(), again.Outstanding()); diff != "" {
		w.t.Fatalf("what is outstanding is another (-lived +replayed):\n%s", diff)
	}
	return again
}

// ended checks a run that is done.
func (w *world) ended() {
	terminal := 0
	for _, e := range w.events {
		if e.Terminal() {
			terminal++
		}
	}
	if last := w.events[len(w.events)-1]; terminal != 1 || !last.Terminal() {
		w.t.Fatalf("%d terminal events, the last event is %s", terminal, last.Type())
	}
	if got := w.run.Outstanding(); len(got) > 0 {
		w.t.Fatalf("outstanding after the end: %v", got)
	}
	counted := Progress{}
	for _, s := range w.run.Subtasks {
		if !s.Status.Ended() || s.EndedAt.IsZero() {
			w.t.Fatalf("%s is %s since %v after the end", s.ID, s.Status, s.EndedAt)
		}
		if s.Dropped > 0 {
			continue
		}
		counted.Total++
		counted.count(s.Status, 1)
	}
	if counted != w.run.Progress {
		w.t.Fatalf("progress is %v, counted %v", w.run.Progress, counted)
	}
	if held := w.run.Held; held.Calls != 0 || held.PromptTokens != 0 {
		w.t.Fatalf("after the end %v is held back", held)
	}
	for _, said := range []Said{Cancel{}, Due{Timer: timeoutName}} {
		if events := w.say(said); len(events) > 0 {
			w.t.Fatalf("%T after the end gave events", said)
		}
	}
}
