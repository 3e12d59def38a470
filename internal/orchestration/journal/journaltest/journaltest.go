// Package journaltest judges journals: what every implementation of
// [journal.Journal] must do.
package journaltest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// Test tests the journals that open opens, each of which must be empty, with a
// cache of [CacheBytes]. What open opens it must also close, by t.Cleanup.
func Test(t *testing.T, open func(t *testing.T) journal.Journal) {
	for name, test := range map[string]func(*testing.T, journal.Journal){
		"story":          testStory,
		"fence":          testFence,
		"many events":    testManyEvents,
		"malformed":      testMalformed,
		"race":           testRace,
		"keys":           testKeys,
		"tenants":        testTenants,
		"attachments":    testAttachments,
		"delete":         testDelete,
		"paging":         testPaging,
		"filter":         testFilter,
		"unfinished":     testUnfinished,
		"row":            testRow,
		"watch":          testWatch,
		"fidelity":       testFidelity,
		"large":          testLarge,
		"canceled":       testCanceled,
		"own copies":     testOwnCopies,
		"closed":         testClosed,
		"budgets":        testBudgets,
		"periods":        testSettlesAcrossPeriods,
		"money":          testMoney,
		"hold race":      testHoldRace,
		"deliveries":     testDeliveries,
		"delivery lists": testDeliveryLists,
		"owing":          testOwing,
		"expire":         testExpire,
		"expire budgets": testExpireBudgets,
		"cached":         testCached,
		"cache bound":    testCacheBound,
		"expire cached":  testExpireCached,
		"like a model":   testModel,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// appendAll appends commits that must all succeed.
func appendAll(t *testing.T, j journal.Journal, commits ...orchestration.Commit) {
	t.Helper()
	for _, c := range commits {
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatalf("append after %d of %s: %v", c.After, c.Row.ID, err)
		}
	}
}

// Events returns the events of commits.
func Events(commits []orchestration.Commit) []orchestration.Event {
	var events []orchestration.Event
	for _, c := range commits {
		events = append(events, c.Events...)
	}
	return events
}

// Diff tells how two values differ, if they do. Two times are equal only if
// nothing tells them apart: neither the zone nor a monotonic reading.
func Diff(want, got any) string {
	if reflect.DeepEqual(want, got) { // ten times as fast
		return ""
	}
	return cmp.Diff(want, got, cmp.Comparer(func(a, b time.Time) bool { return a == b })) //nolint:staticcheck // Equal sees neither
}

func want[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// must makes a value and an error one expression.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// testStory reads a run back after each commit.
func testStory(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	commits := Story("acme", "run_1")
	all := Events(commits)
	for _, c := range commits {
		appendAll(t, j, c)
		want(t, "row", must(j.Row(ctx, "acme", "run_1"))(t), c.Row)
		want(t, "events", must(j.Events(ctx, "run_1", 0, 0))(t), all[:c.Row.Seq])
		want(t, "new events", must(j.Events(ctx, "run_1", c.After, 1000))(t), c.Events)
	}
	want(t, "a page of events", must(j.Events(ctx, "run_1", 5, 3))(t), all[5:8])
	want(t, "no events after the last", must(j.Events(ctx, "run_1", 37, 10))(t), nil)
	want(t, "no events of an unknown run", must(j.Events(ctx, "run_2", 0, 10))(t), nil)
	for _, ev := range all {
		want(t, "event", must(j.Event(ctx, "run_1", ev.Seq))(t), ev)
	}
	for _, seq := range []int64{-1, 0, 38} {
		_, err := j.Event(ctx, "run_1", seq)
		wantErr(t, fmt.Sprint("event ", seq), err, orchestration.ErrNotFound)
	}
	_, err := j.Row(ctx, "acme", "run_2")
	wantErr(t, "row of an unknown run", err, orchestration.ErrNotFound)
	if err := j.Ready(ctx); err != nil {
		t.Errorf("ready: %v", err)
	}
}

// testWatch compares what a watcher is told with what was appended.
func testWatch(t *testing.T, j journal.Journal) {
	var told, second []orchestration.Row
	commits := Story("acme", "run_1")
	stop := j.Watch("run_1", func(r orchestration.Row) { told = append(told, r) })
	stopSecond := j.Watch("run_1", func(r orchestration.Row) { second = append(second, r) })
	defer stopSecond()
	stopOther := j.Watch("run_2", func(r orchestration.Row) { t.Errorf("told of %s, which nobody appended to", r.ID) })
	defer stopOther()
	var rows []orchestration.Row
	for _, c := range commits[:6] {
		appendAll(t, j, c)
		rows = append(rows, c.Row)
		want(t, "told when Append has returned", told, rows)
	}
	wantErr(t, "append twice", j.Append(t.Context(), commits[5]), orchestration.ErrConflict)
	want(t, "told", told, rows)
	stop()
	stop() // does no harm
	appendAll(t, j, commits[6:]...)
	want(t, "told after stop", told, rows)
	want(t, "told the second one", len(second), len(commits))

	// Under way in another goroutine: nothing is told once stop has returned.
	done := make(chan error, 1)
	var mu sync.Mutex
	stopped := false
	stop = j.Watch("run_3", func(orchestration.Row) {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			t.Error("told after stop")
		}
	})
	go func() {
		for _, c := range Story("acme", "run_3") {
			if err := j.Append(context.Background(), c); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	stop()
	mu.Lock()
	stopped = true
	mu.Unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func testCanceled(t *testing.T, j journal.Journal) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	commits := Story("acme", "run_1")
	wantErr(t, "append", j.Append(ctx, commits[0]), context.Canceled)
	_, err := j.Row(ctx, "acme", "run_1")
	wantErr(t, "row", err, context.Canceled)
	_, err = j.Row(t.Context(), "acme", "run_1")
	wantErr(t, "row of what was never appended", err, orchestration.ErrNotFound)
	appendAll(t, j, commits...)
	_, err = j.Events(ctx, "run_1", 0, 0)
	wantErr(t, "events", err, context.Canceled)
	_, err = j.Event(ctx, "run_1", 1)
	wantErr(t, "event", err, context.Canceled)
	_, err = j.Row(ctx, "acme", "run_1")
	wantErr(t, "row of what there is", err, context.Canceled)
}

func testClosed(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	commits := Story("acme", "run_1")
	appendAll(t, j, commits[0])
	for range 2 {
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, "append", j.Append(ctx, commits[1]), orchestration.ErrUnavailable)
	wantErr(t, "delete", j.Delete(ctx, "acme", "run_1"), orchestration.ErrUnavailable)
	wantErr(t, "ready", j.Ready(ctx), orchestration.ErrUnavailable)
	_, err := j.Row(ctx, "acme", "run_1")
	wantErr(t, "row", err, orchestration.ErrUnavailable)
	_, err = j.Events(ctx, "run_1", 0, 0)
	wantErr(t, "events", err, orchestration.ErrUnavailable)
	wantErr(t, "hold", j.Hold(ctx, hold("plan", 1, 0), budget(1)), orchestration.ErrUnavailable)
	_, _, err = j.Spent(ctx, "acme", november)
	wantErr(t, "spent", err, orchestration.ErrUnavailable)
	_, err = j.Due(ctx, Epoch, 0)
	wantErr(t, "due", err, orchestration.ErrUnavailable)
	_, err = j.Deliveries(ctx, "acme", orchestration.DeliveryFilter{})
	wantErr(t, "deliveries", err, orchestration.ErrUnavailable)
	wantErr(t, "tried", j.Tried(ctx, "msg", orchestration.Try{}), orchestration.ErrUnavailable)
	wantErr(t, "redeliver", j.Redeliver(ctx, "acme", "msg", Epoch), orchestration.ErrUnavailable)
	_, err = j.Expire(ctx, Epoch, 0)
	wantErr(t, "expire", err, orchestration.ErrUnavailable)
	_, _, err = j.Cached(ctx, "acme", "k", Epoch)
	wantErr(t, "cached", err, orchestration.ErrUnavailable)
	wantErr(t, "expire cached", j.ExpireCached(ctx, Epoch), orchestration.ErrUnavailable)
}
