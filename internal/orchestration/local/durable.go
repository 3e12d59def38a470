package local

import (
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Waits between tries at an append while the storage is unavailable.
const (
	firstAppendWait = 50 * time.Millisecond
	lastAppendWait  = 5 * time.Second
)

// append makes a commit durable, however long the storage is away. It is doubtful
// whether a commit is that did not end well at the first try.
func (l *loop) append(c orchestration.Commit) (doubtful bool, err error) {
	for wait := firstAppendWait; ; wait = min(2*wait, lastAppendWait) {
		err := l.driver.options.Journal.Append(l.driver.closing, c)
		if !errors.Is(err, orchestration.ErrUnavailable) {
			return doubtful, err
		}
		doubtful = true
		l.log().Warn("the journal is unavailable; the append will be tried again", zap.Error(err), zap.Duration("wait", wait))
		if !l.sleep(wait) {
			return doubtful, err
		}
	}
}

// again folds the run from its journal, after an append that failed for good. The
// commit may have been durable although its append failed. If it met a conflict and
// was not, another driver holds the run, whose calls are not this one's to make.
func (l *loop) again(c orchestration.Commit, failed error) bool {
	var unknown []orchestration.Event
	ok := l.read(func(e orchestration.Event) {
		if e.Seq > c.After {
			unknown = append(unknown, e)
		}
	}, func() { unknown = nil })
	if !ok {
		return false
	}
	if errors.Is(failed, orchestration.ErrConflict) && !same(unknown, c.Events) {
		l.letGo()
		return false
	}
	l.driver.options.Appended(l.run, unknown)
	return true
}

// same reports whether events that were read are those that were appended.
func same(read, appended []orchestration.Event) bool {
	return slices.EqualFunc(read, appended, func(a, b orchestration.Event) bool {
		return a.Seq == b.Seq && a.Time.Equal(b.Time) && a.Type() == b.Type() && a.Subtask == b.Subtask && a.Attempt == b.Attempt
	})
}

// load folds a run that this process has not seen yet.
func (l *loop) load() bool { return l.read(func(orchestration.Event) {}, func() {}) }

// read folds the run from its journal, however long the storage is away, and
// shows each event; anew tells that they are shown from the first one on again.
// It reports whether there is such a run. One that cannot be read though the storage
// is there is left as it is.
func (l *loop) read(show func(orchestration.Event), anew func()) bool {
	for wait := firstAppendWait; ; wait = min(2*wait, lastAppendWait) {
		anew()
		run, err := l.driver.replay(l.driver.closing, l.id, 0, show)
		if err == nil {
			l.run = run
			return run.Spec != nil // otherwise it was deleted
		}
		if !errors.Is(err, orchestration.ErrUnavailable) {
			l.log().Error("the run cannot be read; it is left as it is", zap.Error(err))
			return false
		}
		l.log().Warn("the journal is unavailable; the run will be read again", zap.Error(err), zap.Duration("wait", wait))
		if !l.sleep(wait) {
			return false
		}
	}
}

// sleep reports whether it was not cut short by the driver's closing.
func (l *loop) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.driver.closing.Done():
		return false
	}
}
