package journal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A storedEvent is an event as every store keeps it. Those of a commit are kept
// together, as one JSON array: in a table that is one row for all of them. A
// time is as RFC 3339 has it, since a JSON number of so many nanoseconds is
// beyond what many a tool reads exactly.
type storedEvent struct {
	Seq      int64           `json:"seq"`
	Time     time.Time       `json:"time"`
	Type     string          `json:"type"`
	Subtask  string          `json:"subtask"` // absent: none
	Attempt  int             `json:"attempt"` // absent: none
	Progress counts          `json:"progress"`
	Data     json.RawMessage `json:"data"` // the fact
}

// An encoder encodes events into one buffer, which is used again and again.
type encoder struct {
	buf   bytes.Buffer
	facts *json.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.facts = json.NewEncoder(&e.buf)
	e.facts.SetEscapeHTML(false)
	return e
}}

// encodeEvents returns the stored form of a commit's events.
func encodeEvents(events []orchestration.Event) (string, error) {
	e := encoders.Get().(*encoder)
	for i := range events {
		if err := e.encode(&events[i]); err != nil {
			return "", fmt.Errorf("event %d of run %q: %w", events[i].Seq, events[i].Run, err) // e is spoilt
		}
	}
	e.buf.WriteByte(']')
	stored := e.buf.String()
	if e.buf.Cap() <= 1<<20 {
		e.buf.Reset()
		encoders.Put(e)
	}
	return stored, nil
}

// encode writes one more element of the array. What surrounds the fact is
// written by hand, as reflection would cost as much as most facts do.
func (e *encoder) encode(ev *orchestration.Event) (err error) {
	b := e.buf.AvailableBuffer()
	if e.buf.Len() == 0 {
		b = append(b, '[')
	} else {
		b = append(b, ',')
	}
	b = strconv.AppendInt(append(b, `{"seq":`...), ev.Seq, 10)
	if b, err = ev.Time.AppendText(append(b, `,"time":"`...)); err != nil {
		return err
	}
	if b, err = jsontext.AppendQuote(append(b, `","type":`...), ev.Type()); err != nil {
		return err
	}
	if ev.Subtask != "" {
		if b, err = jsontext.AppendQuote(append(b, `,"subtask":`...), ev.Subtask); err != nil {
			return err
		}
	}
	if ev.Attempt != 0 {
		b = strconv.AppendInt(append(b, `,"attempt":`...), int64(ev.Attempt), 10)
	}
	b = appendProgress(append(b, `,"progress":`...), ev.Progress)
	e.buf.Write(append(b, `,"data":`...))
	if err := e.facts.Encode(ev.Fact); err != nil {
		return err
	}
	e.buf.Truncate(e.buf.Len() - 1) // the newline
	return e.buf.WriteByte('}')
}

// decodeEvents appends a commit's events with a seq above after to events, which are
// those between, as long as these are fewer than limit.
func decodeEvents(events []orchestration.Event, run string, stored []byte, after int64, limit int) ([]orchestration.Event, error) {
	var commit []storedEvent
	if err := json.Unmarshal(stored, &commit); err != nil {
		return nil, fmt.Errorf("events of run %q: %w: %w", run, orchestration.ErrUnreadable, err)
	}
	for _, s := range commit {
		if s.Seq <= after {
			continue
		}
		if enough(events, limit) {
			break
		}
		fact, err := s.fact()
		if due := max(after, 0) + int64(len(events)) + 1; s.Seq != due {
			err = fmt.Errorf("event %d is missing", due)
		}
		if err != nil {
			return nil, fmt.Errorf("event %d of run %q: %w: %w", s.Seq, run, orchestration.ErrUnreadable, err)
		}
		events = append(events, orchestration.Event{
			Seq: s.Seq, Time: s.Time, Run: run, Subtask: s.Subtask, Attempt: s.Attempt,
			Progress: s.Progress.progress(), Fact: fact,
		})
	}
	return events, nil
}

// fact decodes an event's fact. Of a run in a format that this code does not know
// nothing can be trusted, be it readable or not.
func (s *storedEvent) fact() (orchestration.Fact, error) {
	fact, err := orchestration.DecodeFact(s.Type, s.Data)
	switch created, ok := fact.(*orchestration.RunCreated); {
	case ok && created.Spec == nil:
		err = errors.New("it has no spec")
	case ok:
		err = checkFormat(created.Spec.Format)
	case err != nil && s.Type == (*orchestration.RunCreated)(nil).Type():
		var head struct{ Spec struct{ Format int } }
		if json.Unmarshal(s.Data, &head) == nil {
			err = cmp.Or(checkFormat(head.Spec.Format), err)
		}
	}
	return fact, err
}

// enough reports whether there are as many events as a limit allows.
func enough(events []orchestration.Event, limit int) bool {
	return limit > 0 && len(events) >= limit
}
