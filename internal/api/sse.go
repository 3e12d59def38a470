package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

const (
	// pingEvery keeps proxies from closing a quiet stream.
	pingEvery = 15 * time.Second
	// readWithin is how long a reader may take to make room for more. One that
	// takes longer is cut off, and can resume.
	readWithin = 10 * time.Second
	// streamPage is how many events are read from the journal at once. They are
	// held while their reader is slow, and each may hold an output of a megabyte.
	streamPage = 25
	// flushAt is how many bytes of frames are sent at once.
	flushAt = 16 << 10
	// maxDeltas is how many deltas wait for a reader before some are dropped.
	maxDeltas = 256
)

// ListEvents shows a run's events as a page or as a stream.
func (s *server) ListEvents(ctx context.Context, request ListEventsRequestObject) (ListEventsResponseObject, error) {
	x, params := exchangeOf(ctx), request.Params
	row, err := s.Reader.Row(ctx, x.tenant, request.Id)
	if err != nil {
		return nil, err
	}
	after := params.After
	if x.request.Header.Get("Last-Event-ID") != "" {
		after = params.LastEventID
	}
	if negotiate(x.request, typeJSON, typeEvents) == typeEvents {
		if row.Status.Ended() && after >= row.Seq {
			return reply{status: http.StatusNoContent}, nil
		}
		return stream{server: s, request: x.request, run: row, after: after, deltas: params.Deltas}, nil
	}
	limit := params.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	page := eventPage{Data: []frame{}, NextAfter: after}
	for len(page.Data) < limit && page.NextAfter < row.Seq {
		events, err := s.Reader.Events(ctx, row.ID, page.NextAfter, limit-len(page.Data))
		if err != nil {
			return nil, err
		}
		if len(events) == 0 { // it was deleted meanwhile
			break
		}
		for _, e := range events {
			page.Data, page.NextAfter = append(page.Data, frameOf(e)), e.Seq
		}
	}
	return ok(page), nil
}

// A stream is an answer that goes on as long as its run: the events after some
// seq as server-sent events.
type stream struct {
	server  *server
	request *http.Request
	run     orchestration.Row
	after   int64
	deltas  bool
	header  http.Header
}

// VisitCreateRunResponse writes the stream.
func (a stream) VisitCreateRunResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListEventsResponse writes the stream.
func (a stream) VisitListEventsResponse(w http.ResponseWriter) error { return a.write(w) }

// write sends the head of the answer and then follows the run. Once the head is
// out there is no way to tell of an error but to end the stream: the reader
// comes again with the last id it has. For what can never be read it should not.
func (a stream) write(w http.ResponseWriter) error {
	if err := a.refused(a.request.Context()); err != nil {
		return err
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", typeEvents)
	w.Header().Set("X-Accel-Buffering", "no") // or nginx would hold the events back
	w.WriteHeader(http.StatusOK)
	if a.request.Method == http.MethodHead {
		return nil
	}
	f := follower{stream: a, to: w, control: http.NewResponseController(w)}
	if err := f.follow(a.request.Context()); err != nil && a.request.Context().Err() == nil {
		a.server.log.Info("event stream cut", zap.String("run", a.run.ID), zap.String("request_id", exchangeOf(a.request.Context()).requestID), zap.Error(err))
	}
	return nil
}

// refused returns why what comes next cannot be read, now or ever.
func (a stream) refused(ctx context.Context) error {
	if _, err := a.server.Reader.Events(ctx, a.run.ID, a.after, 1); errors.Is(err, orchestration.ErrUnreadable) {
		return err
	}
	return a.server.unreadable(ctx, a.run)
}

// A follower writes one stream.
type follower struct {
	stream
	to      http.ResponseWriter
	control *http.ResponseController
	buf     *bytes.Buffer // what is to be sent; nil where nothing is
	known   atomic.Int64  // the last event that there is
	over    atomic.Bool   // there will be none after it
}

func (f *follower) follow(ctx context.Context) error {
	moved := make(chan struct{}, 1)
	stop := f.server.Reader.Watch(f.run.ID, func(row orchestration.Row) {
		f.learn(row)
		select {
		case moved <- struct{}{}:
		default:
		}
	})
	defer stop()
	deltas, stopDeltas := f.listen()
	defer stopDeltas()
	row, err := f.server.Reader.Row(ctx, f.run.Tenant, f.run.ID) // as it is now that we watch
	if err != nil {
		return err
	}
	f.learn(row)
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	if err := f.flush(); err != nil { // the head: a reader wants to know at once
		return err
	}
	for {
		over := f.over.Load() // before what is known is looked at
		if ended, err := f.catchUp(ctx, deltas); ended || err != nil {
			return err
		}
		if over { // and the reader began beyond its end
			return nil
		}
		select {
		case <-moved:
		case d := <-deltas:
			err = f.delta(d)
		case <-ping.C:
			f.buffer().WriteString(": ping\n\n")
			err = f.flush()
		case <-f.server.Draining:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// learn takes note of the last event that there is. The news may be old.
func (f *follower) learn(row orchestration.Row) {
	for {
		known := f.known.Load()
		if row.Seq <= known || f.known.CompareAndSwap(known, row.Seq) {
			break
		}
	}
	if row.Status.Ended() {
		f.over.Store(true)
	}
}

// catchUp writes every event up to the last one known, and before each the
// deltas that were there before it.
func (f *follower) catchUp(ctx context.Context, deltas <-chan orchestration.Delta) (ended bool, err error) {
	for f.after < f.known.Load() {
		for len(deltas) > 0 {
			if err := f.delta(<-deltas); err != nil {
				return false, err
			}
		}
		events, err := f.server.Reader.Events(ctx, f.run.ID, f.after, streamPage)
		if err != nil || len(events) == 0 { // none: the run was deleted
			return true, err
		}
		for _, e := range events {
			if err := f.event(e); err != nil {
				return false, err
			}
			f.after, ended = e.Seq, e.Terminal()
		}
		if err := f.flush(); err != nil {
			return false, err
		}
		if ended {
			return true, nil
		}
	}
	return false, nil
}

// listen subscribes to deltas, if they were asked for. A reader that does not
// keep up misses some: their offsets show it.
func (f *follower) listen() (deltas chan orchestration.Delta, stop func()) {
	if !f.deltas {
		return nil, func() {}
	}
	deltas = make(chan orchestration.Delta, maxDeltas)
	return deltas, f.server.Driver.Deltas(f.run.ID, func(d orchestration.Delta) {
		select {
		case deltas <- d:
		default:
		}
	})
}

func (f *follower) event(e orchestration.Event) error {
	buf := f.buffer()
	buf.WriteString("id: ")
	buf.Write(strconv.AppendInt(buf.AvailableBuffer(), e.Seq, 10))
	buf.WriteByte('\n')
	return f.frame(e.Type(), frameOf(e))
}

func (f *follower) delta(d orchestration.Delta) error {
	if err := f.frame("delta", Delta{RunId: d.Run, SubtaskId: d.Subtask, Attempt: d.Attempt, Offset: d.Offset, Text: d.Text}); err != nil {
		return err
	}
	return f.flush()
}

// frame adds a frame; encode ends its data with the first of two newlines.
func (f *follower) frame(event string, data any) error {
	buf := f.buffer()
	buf.WriteString("event: ")
	buf.WriteString(event)
	buf.WriteString("\ndata: ")
	if err := encode(buf, data); err != nil {
		return err
	}
	buf.WriteByte('\n')
	if buf.Len() >= flushAt {
		return f.flush()
	}
	return nil
}

// buffer returns what frames are written to. A reader has one only while it is
// written to: most of a thousand wait at any time.
func (f *follower) buffer() *bytes.Buffer {
	if f.buf == nil {
		f.buf = takeBuffer()
	}
	return f.buf
}

// flush hands what was written to the connection, within readWithin.
func (f *follower) flush() error {
	// A writer that knows no deadlines has no slow readers either.
	_ = f.control.SetWriteDeadline(time.Now().Add(readWithin))
	if f.buf != nil {
		_, err := f.to.Write(f.buf.Bytes())
		giveBuffer(f.buf)
		f.buf = nil
		if err != nil {
			return err
		}
	}
	return f.control.Flush()
}
