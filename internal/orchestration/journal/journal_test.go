package journal_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

func TestMem(t *testing.T) {
	journaltest.Test(t, func(t *testing.T) journal.Journal {
		return openWith(t, "mem:", journal.Options{CacheBytes: journaltest.CacheBytes})
	})
}

func TestSQLite(t *testing.T) {
	journaltest.Test(t, func(t *testing.T) journal.Journal {
		return &twofold{openWith(t, newFile(t), journal.Options{CacheBytes: journaltest.CacheBytes}), t}
	})
}

// twofold compares each read of events with what is stored: before it there was
// no more than it gives, and after it no less.
type twofold struct {
	journal.Journal
	t *testing.T
}

func (j *twofold) Events(ctx context.Context, run string, after int64, limit int) ([]orchestration.Event, error) {
	before, storedErr := journal.StoredEvents(ctx, j.Journal, run, after, limit)
	got, err := j.Journal.Events(ctx, run, after, limit)
	if err != nil || storedErr != nil {
		return got, err
	}
	j.compare(got, before)
	later, err := journal.StoredEvents(ctx, j.Journal, run, after, limit)
	j.compare(later, got)
	return got, err
}

func (j *twofold) Event(ctx context.Context, run string, seq int64) (orchestration.Event, error) {
	got, err := j.Journal.Event(ctx, run, seq)
	if err == nil {
		stored, err := journal.StoredEvents(ctx, j.Journal, run, seq-1, 1)
		if err != nil {
			return got, err
		}
		j.compare([]orchestration.Event{got}, stored)
	}
	return got, err
}

func (j *twofold) compare(events, beginning []orchestration.Event) {
	j.t.Helper()
	if d := journaltest.Diff(beginning, events[:min(len(beginning), len(events))]); d != "" {
		j.t.Errorf("in memory or stored only (-earlier +later):\n%s", d)
	}
}

// What a reader does to an event of mem harms no other reader.
func TestMemCopies(t *testing.T) {
	j := open(t, "mem:")
	c := journaltest.Story("acme", "run_1")[0]
	if err := j.Append(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		events, err := j.Events(t.Context(), "run_1", 0, 0)
		if d := cmp.Diff(c.Events, events); d != "" || err != nil {
			t.Fatalf("error %v (-want +got):\n%s", err, d)
		}
		events[0].Fact.(*orchestration.RunCreated).Spec.Labels["team"] = "spoilt"
	}
}

// newFile returns the data source name of a database that does not exist yet,
// at a path that no URI should mistake.
func newFile(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "a b?c=d&e#f%41.db")
}

// open opens a journal with a cache that is never full.
func open(t testing.TB, dsn string) journal.Journal {
	t.Helper()
	return openWith(t, dsn, journal.Options{CacheBytes: 1 << 40})
}

func openWith(t testing.TB, dsn string, o journal.Options) journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func TestOpenRefuses(t *testing.T) {
	for _, dsn := range []string{"", "tutti.db", "sqlite:", "mem:x", "postgres://user:secret@host/db", "sqlite:" + t.TempDir()} {
		j, err := journal.Open(t.Context(), dsn, journal.Options{})
		if err == nil {
			t.Errorf("%q was opened", dsn)
			_ = j.Close()
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}
