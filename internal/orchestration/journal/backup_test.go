package journal_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

// copied names, in the environment, the journal that a process copies, and
// copyTo where to.
const (
	copied = "TUTTI_TEST_COPIED"
	copyTo = "TUTTI_TEST_COPY_TO"
)

// While appends go on, a copy holds of every run what had been appended when it
// began, and a beginning of the rest. Another process can make it.
func TestBackup(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dsn := newFile(t)
	j := open(t, dsn)
	copies := map[string]func(file string) error{
		"this process": func(file string) error { return journal.Backup(t.Context(), dsn, file) },
		"another process": func(file string) error {
			child := exec.CommandContext(t.Context(), self)
			child.Env = append(os.Environ(), copied+"="+dsn, copyTo+"="+file)
			out, err := child.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			return err
		},
	}
	const drivers = 4
	for name, backup := range copies {
		t.Run(name, func(t *testing.T) {
			acknowledged := &progress{seq: make(map[string]int64)}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for d := range drivers {
				wg.Go(func() { appendUntil(t, j, stop, fmt.Sprint(name, d), acknowledged) })
			}
			file := filepath.Join(t.TempDir(), "copy of 'it'?.db")
			acknowledged.wait(100)
			before := acknowledged.snapshot()
			err := backup(file)
			close(stop)
			wg.Wait()
			if err != nil {
				t.Fatal(err)
			}
			wantCopy(t, file, before, acknowledged.snapshot())
		})
	}
}

// A progress is how far each run is known to have been appended.
type progress struct {
	mu   sync.Mutex
	seq  map[string]int64
	n    int
	more sync.Cond
}

func (p *progress) note(run string, seq int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq[run] = seq
	p.n++
	p.more.L = &p.mu
	p.more.Broadcast()
}

func (p *progress) wait(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.more.L = &p.mu
	for p.n < n {
		p.more.Wait()
	}
}

func (p *progress) snapshot() map[string]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	seqs := make(map[string]int64)
	for run, seq := range p.seq {
		seqs[run] = seq
	}
	return seqs
}

// appendUntil appends run after run until it is told to stop.
func appendUntil(t *testing.T, j journal.Journal, stop <-chan struct{}, prefix string, p *progress) {
	for run := 0; ; run++ {
		for _, c := range owing(fmt.Sprint(prefix, "_", run)) {
			select {
			case <-stop:
				return
			default:
			}
			if err := j.Append(context.Background(), c); err != nil {
				t.Error(err)
				return
			}
			p.note(c.Row.ID, c.Row.Seq)
		}
	}
}

// wantCopy opens a copy, which must hold each run up to a seq between two.
func wantCopy(t *testing.T, file string, least, most map[string]int64) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(filepath.Dir(file)); len(files) != 1 || err != nil {
		t.Errorf("files %v, error %v", files, err)
	}
	j := open(t, "sqlite:"+file)
	for run, last := range most {
		events, err := j.Events(t.Context(), run, 0, 0)
		if int64(len(events)) < least[run] || int64(len(events)) > last || err != nil {
			t.Errorf("%d events of %s, error %v; want %d to %d", len(events), run, err, least[run], last)
			continue
		}
		if d := cmp.Diff(journaltest.Events(owing(run))[:len(events)], events, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("events of %s (-want +got):\n%s", run, d)
		}
		wantOwed(t, j, run, int64(len(events)))
	}
}

// A journal that nobody has open can be copied, and one whose process was killed.
func TestBackupAtRest(t *testing.T) {
	dsn := newFile(t)
	j := open(t, dsn)
	commits := journaltest.Story("acme", "run_1")
	for _, c := range commits {
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	crashed := newFile(t)
	copyFile(t, dsn, crashed, "")
	copyFile(t, dsn, crashed, "-wal")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for name, dsn := range map[string]string{"closed": dsn, "crashed": crashed} {
		file := filepath.Join(t.TempDir(), "copy.db")
		if err := journal.Backup(t.Context(), dsn, file); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, dsn := range []string{dsn, "sqlite:" + file} {
			events, err := open(t, dsn).Events(t.Context(), "run_1", 0, 0)
			if d := cmp.Diff(journaltest.Events(commits), events); d != "" || err != nil {
				t.Errorf("%s: events, error %v (-want +got):\n%s", name, err, d)
			}
		}
	}
}

// A copy takes no lock that the writer needs: it is made within the writer's
// transaction, of what was there before.
func TestBackupBesideWriter(t *testing.T) {
	dsn := newFile(t)
	j := open(t, dsn)
	commits := owing("run_1")
	if err := j.Append(t.Context(), commits[0]); err != nil {
		t.Fatal(err)
	}
	entered, release := hold(t, j)
	<-entered
	appended := appending(t.Context(), j, commits[1])
	before := journal.Queued(j)
	entered, commit := hold(t, j)
	queuedMore(j, before)
	release(nil)
	<-entered // in one transaction with the append
	file := filepath.Join(t.TempDir(), "copy.db")
	if err := journal.Backup(t.Context(), dsn, file); err != nil {
		t.Error(err)
	}
	commit(nil)
	if err := <-appended; err != nil {
		t.Error(err)
	}
	wantCopy(t, file, map[string]int64{"run_1": 3}, map[string]int64{"run_1": 3})
}

// A copy that cannot be made leaves nothing behind, and what exists as it is.
func TestBackupRefuses(t *testing.T) {
	dsn := newFile(t)
	j := open(t, dsn)
	if err := j.Append(t.Context(), journaltest.Story("acme", "run_1")[0]); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(taken, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := journal.Backup(t.Context(), dsn, taken); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a copy to a file that exists: %v", err)
	}
	if data, err := os.ReadFile(taken); string(data) != "mine" || err != nil {
		t.Errorf("the file that existed holds %q, error %v", data, err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "copy.db")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte(strings.Repeat("junk", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"mem":         func() error { return journal.Backup(t.Context(), "mem:", file) },
		"postgres":    func() error { return journal.Backup(t.Context(), "postgres://user:secret@host/db", file) },
		"no journal":  func() error { return journal.Backup(t.Context(), dsn+"x", file) },
		"no database": func() error { return journal.Backup(t.Context(), "sqlite:"+junk, file) },
		"canceled":    func() error { return journal.Backup(canceled, dsn, file) },
		"no folder":   func() error { return journal.Backup(t.Context(), dsn, filepath.Join(dir, "none", "copy.db")) },
	} {
		if err := try(); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	for _, dir := range []string{dir, filepath.Dir(taken)} {
		files, err := os.ReadDir(dir)
		if err != nil || len(files) > 1 || len(files) == 1 && files[0].Name() != "taken" {
			t.Errorf("left behind: %v, error %v", files, err)
		}
	}
}
