package journaltest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// testFidelity stores every type of fact, with awkward text wherever text goes.
func testFidelity(t *testing.T, j journal.Journal) {
	facts := must(facts())(t)
	s := &story{row: orchestration.Row{
		ID: Text, Tenant: Text, Status: orchestration.Status(Text), Task: Text, Workflow: Text, Simulated: true,
		Labels:    map[string]string{Text: Text, "": ""},
		Progress:  orchestration.Progress{Total: 1, Running: 1 << 40, Succeeded: 3, Failed: -4, Skipped: 5},
		CreatedAt: Epoch, StartedAt: Epoch.Add(1), EndedAt: Epoch.Add(2),
	}}
	for _, fact := range facts {
		s.event(Text, fact)
	}
	s.commit()
	c := s.commits[0]
	appendAll(t, j, c)
	want(t, "events", must(j.Events(t.Context(), Text, 0, 0))(t), c.Events)
	want(t, "row", must(j.Row(t.Context(), Text, Text))(t), c.Row)
	for _, f := range []orchestration.Filter{{Labels: c.Row.Labels}, {Workflow: Text}} {
		want(t, "rows", must(j.Rows(t.Context(), Text, f))(t), []orchestration.Row{c.Row})
	}

	// A time's zone and its monotonic reading are not kept.
	zoned := Story("acme", "run_1")[0]
	zoned.Row.CreatedAt = Epoch.In(time.FixedZone("", 3600))
	zoned.Events[0].Time = zoned.Row.CreatedAt
	appendAll(t, j, zoned)
	row := must(j.Row(t.Context(), "acme", "run_1"))(t)
	ev := must(j.Event(t.Context(), "run_1", 1))(t)
	if row.CreatedAt != Epoch || ev.Time != Epoch {
		t.Errorf("created %v, event %v, want %v", row.CreatedAt, ev.Time, Epoch)
	}
}

func testLarge(t *testing.T, j journal.Journal) {
	const size = 1 << 19
	s := &story{row: orchestration.Row{ID: "run_1", Tenant: "acme", Status: orchestration.StatusRunning, CreatedAt: Epoch}}
	for i := range 6 {
		s.event("T1", &orchestration.SubtaskSucceeded{Output: strings.Repeat(string(rune('a'+i)), size)})
		if i != 2 {
			s.commit()
		}
	}
	appendAll(t, j, s.commits...)
	want(t, "events", must(j.Events(t.Context(), "run_1", 0, 0))(t), Events(s.commits))
}

func testAttachments(t *testing.T, j journal.Journal) {
	c := Story("acme", "run_1")[0]
	c.Attachments = [][]byte{{0, 1, 0xff}, {}, bytes.Repeat([]byte{7}, 3<<20), nil}
	appendAll(t, j, c)
	for i, a := range c.Attachments {
		if got := must(j.Attachment(t.Context(), "run_1", i))(t); !bytes.Equal(got, a) {
			t.Errorf("attachment %d has %d bytes, want %d", i, len(got), len(a))
		}
	}
	for _, i := range []int{-1, 4} {
		_, err := j.Attachment(t.Context(), "run_1", i)
		wantErr(t, fmt.Sprint("attachment ", i), err, orchestration.ErrNotFound)
	}
	_, err := j.Attachment(t.Context(), "run_2", 0)
	wantErr(t, "attachment of an unknown run", err, orchestration.ErrNotFound)
}

// testOwnCopies changes what was read and reads again.
func testOwnCopies(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	commits := Story("acme", "run_1")
	commits[0].Attachments = [][]byte{{1}}
	appendAll(t, j, commits...)
	must(j.Attachment(ctx, "run_1", 0))(t)[0] = 2
	must(j.Row(ctx, "acme", "run_1"))(t).Labels["team"] = "spoilt"
	want(t, "attachment", must(j.Attachment(ctx, "run_1", 0))(t), []byte{1})
	want(t, "row", must(j.Row(ctx, "acme", "run_1"))(t), commits[12].Row)
}
