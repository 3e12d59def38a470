package local

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// gatherFor is how long an outcome that lets nothing begin is kept from the journal,
// for others to share its commit: subtasks that began together often end together, and
// the last of them, which something waits for, would have to wait for the first one's
// flush. Should the process die meanwhile, the call is made again.
const gatherFor = 2 * time.Millisecond

// steps are what the core decided on inputs that share a commit.
type steps struct {
	after    int64 // the seq before them
	heard    []heard
	events   []orchestration.Event
	commands []orchestration.Command
}

// gather has the core hear the inputs and, as long as what follows from them is in no
// hurry, more of them. It returns the input whose decision panicked, nil if none did.
func (l *loop) gather(s *steps, batch []heard) *heard {
	if panicked := l.hearAll(s, batch); panicked != nil || !l.unhurried(s) {
		return panicked
	}
	enough := time.NewTimer(gatherFor)
	defer enough.Stop()
	for l.unhurried(s) {
		select {
		case <-enough.C:
			return nil
		case <-l.driver.closing.Done():
			return nil
		case d := <-l.drafts:
			batch = l.drain(heard{said: d})
		case h := <-l.inbox:
			batch = l.drain(h)
		}
		if panicked := l.hearAll(s, batch); panicked != nil {
			return panicked
		}
	}
	return nil
}

// unhurried reports whether nobody waits for what was decided: outcomes were heard
// from which nothing follows yet, and others are to come.
func (l *loop) unhurried(s *steps) bool {
	return len(s.events) > 0 && len(s.commands) == 0 && len(l.calls) > 0 &&
		!slices.ContainsFunc(s.heard, func(h heard) bool { return h.call == "" })
}

// hearAll has the core hear inputs. It returns the one whose decision panicked, nil if
// none did.
func (l *loop) hearAll(s *steps, batch []heard) *heard {
	l.stopping = l.stopping || l.driver.isStopping() // before a call that was cut short is heard
	for _, h := range batch {
		if h.call != "" {
			delete(l.calls, h.call)
		}
	}
	first := len(s.heard)
	s.heard = append(s.heard, batch...)
	for i := first; i < len(s.heard); i++ {
		h := &s.heard[i]
		if l.stopping && h.postponed() {
			continue
		}
		in := l.driver.input(h.said)
		in.Stopping = l.stopping
		events, commands, err := l.step(in)
		switch {
		case errors.Is(err, errPanicked):
			return h
		case err != nil:
			l.refuse(h, err)
		default:
			s.events, s.commands = append(s.events, events...), append(s.commands, commands...)
		}
	}
	return nil
}

var errPanicked = errors.New("the decision panicked")

// step has the core decide.
func (l *loop) step(in orchestration.Input) (events []orchestration.Event, commands []orchestration.Command, err error) {
	defer l.survive(in.Said, func() { err = errPanicked })
	return l.run.Step(in)
}

// outstanding has the core work out what is to be done, after it was folded anew.
func (l *loop) outstanding() (commands []orchestration.Command, err error) {
	defer l.survive(orchestration.Resume{}, func() { err = errPanicked }) // which asks for much the same
	return l.run.Outstanding(), nil
}

// survive is deferred: it ends a panic of the core. The panic's value may be a model's
// text, so it is not told.
func (l *loop) survive(said orchestration.Said, panicked func()) {
	if v := recover(); v != nil {
		panicked()
		l.log().Error("the run's decision panicked", zap.String("input", fmt.Sprintf("%T", said)),
			zap.String("panic_type", fmt.Sprintf("%T", v)), zap.Stack("stack"))
	}
}
