package journal_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

func TestMem(t *testing.T) {
	journaltest.Test(t, func(t *testing.T) journal.Journal { return open(t, "mem:") })
}

func TestSQLite(t *testing.T) {
	journaltest.Test(t, func(t *testing.T) journal.Journal { return open(t, newFile(t)) })
}

// newFile returns the data source name of a database that does not exist yet,
// at a path that no URI should mistake.
func newFile(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "a b?c=d&e#f%41.db")
}

func open(t testing.TB, dsn string) journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), dsn, journal.Options{})
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
