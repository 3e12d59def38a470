package journaltest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// testModel does whatever comes to mind to a journal and to a model of it, and
// compares them.
func testModel(t *testing.T, j journal.Journal) {
	trial := 0
	rapid.Check(t, func(t *rapid.T) {
		trial++ // all trials share the journal: each has names of its own
		m := &model{j: j, prefix: fmt.Sprint(trial, "-"), runs: map[string]*modelRun{}, told: map[string][]int64{}}
		m.spent = map[modelPeriod]float64{}
		defer m.stop()
		m.emptyCache(t)
		t.Repeat(map[string]func(*rapid.T){
			"create":    m.create,
			"append":    m.append,
			"stale":     m.stale,
			"delete":    m.delete,
			"watch":     m.watch,
			"list":      m.list,
			"hold":      m.hold,
			"try":       m.try,
			"redeliver": m.redeliver,
			"expire":    m.expire,
			"cached":    m.expireCached,
			"":          func(t *rapid.T) { m.checkRun(t, m.last, 3) },
			"owed":      m.checkOwed,
			"find":      m.checkCached,
		})
		m.check(t)
		m.checkOwed(t)
	})
}

// A model of a journal: what there is, and nothing about how it is kept.
type model struct {
	j      journal.Journal
	prefix string
	runs   map[string]*modelRun // by id
	told   map[string][]int64   // seqs that the watcher of a run was told, by id
	wanted map[string][]int64
	stops  []func()
	last   string // the run that was touched last
	cached modelCached
	modelOwed
}

type modelRun struct {
	row    orchestration.Row
	events []orchestration.Event
	key    string
	holds  []modelHold
}

var (
	modelStatuses = []orchestration.Status{
		orchestration.StatusQueued, orchestration.StatusRunning, orchestration.StatusWaiting, orchestration.StatusCanceling,
		orchestration.StatusSucceeded, orchestration.StatusFailed, orchestration.StatusCanceled,
	}
	modelTenants   = rapid.SampledFrom([]string{"a", "b"})
	modelWorkflows = rapid.SampledFrom([]string{"", "", "w1", "w2"})
	modelLabels    = rapid.MapOfN(rapid.SampledFrom([]string{"x", "y"}), rapid.SampledFrom([]string{"1", "2"}), 0, 2)
)

func (m *model) tenant(t *rapid.T) string { return m.prefix + modelTenants.Draw(t, "tenant") }

// known draws one of the runs there are.
func (m *model) known(t *rapid.T) *modelRun {
	if len(m.runs) == 0 {
		t.Skip("no runs")
	}
	m.last = rapid.SampledFrom(slices.Sorted(maps.Keys(m.runs))).Draw(t, "run")
	return m.runs[m.last]
}

// next draws a commit that goes on from row.
func (m *model) next(t *rapid.T, row orchestration.Row) orchestration.Commit {
	s := &story{row: row}
	if !row.Status.Ended() {
		if s.row.Status = rapid.SampledFrom(modelStatuses).Draw(t, "status"); s.row.Status.Ended() {
			s.row.EndedAt = modelTimes.Draw(t, "ended")
		}
	}
	for range rapid.SampledFrom([]int{1, 1, 2, 3, 8, 17}).Draw(t, "events") {
		s.row.Progress.Running = rapid.IntRange(0, 9).Draw(t, "running")
		s.event(rapid.SampledFrom([]string{"", "T1"}).Draw(t, "subtask"), &orchestration.SynthesisSucceeded{Output: rapid.SampledFrom([]string{"", "a", Text}).Draw(t, "output")})
	}
	s.commit()
	m.owe(t, &s.commits[0])
	m.cache(t, &s.commits[0])
	return s.commits[0]
}

func (m *model) create(t *rapid.T) {
	row := orchestration.Row{
		ID: m.prefix + rapid.SampledFrom([]string{"r1", "r2", "r3", "r4", "r5"}).Draw(t, "id"), Tenant: m.tenant(t),
		Task: rapid.SampledFrom([]string{"", "a task"}).Draw(t, "task"), Labels: modelLabels.Draw(t, "labels"),
		Workflow:  modelWorkflows.Draw(t, "workflow"),
		CreatedAt: Epoch.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "created"))),
	}
	if len(row.Labels) == 0 {
		row.Labels = nil
	}
	c := m.next(t, row)
	if key := rapid.SampledFrom([]string{"", "k1", "k2"}).Draw(t, "key"); key != "" {
		c.Key = &orchestration.Key{Key: key, Hash: [32]byte{byte(len(m.runs))}}
	}
	m.last = row.ID
	err := m.j.Append(context.Background(), c)
	if c.Key != nil {
		for _, r := range m.runs {
			if r.row.Tenant == row.Tenant && r.key == c.Key.Key {
				var taken *orchestration.KeyTaken
				if !errors.As(err, &taken) || taken.Run != r.row.ID {
					t.Fatalf("create with the key of %s: %v", r.row.ID, err)
				}
				return
			}
		}
	}
	if m.runs[row.ID] != nil {
		if !errors.Is(err, orchestration.ErrConflict) {
			t.Fatalf("create of a run there is: %v", err)
		}
		return
	}
	m.runs[row.ID] = new(modelRun)
	if c.Key != nil {
		m.runs[row.ID].key = c.Key.Key
	}
	m.appended(t, c, err)
}

func (m *model) append(t *rapid.T) {
	c := m.next(t, m.known(t).row)
	m.appended(t, c, m.j.Append(context.Background(), c))
}

func (m *model) appended(t *rapid.T, c orchestration.Commit, err error) {
	if err != nil {
		t.Fatal(err)
	}
	r := m.runs[c.Row.ID]
	r.row, r.events = c.Row, append(r.events, c.Events...)
	m.owes(c)
	m.caches(c)
	if _, watched := m.told[c.Row.ID]; watched {
		m.wanted[c.Row.ID] = append(m.wanted[c.Row.ID], c.Row.Seq)
	}
}

// stale appends from a seq at which the run is not.
func (m *model) stale(t *rapid.T) {
	r := m.known(t)
	row := r.row
	if row.Seq += rapid.SampledFrom([]int64{-3, -1, 1, 2}).Draw(t, "off by"); row.Seq < 1 {
		t.Skip("before the first event")
	}
	if err := m.j.Append(context.Background(), m.next(t, row)); !errors.Is(err, orchestration.ErrConflict) {
		t.Fatalf("append after %d to a run at %d: %v", row.Seq, r.row.Seq, err)
	}
}

func (m *model) delete(t *rapid.T) {
	r, tenant := m.known(t), m.tenant(t)
	err := m.j.Delete(context.Background(), tenant, r.row.ID)
	switch {
	case r.row.Tenant != tenant:
		if !errors.Is(err, orchestration.ErrNotFound) {
			t.Fatalf("delete of another's run: %v", err)
		}
	case !r.row.Status.Ended():
		if !errors.Is(err, journal.ErrNotEnded) {
			t.Fatalf("delete of a run that is %s: %v", r.row.Status, err)
		}
	case err != nil:
		t.Fatal(err)
	default:
		m.forget(r.row.ID)
	}
}

func (m *model) watch(t *rapid.T) {
	id := m.known(t).row.ID
	if _, watched := m.told[id]; watched {
		t.Skip("watched already")
	}
	if m.wanted == nil {
		m.wanted = map[string][]int64{}
	}
	m.told[id] = nil
	m.stops = append(m.stops, m.j.Watch(id, func(r orchestration.Row) { m.told[id] = append(m.told[id], r.Seq) }))
}

func (m *model) stop() {
	for _, stop := range m.stops {
		stop()
	}
}

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
