package journaltest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// testFence appends from where the run is not.
func testFence(t *testing.T, j journal.Journal) {
	commits := Story("acme", "run_1")
	wantErr(t, "append to no run", j.Append(t.Context(), commits[1]), orchestration.ErrConflict)
	appendAll(t, j, commits[:3]...)
	for i, c := range commits {
		if i == 3 {
			continue
		}
		wantErr(t, fmt.Sprintf("append of commit %d to a run with 3", i), j.Append(t.Context(), c), orchestration.ErrConflict)
	}
	other := Story("evil", "run_1")
	wantErr(t, "append by another tenant", j.Append(t.Context(), other[3]), orchestration.ErrConflict)
	wantErr(t, "creation by another tenant", j.Append(t.Context(), other[0]), orchestration.ErrConflict)
	want(t, "events", must(j.Events(t.Context(), "run_1", 0, 0))(t), Events(commits[:3]))
	want(t, "row", must(j.Row(t.Context(), "acme", "run_1"))(t), commits[2].Row)
	appendAll(t, j, commits[3:]...)
}

// testManyEvents appends very many events at once, and reads them by pages and one
// by one.
func testManyEvents(t *testing.T, j journal.Journal) {
	first := Story("acme", "run_1")[0]
	many := orchestration.Commit{After: first.Row.Seq, Row: first.Row}
	for i := range int64(1700) {
		many.Events = append(many.Events, orchestration.Event{
			Seq: many.After + i + 1, Time: first.Events[0].Time, Run: "run_1", Progress: first.Row.Progress,
			Fact: &orchestration.PlanSubtaskAdded{Subtask: orchestration.Subtask{ID: fmt.Sprint("s", i)}},
		})
	}
	many.Row.Seq += 1700
	appendAll(t, j, first, many)
	all := Events([]orchestration.Commit{first, many})
	for _, limit := range []int{0, 1, 499, 500, 501, 5000} {
		for _, after := range []int{0, 1, 500, 501, 502, 503, 1100, len(all) - 1, len(all)} {
			page := all[after:]
			if limit > 0 {
				page = page[:min(limit, len(page))]
			}
			got := must(j.Events(t.Context(), "run_1", int64(after), limit))(t)
			want(t, fmt.Sprintf("%d events after %d", limit, after), got, append([]orchestration.Event(nil), page...))
		}
	}
	for _, seq := range []int{1, 2, 500, 501, 502, 503, 1000, 1002, len(all)} {
		want(t, fmt.Sprintf("event %d", seq), must(j.Event(t.Context(), "run_1", int64(seq)))(t), all[seq-1])
	}
	want(t, "row", must(j.Row(t.Context(), "acme", "run_1"))(t), many.Row)
}

// testMalformed appends what no driver should: nothing of it is kept.
func testMalformed(t *testing.T, j journal.Journal) {
	for name, spoil := range map[string]func(c *orchestration.Commit){
		"gap":        func(c *orchestration.Commit) { c.Events = slices.Delete(c.Events, 1, 2) },
		"late":       func(c *orchestration.Commit) { c.Events = c.Events[1:] },
		"doubled":    func(c *orchestration.Commit) { c.Events = append(c.Events, c.Events[2]) },
		"no events":  func(c *orchestration.Commit) { c.Events, c.Row.Seq = nil, c.After },
		"no run":     func(c *orchestration.Commit) { c.Row.ID = "" },
		"another's":  func(c *orchestration.Commit) { c.Events[2].Run = "run_2" },
		"row behind": func(c *orchestration.Commit) { c.Row.Seq-- },
		"row ahead":  func(c *orchestration.Commit) { c.Row.Seq++ },
		"no fact":    func(c *orchestration.Commit) { c.Events[2].Fact = nil },
		"negative":   func(c *orchestration.Commit) { c.After = -1 },
		"owes of another's": func(c *orchestration.Commit) {
			c.Deliveries = []orchestration.Delivery{{ID: "msg", Run: "run_2", Tenant: "acme"}}
		},
		"owes another": func(c *orchestration.Commit) {
			c.Deliveries = []orchestration.Delivery{{ID: "msg", Run: "run_1", Tenant: "other"}}
		},
		"owes without id": func(c *orchestration.Commit) {
			c.Deliveries = []orchestration.Delivery{{Run: "run_1", Tenant: "acme"}}
		},
		"caches for another": func(c *orchestration.Commit) {
			c.Cached = []orchestration.Cached{{Tenant: "other", Key: "k"}}
		},
		"caches under no key": func(c *orchestration.Commit) {
			c.Cached = []orchestration.Cached{{Tenant: "acme"}}
		},
		"no such number": func(c *orchestration.Commit) { c.Events[2].Fact = unencodable{} },
	} {
		c := Story("acme", "run_1")[0]
		spoil(&c)
		err := j.Append(t.Context(), c)
		if err == nil || errors.Is(err, orchestration.ErrConflict) || errors.Is(err, orchestration.ErrUnavailable) {
			t.Errorf("%s: got error %v, want one that blames the commit", name, err)
		}
	}
	want(t, "rows", must(j.Rows(t.Context(), "acme", orchestration.Filter{}))(t), nil)
	commits := Story("acme", "run_1")
	appendAll(t, j, commits[0])
	commits[1].Key = &orchestration.Key{Key: "late"}
	if err := j.Append(t.Context(), commits[1]); err == nil {
		t.Error("a key after the first events was accepted")
	}
}

type unencodable struct{ F func() }

func (unencodable) Type() string { return "run.started" }

// testRace has drivers fight over the same runs: each commit is won once.
func testRace(t *testing.T, j journal.Journal) {
	const runs, drivers = 8, 4
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := make(map[string]int)
	for r := range runs {
		for range drivers {
			wg.Go(func() {
				id := fmt.Sprint("run_", r)
				for i, c := range Story("acme", id) {
					switch err := j.Append(t.Context(), c); {
					case err == nil:
						mu.Lock()
						won[fmt.Sprint(id, "/", i)]++
						mu.Unlock()
					case !errors.Is(err, orchestration.ErrConflict):
						t.Error(err)
					}
					events, err := j.Events(t.Context(), id, c.After, 0)
					if err != nil || len(events) < len(c.Events) {
						t.Errorf("%d events of commit %d, error %v", len(events), i, err)
					}
				}
			})
		}
	}
	wg.Wait()
	for r := range runs {
		id := fmt.Sprint("run_", r)
		commits := Story("acme", id)
		want(t, "events", must(j.Events(t.Context(), id, 0, 0))(t), Events(commits))
		for i := range commits {
			want(t, "winners of a commit", won[fmt.Sprint(id, "/", i)], 1)
		}
	}
}

func testKeys(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	_, _, err := j.Key(ctx, "acme", Text)
	wantErr(t, "key never used", err, orchestration.ErrNotFound)

	first := Story("acme", "run_1")[0]
	first.Key = &orchestration.Key{Key: Text, Hash: [32]byte{1, 0, 3}}
	appendAll(t, j, first)
	run, hash, err := j.Key(ctx, "acme", Text)
	if run != "run_1" || hash != first.Key.Hash || err != nil {
		t.Errorf("key: run %q, hash %x, error %v", run, hash, err)
	}

	second := Story("acme", "run_2")[0]
	second.Key = &orchestration.Key{Key: Text, Hash: [32]byte{2}}
	var taken *orchestration.KeyTaken
	if err := j.Append(ctx, second); !errors.As(err, &taken) {
		t.Fatalf("key used twice: got error %v", err)
	}
	want(t, "key taken", *taken, orchestration.KeyTaken{Run: "run_1", Hash: first.Key.Hash})
	_, err = j.Row(ctx, "acme", "run_2")
	wantErr(t, "row of the run refused", err, orchestration.ErrNotFound)
	want(t, "events of the run refused", must(j.Events(ctx, "run_2", 0, 0))(t), nil)

	first.Key = &orchestration.Key{Key: "another"}
	wantErr(t, "run created twice", j.Append(ctx, first), orchestration.ErrConflict)
	_, _, err = j.Key(ctx, "acme", "another")
	wantErr(t, "key of the creation refused", err, orchestration.ErrNotFound)

	theirs := Story("other", "run_3")[0]
	theirs.Key = &orchestration.Key{Key: Text}
	appendAll(t, j, theirs)
}

// testTenants looks for a run as one who does not own it.
func testTenants(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	commits := Story("acme", "run_1")
	commits[0].Key = &orchestration.Key{Key: "k"}
	appendAll(t, j, commits...)
	_, err := j.Row(ctx, "other", "run_1")
	wantErr(t, "another's row", err, orchestration.ErrNotFound)
	_, _, err = j.Key(ctx, "other", "k")
	wantErr(t, "another's key", err, orchestration.ErrNotFound)
	wantErr(t, "deleting another's run", j.Delete(ctx, "other", "run_1"), orchestration.ErrNotFound)
	_, err = j.Rows(ctx, "other", orchestration.Filter{Before: "run_1"})
	wantErr(t, "rows before another's", err, orchestration.ErrNotFound)
	for _, f := range []orchestration.Filter{
		{}, {Status: []orchestration.Status{orchestration.StatusSucceeded}}, {Labels: map[string]string{"team": "growth"}},
	} {
		want(t, "another's rows", must(j.Rows(ctx, "other", f))(t), nil)
		want(t, "own rows", len(must(j.Rows(ctx, "acme", f))(t)), 1)
	}
}

func testDelete(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	wantErr(t, "deleting no run", j.Delete(ctx, "acme", "run_1"), orchestration.ErrNotFound)
	neighbor := Story("acme", "run_2")
	appendAll(t, j, neighbor...)
	commits := Story("acme", "run_1")
	commits[0].Key = &orchestration.Key{Key: "k"}
	commits[0].Attachments = [][]byte{{1}}
	for _, c := range commits {
		appendAll(t, j, c)
		if !c.Row.Status.Ended() {
			wantErr(t, "deleting a running run", j.Delete(ctx, "acme", "run_1"), journal.ErrNotEnded)
		}
	}
	if err := j.Delete(ctx, "acme", "run_1"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "deleting twice", j.Delete(ctx, "acme", "run_1"), orchestration.ErrNotFound)
	_, err := j.Row(ctx, "acme", "run_1")
	wantErr(t, "row", err, orchestration.ErrNotFound)
	_, _, err = j.Key(ctx, "acme", "k")
	wantErr(t, "key", err, orchestration.ErrNotFound)
	_, err = j.Attachment(ctx, "run_1", 0)
	wantErr(t, "attachment", err, orchestration.ErrNotFound)
	want(t, "events", must(j.Events(ctx, "run_1", 0, 0))(t), nil)
	for _, f := range []orchestration.Filter{{}, {Labels: map[string]string{"team": "growth"}}} {
		want(t, "rows", must(j.Rows(ctx, "acme", f))(t), []orchestration.Row{neighbor[12].Row})
	}
	want(t, "events of the neighbor", must(j.Events(ctx, "run_2", 0, 0))(t), Events(neighbor))
	appendAll(t, j, commits...) // id and key are free again
}
