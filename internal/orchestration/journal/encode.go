package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// The stored forms. Every store keeps these, so that what is read back from
// one is the same as from another: a time is in nanoseconds since 1970 (UTC),
// 0 for none; progress is a JSON array of its counts, to which a new count may
// be appended; labels are a JSON object; an event's data is its fact as
// json.Marshal writes it.
type (
	storedRow struct {
		id, tenant, status         string
		ended                      bool
		seq                        int64
		task, labels               string
		simulated                  bool
		progress                   string
		created, started, finished int64
	}
	storedEvent struct {
		seq, time     int64
		kind, subtask string
		attempt       int64
		progress      string
		data          string
	}
)

// An entry is a commit in its stored form. It is made by the goroutine that
// calls Append, so that the one goroutine that writes has little to do.
type entry struct {
	orchestration.Commit // as it was given, but for the row's times
	row                  storedRow
	events               []storedEvent
	size                 int // bytes, roughly
}

// encode checks a commit and makes its entry.
func encode(c orchestration.Commit) (*entry, error) {
	if err := check(&c); err != nil {
		return nil, fmt.Errorf("malformed commit of run %q: %w", c.Row.ID, err)
	}
	r := &c.Row
	r.CreatedAt, r.StartedAt, r.EndedAt = stamp(r.CreatedAt), stamp(r.StartedAt), stamp(r.EndedAt)
	e := &entry{events: make([]storedEvent, len(c.Events))}
	e.row = storedRow{
		id: r.ID, tenant: r.Tenant, status: string(r.Status), ended: r.Status.Ended(),
		seq: r.Seq, task: r.Task, simulated: r.Simulated, progress: encodeProgress(r.Progress),
		created: nanos(r.CreatedAt), started: nanos(r.StartedAt), finished: nanos(r.EndedAt),
	}
	if c.After == 0 {
		if len(r.Labels) == 0 {
			r.Labels = nil
		}
		labels, err := json.Marshal(r.Labels)
		if err != nil {
			return nil, err
		}
		e.row.labels = string(labels)
	}
	e.Commit = c
	if err := e.encodeEvents(); err != nil {
		return nil, err
	}
	for _, a := range c.Attachments {
		e.size += len(a)
	}
	return e, nil
}

// check refuses what no fence could make right.
func check(c *orchestration.Commit) error {
	if len(c.Events) == 0 {
		return errors.New("no events")
	}
	if c.Row.ID == "" {
		return errors.New("no run")
	}
	if c.After < 0 {
		return errors.New("negative seq")
	}
	if c.After > 0 && (c.Key != nil || len(c.Attachments) > 0) {
		return errors.New("a key or attachments after the first events")
	}
	for i, ev := range c.Events {
		if want := c.After + int64(i) + 1; ev.Seq != want {
			return fmt.Errorf("event %d where %d is due", ev.Seq, want)
		}
		if ev.Run != c.Row.ID {
			return fmt.Errorf("event %d is of run %q", ev.Seq, ev.Run)
		}
		if ev.Fact == nil {
			return fmt.Errorf("event %d without a fact", ev.Seq)
		}
	}
	if last := c.After + int64(len(c.Events)); c.Row.Seq != last {
		return fmt.Errorf("row at seq %d after event %d", c.Row.Seq, last)
	}
	return nil
}

// facts encodes facts into one buffer, which is used again and again.
type facts struct {
	buf bytes.Buffer
	enc *json.Encoder
}

var factsPool = sync.Pool{New: func() any {
	f := new(facts)
	f.enc = json.NewEncoder(&f.buf)
	f.enc.SetEscapeHTML(false)
	return f
}}

// encodeEvents makes the stored events: their data are parts of one string, so
// that a commit costs one allocation for all of them.
func (e *entry) encodeEvents() error {
	f := factsPool.Get().(*facts)
	ends := make([]int, len(e.Events))
	for i, ev := range e.Events {
		if err := f.enc.Encode(ev.Fact); err != nil {
			return fmt.Errorf("event %d of run %q: %w", ev.Seq, ev.Run, err) // f is spoilt
		}
		ends[i] = f.buf.Len() - 1 // without the newline
	}
	text, start := f.buf.String(), 0
	for i, ev := range e.Events {
		e.events[i] = storedEvent{
			seq: ev.Seq, time: nanos(ev.Time), kind: ev.Type(), subtask: ev.Subtask, attempt: int64(ev.Attempt),
			progress: encodeProgress(ev.Progress), data: text[start:ends[i]],
		}
		start = ends[i] + 1
	}
	e.size = len(text)
	if f.buf.Cap() <= 1<<20 {
		f.buf.Reset()
		factsPool.Put(f)
	}
	return nil
}

func (s *storedEvent) decode(run string) (orchestration.Event, error) {
	ev := orchestration.Event{
		Seq: s.seq, Time: clock(s.time), Run: run, Subtask: s.subtask, Attempt: int(s.attempt),
	}
	var err error
	if ev.Progress, err = decodeProgress(s.progress); err == nil {
		ev.Fact, err = orchestration.DecodeFact(s.kind, []byte(s.data))
	}
	if err != nil {
		return ev, fmt.Errorf("event %d of run %q as stored: %w", s.seq, run, err)
	}
	return ev, nil
}

func (s *storedRow) decode() (orchestration.Row, error) {
	r := orchestration.Row{
		ID: s.id, Tenant: s.tenant, Status: orchestration.Status(s.status), Seq: s.seq, Task: s.task, Simulated: s.simulated,
		CreatedAt: clock(s.created), StartedAt: clock(s.started), EndedAt: clock(s.finished),
	}
	var err error
	if r.Progress, err = decodeProgress(s.progress); err == nil {
		err = json.Unmarshal([]byte(s.labels), &r.Labels)
	}
	if err != nil {
		return r, fmt.Errorf("row of run %q as stored: %w", s.id, err)
	}
	return r, nil
}

func encodeProgress(p orchestration.Progress) string {
	b := make([]byte, 0, 32)
	for i, n := range [...]int{p.Total, p.Running, p.Succeeded, p.Failed, p.Skipped} {
		b = append(b, "[,,,,"[i])
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(append(b, ']'))
}

func decodeProgress(s string) (orchestration.Progress, error) {
	var n [5]int
	err := json.Unmarshal([]byte(s), &n)
	return orchestration.Progress{Total: n[0], Running: n[1], Succeeded: n[2], Failed: n[3], Skipped: n[4]}, err
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func clock(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// stamp returns a time as it will be read back.
func stamp(t time.Time) time.Time { return clock(nanos(t)) }
