package journaltest

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// rows returns the model's rows that are wanted, newest first.
func (m *model) rows(want func(orchestration.Row) bool) []orchestration.Row {
	var rows []orchestration.Row
	for _, r := range m.runs {
		if want(r.row) {
			rows = append(rows, r.row)
		}
	}
	slices.SortFunc(rows, func(a, b orchestration.Row) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return rows
}

func (m *model) list(t *rapid.T) {
	tenant := m.tenant(t)
	f := orchestration.Filter{
		Status: rapid.SliceOfN(rapid.SampledFrom(modelStatuses), 0, 3).Draw(t, "statuses"),
		Labels: modelLabels.Draw(t, "labels"), Workflow: modelWorkflows.Draw(t, "workflow"),
		Limit: rapid.IntRange(0, 3).Draw(t, "limit"),
	}
	if rapid.Bool().Draw(t, "bounded") {
		f.CreatedAfter = Epoch.Add(time.Duration(rapid.IntRange(-1, 2).Draw(t, "after")))
		f.CreatedBefore = Epoch.Add(time.Duration(rapid.IntRange(1, 4).Draw(t, "before")))
	}
	var cursor orchestration.Row
	if own := m.rows(func(r orchestration.Row) bool { return r.Tenant == tenant }); len(own) > 0 && rapid.Bool().Draw(t, "page") {
		cursor = rapid.SampledFrom(own).Draw(t, "cursor")
		f.Before = cursor.ID
	}
	want := m.rows(func(r orchestration.Row) bool {
		for name, value := range f.Labels {
			if r.Labels[name] != value {
				return false
			}
		}
		return r.Tenant == tenant &&
			(f.Workflow == "" || r.Workflow == f.Workflow) &&
			(len(f.Status) == 0 || slices.Contains(f.Status, r.Status)) &&
			(f.CreatedAfter.IsZero() || r.CreatedAt.After(f.CreatedAfter) && r.CreatedAt.Before(f.CreatedBefore)) &&
			(f.Before == "" || r.CreatedAt.Before(cursor.CreatedAt) || r.CreatedAt.Equal(cursor.CreatedAt) && r.ID < cursor.ID)
	})
	if f.Limit > 0 && len(want) > f.Limit {
		want = want[:f.Limit]
	}
	got, err := m.j.Rows(context.Background(), tenant, f)
	if d := Diff(want, got); d != "" || err != nil {
		t.Fatalf("rows of %+v, error %v (-want +got):\n%s", f, err, d)
	}
}

// checkRun compares what the journal and the model have of a run, at most so
// many of its last events.
func (m *model) checkRun(t *rapid.T, id string, last int) {
	ctx := context.Background()
	r := m.runs[id]
	if r == nil {
		return
	}
	after := max(0, len(r.events)-last)
	row, err := m.j.Row(ctx, r.row.Tenant, id)
	if d := Diff(r.row, row); d != "" || err != nil {
		t.Fatalf("row of %s, error %v (-want +got):\n%s", id, err, d)
	}
	events, err := m.j.Events(ctx, id, int64(after), 0)
	if d := Diff(r.events[after:], events); d != "" || err != nil {
		t.Fatalf("events of %s, error %v (-want +got):\n%s", id, err, d)
	}
	if r.key != "" {
		if run, _, err := m.j.Key(ctx, r.row.Tenant, r.key); run != id || err != nil {
			t.Fatalf("key %s: run %q, error %v", r.key, run, err)
		}
	}
	if told := m.told[id]; !slices.Equal(told, m.wanted[id]) {
		t.Fatalf("the watcher of %s was told %v, want %v", id, told, m.wanted[id])
	}
}

// check compares all that the journal and the model have.
func (m *model) check(t *rapid.T) {
	for _, id := range []string{"r1", "r2", "r3", "r4", "r5"} {
		id = m.prefix + id
		m.checkRun(t, id, math.MaxInt)
		if m.runs[id] == nil {
			if events, err := m.j.Events(context.Background(), id, 0, 0); len(events) > 0 || err != nil {
				t.Fatalf("%d events of %s, which there is not, error %v", len(events), id, err)
			}
		}
	}
	var unfinished []orchestration.Row
	all, err := m.j.Unfinished(context.Background())
	for _, r := range all {
		if m.runs[r.ID] != nil { // not of an earlier trial
			unfinished = append(unfinished, r)
		}
	}
	want := m.rows(func(r orchestration.Row) bool { return !r.Status.Ended() })
	slices.Reverse(want)
	if d := Diff(want, unfinished); d != "" || err != nil {
		t.Fatalf("unfinished, error %v (-want +got):\n%s", err, d)
	}
}
