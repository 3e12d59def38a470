package journaltest

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
