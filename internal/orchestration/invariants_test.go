package orchestration

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// A world answers a run's commands at random: in any order, twice, late, with
// failures, and with a cancel now and then; people in it decide as they like. It
// checks what must always hold.
type world struct {
	t        *rapid.T
	run      *Run
	events   []Event
	now      time.Time
	awaited  []Command // issued and not yet answered
	answered []Said    // to be said again
	canceled bool
	stopping bool

	writing map[int]Plan // what planners write, by attempt
	answer  Planned      // the last one that was said
	given   []string     // what its planner was told of
	created bool         // there is a plan

	known map[string]*known // subtasks by id, as the events tell of them
	total int               // of the plan, with what it expanded to
}

func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { newWorld(t).play(drawSpec(t)) })
}

// TestInvariantsOfDrafts has every run be planned, by planners whose subtasks depend
// on each other.
func TestInvariantsOfDrafts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		spec.Plan, spec.Fork = nil, nil
		newWorld(t).play(spec)
	})
}

// play has a run go on until it has ended.
func (w *world) play(spec *Spec) {
	written := encoded(spec.Plan)
	queue := oneIn(w.t, 6, "queue")
	w.say(Start{ID: "run_1", Spec: spec, Queue: queue})
	if queue {
		w.run = w.again()
		w.say(Begin{})
	}
	for inputs := 0; !w.run.Done(); inputs++ {
		if inputs > 5000 {
			w.t.Fatal("the run does not end")
		}
		w.next()
	}
	w.again()
	w.ended()
	w.forked()
	if now := encoded(spec.Plan); string(now) != string(written) {
		w.t.Fatalf("the plan was\n%s and is now\n%s", written, now)
	}
}

func newWorld(t *rapid.T) *world {
	return &world{t: t, run: New(storyFuncs()), now: epoch, writing: map[int]Plan{}, known: map[string]*known{}}
}

// next says something to the run.
func (w *world) next() {
	w.now = w.now.Add(time.Duration(rapid.IntRange(-100, 5000).Draw(w.t, "ms")) * time.Millisecond)
	switch choice := rapid.IntRange(0, 60).Draw(w.t, "what"); {
	case choice == 60:
		w.canceled = true
		w.say(Cancel{})
	case choice >= 57 && len(w.answered) > 0:
		if said := w.say(rapid.SampledFrom(w.answered).Draw(w.t, "again")); len(said) > 0 {
			w.t.Fatalf("an input said twice gave %v", said)
		}
	case choice == 56:
		w.replay()
	case choice == 55:
		w.crash()
	case choice == 54:
		w.stop()
	case choice >= 51:
		w.decide()
	case choice >= 44:
		w.draft()
	default:
		w.hearOne()
	}
}

// hearOne answers one of the awaited commands or, where none is, has people decide.
func (w *world) hearOne() {
	if len(w.awaited) == 0 {
		w.decide()
		return
	}
	i := rapid.IntRange(0, len(w.awaited)-1).Draw(w.t, "command")
	c := w.awaited[i]
	if timer, ok := c.(SetTimer); ok {
		if timer.Timer == timeoutName && rapid.IntRange(0, 9).Draw(w.t, "timeout") > 0 {
			w.decide()
			return // rarely: there would be no story
		}
		if timer.Timer == timeoutName || rapid.IntRange(0, 3).Draw(w.t, "early") > 0 {
			w.now = later(w.now, timer.At)
		}
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
	if due, timer := said.(Due); !timer || strings.HasPrefix(due.Timer, "decision/") {
		w.answered = append(w.answered, said)
	}
}

// crash loses all that is in flight: another process takes the run up. What a
// lost attempt would have said comes too late, unless the run is ending.
func (w *world) crash() {
	lost := w.awaited
	w.run, w.awaited = w.again(), nil
	w.say(Resume{})
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
	for _, c := range slices.Clone(w.awaited) {
		said := w.outcome(c)
		cut := rapid.IntRange(0, 4).Draw(w.t, "cut short") > 0
		switch s := said.(type) {
		case Planned:
			s.Failure = cutShort(s.Failure, cut)
			said = s
		case Worked:
			if s.Failure = cutShort(s.Failure, cut); cut && !judged(c) {
				s.Output = ""
			}
			said = s
		case Synthesized:
			s.Failure = cutShort(s.Failure, cut)
			said = s
		case Compensated:
			s.Failure = cutShort(s.Failure, cut)
			said = s
		default:
			continue
		}
		w.awaited = slices.DeleteFunc(w.awaited, func(a Command) bool { return a.Key() == c.Key() })
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

func cutShort(f *Failure, cut bool) *Failure {
	if cut {
		return &Failure{Code: CodeCanceled}
	}
	return f
}

// say carries an input to the run and checks what follows from it.
func (w *world) say(said Said) []Event {
	events, commands, err := w.step(said)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, resumed := said.(Resume); len(events) == 0 && !resumed {
		for _, c := range commands {
			_, timer := c.(SetTimer)
			if _, undo := c.(Compensate); !timer && !undo {
				w.t.Fatalf("%s is to be done without an event, after %T", c.Key(), said)
			}
		}
	}
	return events
}

// step has the run hear an input. What it refuses leaves no trace.
func (w *world) step(said Said) ([]Event, []Command, error) {
	random := rapid.Float64Range(0, 0.999).Draw(w.t, "random")
	before := w.run.Seq
	if p, ok := said.(Planned); ok {
		w.answer = p
	}
	if _, starts := said.(Start); !starts {
		w.t.Logf("> %T %.300s", said, fmt.Sprintf("%+v", said))
	}
	events, commands, err := w.run.Step(Input{Time: w.now, Random: random, Said: said, Stopping: w.stopping})
	if err != nil && (len(events) > 0 || len(commands) > 0 || w.run.Seq != before) {
		w.t.Fatalf("%v leaves a trace: %v %v", err, events, commands)
	}
	for _, e := range events {
		if n := len(w.events); n > 0 && (e.Seq != w.events[n-1].Seq+1 || e.Time.Before(w.events[n-1].Time)) {
			w.t.Fatalf("event %d follows event %d", e.Seq, w.events[n-1].Seq)
		}
		if n := len(w.events); n > 0 && w.events[n-1].Terminal() {
			w.t.Fatalf("%s follows the end", e.Type())
		}
		w.events = append(w.events, e)
		w.tell(e)
		w.hear(e)
		if s := w.run.Subtask(e.Subtask); s != nil && s.Shortened && len(w.run.Caches([]Event{e})) > 0 {
			w.t.Fatalf("what %s made of a shortened prompt is cached", s.ID)
		}
	}
	for _, c := range commands {
		w.ask(c)
	}
	w.settled(said)
	return events, commands, err
}

// tell logs an event, for who has to find out why a world went wrong.
func (w *world) tell(e Event) {
	body := ""
	if f, added := e.Fact.(*PlanSubtaskAdded); added {
		body = " " + string(encoded(f.Subtask))
	}
	w.t.Log("  " + tellEvent(e) + body)
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
		if !timer && !slices.ContainsFunc(awaited, func(a Command) bool {
			return a.Key() == c.Key() || a.Key() == "timer/"+c.Key() // by which a compensation is made again
		}) {
			w.t.Fatalf("%s was issued and is not outstanding after a replay", c.Key())
		}
	}
	w.awaited = awaited
}

func (w *world) again() *Run {
	again := New(storyFuncs())
	for _, e := range w.events {
		again.Replay(throughJSON(w.t, e))
	}
	w.same("replayed", again)
	if diff := cmp.Diff(w.run.Outstanding(), again.Outstanding(), cmpopts.EquateEmpty()); diff != "" {
		w.t.Fatalf("what is outstanding is another (-lived +replayed):\n%s", diff)
	}
	data, err := json.Marshal(w.run)
	if err != nil {
		w.t.Fatal(err)
	}
	read := New(storyFuncs())
	if err := json.Unmarshal(data, read); err != nil {
		w.t.Fatal(err)
	}
	w.same("read", read)
	return again
}

func (w *world) same(how string, other *Run) {
	if diff := cmp.Diff(w.run, other, cmpopts.IgnoreUnexported(Run{}, SubtaskState{}), cmpopts.EquateEmpty()); diff != "" {
		w.t.Fatalf("the %s run is another (-lived):\n%s", how, diff)
	}
}

// isRefusal reports whether an error refuses a decision as it should.
func isRefusal(err error) bool {
	var wrong *DecisionError
	return errors.Is(err, ErrNotWaiting) || errors.As(err, &wrong)
}
