package local

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A loop drives one run. Its goroutine owns all of it but the inbox.
type loop struct {
	id       string
	tenant   string
	run      *orchestration.Run      // nil: it is yet to be read from the journal
	commands []orchestration.Command // that are to be done first

	driver  *Driver
	inbox   chan heard
	drafts  chan orchestration.Drafted // the latest of a plan that is being written, which holds all before it
	ended   chan struct{}              // closed when the loop takes no more inputs
	cleared chan struct{}              // closed when the run has got on since it was taken up

	performing sync.WaitGroup
	calls      map[string]context.CancelFunc // in flight, by the command's key
	timers     map[string]*time.Timer        // set, by the command's key
	stopping   bool                          // nothing new is started
	unkept     bool                          // outcomes were refused for good, and nothing was kept since

	waits bool // for a person, and so takes no place: under the driver's lock
	done  bool // the run has ended: to be read once ended is closed
}

// heard is an input on its way to the run.
type heard struct {
	said    orchestration.Said
	call    string     // the key of the command that it is the outcome of, if one
	answer  chan error // to who waits for what comes of it, with room for it; nil: nobody does
	refused error      // why it was not heard
}

// inboxSize is how many inputs wait for a run before their senders do.
const inboxSize = 16

func (l *loop) init(d *Driver) {
	l.driver = d
	l.inbox, l.drafts = make(chan heard, inboxSize), make(chan orchestration.Drafted, 1)
	l.ended, l.cleared = make(chan struct{}), make(chan struct{})
	l.calls, l.timers = map[string]context.CancelFunc{}, map[string]*time.Timer{}
}

// say puts an input into the inbox, as long as the loop may still hear it.
func (l *loop) say(h heard) {
	select {
	case l.inbox <- h:
	case <-l.ended:
	}
}

// draft leaves drafts for the run to hear, in the place of those that it has not heard
// yet. It does not wait: a planner's stream must not stand still for a slow disk.
func (l *loop) draft(d orchestration.Drafted) {
	for {
		select {
		case l.drafts <- d:
			return
		default:
		}
		select {
		case <-l.drafts:
		default:
		}
	}
}

// drive begins with what is to be done, and with inputs, if there are any, and
// acts on what follows from each input, until the run has ended or the driver
// stops and no call is in flight any more.
func (l *loop) drive(first []heard) {
	defer l.stop()
	if l.run == nil && !l.load() {
		return
	}
	l.act(l.commands)
	if !l.hear(first) {
		return
	}
	stopping := l.driver.stopping
	for !l.run.Done() && (!l.stopping || len(l.calls) > 0) {
		select {
		case <-l.driver.closing.Done():
			return
		case <-stopping:
			l.stopping, stopping = true, nil
		case d := <-l.drafts:
			if !l.hear(l.drain(heard{said: d})) {
				return
			}
		case h := <-l.inbox:
			if !l.hear(l.drain(h)) {
				return
			}
		}
	}
	l.done = l.run.Done()
}

// hear decides what follows from inputs and acts on it. It reports whether the
// run can go on.
func (l *loop) hear(batch []heard) bool {
	commands, ok := l.decide(batch)
	if ok {
		l.keepPlace()
		l.act(commands)
	}
	return ok
}

// drain takes what else there is to be heard, so that it shares a commit: drafts before
// all else, as the plan that they are of may be what comes.
func (l *loop) drain(first heard) []heard {
	batch := []heard{first}
	select {
	case d := <-l.drafts:
		batch = []heard{{said: d}, first}
	default:
	}
	for {
		select {
		case h := <-l.inbox:
			batch = append(batch, h)
		default:
			return batch
		}
	}
}

// decide has the core hear the inputs, makes the events durable, and answers those
// who wait for that. If the run cannot go on they are not answered: the loop's end
// tells them.
func (l *loop) decide(batch []heard) (commands []orchestration.Command, ok bool) {
	s := &steps{after: l.run.Seq}
	if panicked := l.gather(s, batch); panicked != nil {
		reply(s.heard, errPanicked)
		return l.giveUp(panicked)
	}
	if len(s.events) == 0 {
		reply(s.heard, nil)
		return s.commands, true
	}
	commit := commitOf(l.run, s.events, orchestration.Commit{After: s.after})
	doubtful, err := l.append(commit)
	switch {
	case err == nil:
		l.unkept = false
		l.driver.options.Appended(l.run, s.events)
		l.clear()
		reply(s.heard, nil)
		return s.commands, true
	case l.driver.closing.Err() != nil:
		return nil, false
	case errors.Is(err, orchestration.ErrConflict) && !doubtful:
		l.letGo()
		return nil, false
	}
	l.log().Warn("an append failed; the run is folded anew", zap.Error(err))
	if !l.again(commit, err) {
		return nil, false
	}
	if l.run.Seq >= commit.Row.Seq {
		err = nil // it was durable all the same
	}
	reply(s.heard, err)
	commands, panicked := l.outstanding()
	switch {
	case panicked != nil:
		return l.giveUp(&heard{said: s.heard[0].said})
	case err != nil:
		return l.notKept(s.heard, commands)
	}
	return commands, true
}

// notKept goes on after a commit that was refused for good. Where outcomes are refused
// again the run is given up: the same calls would be made, and paid for, without end.
func (l *loop) notKept(batch []heard, outstanding []orchestration.Command) (commands []orchestration.Command, ok bool) {
	_, broken := batch[0].said.(orchestration.Broken)
	outcome := slices.IndexFunc(batch, func(h heard) bool { return h.call != "" })
	switch {
	case broken, l.unkept && l.run.Ending != nil: // not even its end can be written
		return nil, false
	case outcome < 0:
	case l.unkept:
		return l.giveUp(&batch[outcome])
	default:
		l.unkept = true
	}
	return outstanding, true
}

// giveUp ends a run that the core cannot decide on, or whose events no journal takes,
// from its last durable event on. In one that is ending already, the outcome that it
// broke of is lost, once. Where even that fails the run is left as it is: for another
// version of the server, perhaps.
func (l *loop) giveUp(broken *heard) (commands []orchestration.Command, ok bool) {
	_, again := broken.said.(orchestration.Broken)
	_, undone := broken.said.(orchestration.Compensated)
	switch {
	case again || !l.load():
		return nil, false
	case l.run.Ending == nil:
		return l.decide([]heard{{said: orchestration.Broken{}}})
	case broken.call == "" || undone:
		return nil, false
	}
	commands, err := l.outstanding()
	return commands, err == nil
}

func (l *loop) letGo() { l.log().Error("another driver holds the run; this one lets go of it") }

// clear notes that the run has got on since it was taken up.
func (l *loop) clear() {
	if l.run.Starts > 0 && !l.run.Done() {
		return
	}
	select {
	case <-l.cleared:
	default:
		close(l.cleared)
	}
}
