package journal

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A batch, which is one transaction, holds at most so many writes and, but for
// a single larger one, so many bytes.
const (
	maxBatch      = 256
	maxBatchBytes = 4 << 20
)

// commitDelay is how long a transaction is kept waiting, after one that several
// writes shared, for as many more as that had: those who have just written are
// likely to write again at once. Fewer and larger transactions cost less CPU and
// flush the disk less often. Where few write, nobody waits. PostgreSQL's
// commit_delay and commit_siblings are much the same.
const commitDelay = 2 * time.Millisecond

// A write is one thing to be done in a transaction together with others.
type write struct {
	// apply does it. When it is refused it must have changed nothing; when it
	// failed, by the storage, the whole transaction is lost.
	apply   func(*session) (refused, failed error)
	entry   *entry   // the commit that it appends, if it does
	deletes []string // the runs that it may delete
	owes    bool     // it makes a delivery due

	refused error
	done    chan error
}

// A writer is the one goroutine that writes to a database. While a transaction
// is being flushed the next writes gather in the queue, and then all go into
// the next transaction: so the busier it is the less a write costs.
type writer struct {
	connect func(context.Context) (*session, error)
	watchers
	recent *recent
	owing  chan struct{} // signaled when a delivery has become due

	queueMu  sync.Mutex
	wake     sync.Cond // on queueMu: as many as wanted are in the queue, or it is closed
	queue    []*write
	wanted   int         // how many writes the next transaction waits for
	patience *time.Timer // for more than one, once there was need of any
	closed   bool

	session *session      // of the writer's goroutine; nil: to be connected anew
	failing atomic.Bool   // the last transaction failed
	stopped chan struct{} // closed when the goroutine has ended
}

func newWriter(s *session, connect func(context.Context) (*session, error)) *writer {
	w := &writer{connect: connect, recent: newRecent(maxRecent), owing: make(chan struct{}, 1), wanted: 1, session: s, stopped: make(chan struct{})}
	w.wake.L = &w.queueMu
	go w.loop()
	return w
}

// do returns when a write is durable, refused or failed, or when the context
// ended before it was begun.
func (w *writer) do(ctx context.Context, one *write) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	one.done = make(chan error, 1)
	w.queueMu.Lock()
	if w.closed {
		w.queueMu.Unlock()
		return errClosed
	}
	w.queue = append(w.queue, one)
	if len(w.queue) >= w.wanted {
		w.wake.Signal()
	}
	w.queueMu.Unlock()

	select {
	case err := <-one.done:
		return err
	case <-ctx.Done():
		if w.withdraw(one) {
			return ctx.Err()
		}
		return <-one.done
	}
}

// withdraw takes a write back if it still waits.
func (w *writer) withdraw(one *write) bool {
	w.queueMu.Lock()
	defer w.queueMu.Unlock()
	i := slices.Index(w.queue, one)
	if i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
	}
	return i >= 0
}

// open returns an error when the writer is closed.
func (w *writer) open() error {
	w.queueMu.Lock()
	defer w.queueMu.Unlock()
	if w.closed {
		return errClosed
	}
	return nil
}

// close lets the writer finish its queue and end.
func (w *writer) close() {
	w.queueMu.Lock()
	w.closed = true
	w.wake.Signal()
	w.queueMu.Unlock()
	<-w.stopped
}

func (w *writer) loop() {
	defer close(w.stopped)
	var batch []*write
	for {
		batch = w.take(batch[:0])
		if len(batch) == 0 {
			break
		}
		w.recent.begin(batch)
		err := unavailable(w.transact(batch))
		w.recent.end(batch, err)
		w.failing.Store(err != nil)
		w.expect(len(batch))
		for _, one := range batch {
			w.finish(one, err)
		}
		clear(batch)
	}
	if w.session != nil {
		w.session.close()
	}
}

// take waits for writes and returns the next batch: none when all is done.
func (w *writer) take(batch []*write) []*write {
	w.queueMu.Lock()
	defer w.queueMu.Unlock()
	for len(w.queue) < w.wanted && !w.closed {
		w.wake.Wait()
	}
	w.wanted = 1
	if w.patience != nil {
		w.patience.Stop()
	}
	size := 0
	for _, one := range w.queue {
		if one.entry != nil {
			size += one.entry.size()
		}
		if len(batch) == maxBatch || len(batch) > 0 && size > maxBatchBytes {
			break
		}
		batch = append(batch, one)
	}
	w.queue = slices.Delete(w.queue, 0, len(batch))
	return batch
}

// expect has the next transaction wait, for a moment, for as many more writes as
// are about to be answered. A timer that was stopped too late may cut it short.
func (w *writer) expect(answered int) {
	if answered < 2 {
		return
	}
	w.queueMu.Lock()
	defer w.queueMu.Unlock()
	w.wanted = min(len(w.queue)+answered, maxBatch)
	w.patience = time.AfterFunc(commitDelay, func() {
		w.queueMu.Lock()
		defer w.queueMu.Unlock()
		w.wanted = 1
		w.wake.Signal()
	})
}

// transact does a batch in one transaction. What was refused is known for sure
// only when it returned nil: it may have been refused for another one's sake.
func (w *writer) transact(batch []*write) (err error) {
	ctx := context.Background() // a write once begun is seen through
	if w.session == nil {
		if w.session, err = w.connect(ctx); err != nil {
			return err
		}
	}
	s := w.session
	if err := s.exec(s.begin); err != nil {
		return err
	}
	defer func() {
		if err != nil && s.rollback() != nil {
			w.session = nil // it is in no known state
			s.discard()
		}
	}()
	for _, one := range batch {
		if one.refused, err = one.apply(s); err != nil {
			return err
		}
	}
	return s.exec(s.commit)
}

// finish tells the watchers of a write, then the one who waits for it.
func (w *writer) finish(one *write, failed error) {
	switch {
	case failed != nil:
		one.done <- failed
	case one.refused != nil:
		one.done <- one.refused
	default:
		if one.entry != nil {
			w.tell(one.entry.Row)
			if one.entry.row.ended {
				delete(w.session.holding, one.entry.row.id)
			}
		}
		for _, run := range one.deletes {
			delete(w.session.holding, run)
		}
		if one.owes {
			signal(w.owing)
		}
		one.done <- nil
	}
}
