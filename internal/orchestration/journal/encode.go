package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A storedRow is a run's row as every store keeps it: a time is in nanoseconds
// since 1970 (UTC), 0 for none; progress is a JSON array of its counts, to which
// a new count may be appended; labels are a JSON object.
type storedRow struct {
	id, tenant, status         string
	ended                      bool
	seq                        int64
	task, labels, workflow     string
	simulated                  bool
	progress                   string
	created, started, finished int64
}

// An entry is a commit in its stored form. It is made by the goroutine that
// calls Append, so that the one goroutine that writes has little to do.
type entry struct {
	orchestration.Commit // as it will be read back
	row                  storedRow
	parts                []part // all of its events
	bytes                int    // of these
	cached               []storedCached
}

// encode checks a commit and makes its entry.
func encode(c orchestration.Commit) (*entry, error) {
	if err := check(&c); err != nil {
		return nil, fmt.Errorf("malformed commit of run %q: %w", c.Row.ID, err)
	}
	r := &c.Row
	r.CreatedAt, r.StartedAt, r.EndedAt = stamp(r.CreatedAt), stamp(r.StartedAt), stamp(r.EndedAt)
	e := new(entry)
	e.row = storedRow{
		id: r.ID, tenant: r.Tenant, status: string(r.Status), ended: r.Status.Ended(),
		seq: r.Seq, task: r.Task, workflow: r.Workflow, simulated: r.Simulated, progress: string(appendProgress(nil, r.Progress)),
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
	var err error
	c.Events = slices.Clone(c.Events)
	for i := range c.Events {
		ev := &c.Events[i]
		ev.Time, ev.Subtask = ev.Time.UTC().Round(0), strings.ToValidUTF8(ev.Subtask, "\uFFFD")
	}
	err = e.split(c.Events)
	e.cached = encodeCached(c.Cached)
	e.Commit = c
	return e, err
}

// size returns the entry's bytes, roughly.
func (e *entry) size() int {
	size := e.bytes
	for _, a := range e.Attachments {
		size += len(a)
	}
	for _, row := range e.cached {
		size += len(row.output)
	}
	return size
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
	for _, d := range c.Deliveries {
		if d.ID == "" || d.Run != c.Row.ID || d.Tenant != c.Row.Tenant {
			return fmt.Errorf("delivery %q of run %q of tenant %q", d.ID, d.Run, d.Tenant)
		}
	}
	for _, row := range c.Cached {
		if row.Key == "" || row.Tenant != c.Row.Tenant {
			return fmt.Errorf("cached under key %q of tenant %q", row.Key, row.Tenant)
		}
	}
	if last := c.After + int64(len(c.Events)); c.Row.Seq != last {
		return fmt.Errorf("row at seq %d after event %d", c.Row.Seq, last)
	}
	return nil
}

// decode returns the row. Progress or labels that are spoilt are left out: what counts
// of a run is in its events, and one row must not keep all others from being listed.
func (s *storedRow) decode() orchestration.Row {
	r := orchestration.Row{
		ID: s.id, Tenant: s.tenant, Status: orchestration.Status(s.status), Seq: s.seq, Task: s.task, Workflow: s.workflow, Simulated: s.simulated,
		CreatedAt: clock(s.created), StartedAt: clock(s.started), EndedAt: clock(s.finished),
	}
	var n counts
	_ = json.Unmarshal([]byte(s.progress), &n)
	_ = json.Unmarshal([]byte(s.labels), &r.Labels)
	r.Progress = n.progress()
	return r
}

// counts are a progress as it is stored.
type counts [5]int

func (n counts) progress() orchestration.Progress {
	return orchestration.Progress{Total: n[0], Running: n[1], Succeeded: n[2], Failed: n[3], Skipped: n[4]}
}

func appendProgress(b []byte, p orchestration.Progress) []byte {
	for i, n := range [...]int{p.Total, p.Running, p.Succeeded, p.Failed, p.Skipped} {
		b = append(b, "[,,,,"[i])
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return append(b, ']')
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

// A part is some of a commit's events, one after the other, as they are stored: a
// row of its own. Nearly every commit has one.
type part struct {
	first, seq int64  // of its first event and of its last one
	events     string // see encodeEvents
}

// partSize is how many events a part has at most. Who reads a page of events decodes
// no more than a part in vain, however many there are in a commit.
const partSize = 500

// split encodes a commit's events, of which there is one at least.
func (e *entry) split(events []orchestration.Event) error {
	for some := range slices.Chunk(events, partSize) {
		encoded, err := encodeEvents(some)
		if err != nil {
			return err
		}
		e.parts = append(e.parts, part{some[0].Seq, some[len(some)-1].Seq, encoded})
		e.bytes += len(encoded)
	}
	return nil
}
