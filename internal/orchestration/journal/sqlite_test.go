package journal_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

// victim names, in the environment, the journal that a process appends to until
// it is killed.
const victim = "TUTTI_TEST_VICTIM"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(victim); dsn != "" {
		fmt.Println(appendForever(dsn))
		os.Exit(1)
	}
	if dsn := os.Getenv(copied); dsn != "" {
		if err := journal.Backup(context.Background(), dsn, os.Getenv(copyTo)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	fewerChecks()
	goleak.VerifyTestMain(m)
}

// fewerChecks keeps rapid short, as the disk is slow, unless -rapid.checks says
// otherwise.
func fewerChecks() {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "rapid.checks" })
	if !said {
		_ = flag.Set("rapid.checks", "25")
	}
}

// appendForever writes a line for each append that has returned. Each settles
// what was held for it.
func appendForever(dsn string) error {
	ctx := context.Background()
	j, err := journal.Open(ctx, dsn, journal.Options{CacheBytes: 1 << 30})
	if err != nil {
		return err
	}
	for run := 0; ; run++ {
		for i, c := range owing(fmt.Sprint("run_", run)) {
			if i > 0 {
				if err := j.Hold(ctx, holdFor(c.Row.ID, i), plenty); err != nil {
					return err
				}
			}
			if err := j.Append(ctx, c); err != nil {
				return err
			}
			fmt.Println(c.Row.ID, c.Row.Seq)
		}
	}
}

// A process that is killed loses nothing that it had appended, and the one that
// stands by takes over.
func TestKill(t *testing.T) {
	dsn := newFile(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), victim+"="+dsn)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child appended nothing")
	}
	took := make(chan journal.Journal)
	standby := make(chan struct{})
	go func() {
		defer close(took)
		j, err := journal.Open(t.Context(), dsn, journal.Options{Standby: func() { close(standby) }})
		if err != nil {
			t.Error(err)
			return
		}
		took <- j
	}()
	<-standby
	for range 30 {
		lines.Scan()
	}
	last := lines.Text()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		last = lines.Text()
	}
	_ = child.Wait()
	j := <-took
	if j == nil {
		return
	}
	defer j.Close()

	var id string
	var seq int64
	if _, err := fmt.Sscan(last, &id, &seq); err != nil {
		t.Fatalf("the child's last words %q: %v", last, err)
	}
	var number int
	if _, err := fmt.Sscanf(id, "run_%d", &number); err != nil {
		t.Fatal(err)
	}
	var settled float64
	for i := range number + 1 {
		run := fmt.Sprint("run_", i)
		all := journaltest.Events(journaltest.Story("acme", run))
		row, err := j.Row(t.Context(), "acme", run)
		if err != nil {
			t.Fatal(err)
		}
		if i < number && row.Seq != int64(len(all)) || row.Seq < seq && i == number {
			t.Errorf("%s ends at %d", run, row.Seq)
		}
		events, err := j.Events(t.Context(), run, 0, 0)
		if d := cmp.Diff(all[:row.Seq], events); d != "" || err != nil {
			t.Errorf("events of %s, error %v (-want +got):\n%s", run, err, d)
		}
		settled += wantOwed(t, j, run, row.Seq)
	}
	// The next run may have begun, and the next hold may have been taken.
	spent, held, err := j.Spent(t.Context(), "acme", plenty.Period)
	if spent != 0.5*settled || held != 0 && held != 1 || err != nil {
		t.Errorf("spent %v for %v settlements, held %v, error %v", spent, settled, held, err)
	}
}

// wantOwed looks for the deliveries of the commits up to a seq, and returns how
// many of these settle something. What each has added to the cache is there, too.
func wantOwed(t *testing.T, j journal.Journal, run string, seq int64) (settled float64) {
	t.Helper()
	var want []string
	for _, c := range owing(run) {
		if c.Row.Seq <= seq {
			want = append([]string{c.Deliveries[0].ID}, want...)
			settled += float64(len(c.Settled))
			if got, ok, err := j.Cached(t.Context(), "acme", c.Cached[0].Key, journaltest.Epoch); got != run || !ok || err != nil {
				t.Errorf("cached by commit %d: %q, %v, error %v", c.After, got, ok, err)
			}
		}
	}
	owed, err := j.Deliveries(t.Context(), "acme", orchestration.DeliveryFilter{Run: run})
	var got []string
	for _, o := range owed {
		got = append(got, o.ID)
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("deliveries of %s, error %v (-want +got):\n%s", run, err, d)
	}
	return settled
}

// Two openers in one process exclude each other, too.
func TestStandby(t *testing.T) {
	dsn := newFile(t)
	first := open(t, dsn)
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	j, err := journal.Open(ctx, dsn, journal.Options{Standby: func() { calls++; cancel() }})
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("opened %v, error %v, after %d calls of Standby", j, err, calls)
	}
	standby := make(chan struct{})
	second := make(chan journal.Journal)
	go func() {
		defer close(second)
		j, err := journal.Open(t.Context(), dsn, journal.Options{Standby: func() { close(standby) }})
		if err != nil {
			t.Error(err)
			return
		}
		second <- j
	}()
	<-standby
	commits := journaltest.Story("acme", "run_1")
	if err := first.Append(t.Context(), commits[0]); err != nil {
		t.Error(err)
	}
	select {
	case <-second:
		t.Error("opened twice")
	default:
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	j = <-second
	if j == nil {
		return
	}
	defer j.Close()
	if err := j.Append(t.Context(), commits[1]); err != nil {
		t.Error(err)
	}
}

func TestReopen(t *testing.T) {
	dsn := newFile(t)
	j := open(t, dsn)
	commits := journaltest.Story("acme", "run_1")
	commits[0].Key = &orchestration.Key{Key: "k", Hash: [32]byte{31: 9}}
	commits[0].Attachments = [][]byte{{1, 2}}
	for _, c := range commits[:5] {
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, dsn)
	rows, err := j.Unfinished(t.Context())
	if d := cmp.Diff([]orchestration.Row{commits[4].Row}, rows); d != "" || err != nil {
		t.Errorf("unfinished, error %v (-want +got):\n%s", err, d)
	}
	run, hash, err := j.Key(t.Context(), "acme", "k")
	if run != "run_1" || hash != commits[0].Key.Hash || err != nil {
		t.Errorf("key: run %q, hash %x, error %v", run, hash, err)
	}
	if a, err := j.Attachment(t.Context(), "run_1", 0); err != nil || string(a) != "\x01\x02" {
		t.Errorf("attachment %x, error %v", a, err)
	}
	for _, c := range commits[5:] {
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	events, err := j.Events(t.Context(), "run_1", 0, 0)
	if d := cmp.Diff(journaltest.Events(commits), events); d != "" || err != nil {
		t.Errorf("events, error %v (-want +got):\n%s", err, d)
	}
}

// What lies in the files when Append has returned is all that it takes,
// also when SQLite moves its log into the database every now and then.
func TestCrash(t *testing.T) {
	dsn := newFile(t)
	j := open(t, dsn)
	commits := journaltest.Story("acme", "run_1")
	pragma(t, j, `PRAGMA wal_autocheckpoint = 5`)
	for _, c := range commits {
		if err := j.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		crashed := newFile(t)
		copyFile(t, dsn, crashed, "")
		copyFile(t, dsn, crashed, "-wal")
		after := open(t, crashed)
		row, err := after.Row(t.Context(), "acme", "run_1")
		if d := cmp.Diff(c.Row, row); d != "" || err != nil {
			t.Fatalf("row, error %v (-want +got):\n%s", err, d)
		}
		events, err := after.Events(t.Context(), "run_1", c.After, 0)
		if d := cmp.Diff(c.Events, events); d != "" || err != nil {
			t.Fatalf("events after %d, error %v (-want +got):\n%s", c.After, err, d)
		}
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func copyFile(t *testing.T, from, to, suffix string) {
	t.Helper()
	data, err := os.ReadFile(strings.TrimPrefix(from, "sqlite:") + suffix)
	if err == nil {
		err = os.WriteFile(strings.TrimPrefix(to, "sqlite:")+suffix, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What no test without a power switch can show: that SQLite is told to flush.
func TestSettings(t *testing.T) {
	dsn := newFile(t)
	j := open(t, dsn)
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "page_size": "8192"} {
		if err := journal.Do(t.Context(), j, func(c *sql.Conn) error {
			var got string
			if err := c.QueryRowContext(t.Context(), `PRAGMA `+pragma).Scan(&got); err != nil {
				return err
			}
			if got != want {
				t.Errorf("%s is %s, want %s", pragma, got, want)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(strings.TrimPrefix(dsn, "sqlite:")), "*"))
	if err != nil || len(files) != 4 {
		t.Fatalf("files %q, error %v; want database, -wal, -shm, .lock", files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, error %v", file, info.Mode(), err)
		}
	}
}

func TestNewerSchema(t *testing.T) {
	dsn := newFile(t)
	if err := open(t, dsn).Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "newer.db")
	copyFile(t, dsn, "sqlite:"+path, "")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.Context(), "sqlite:"+path, journal.Options{})
	if err == nil {
		_ = j.Close()
		t.Fatal("opened")
	}
	for _, want := range []string{path, "version 99", "newer server"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}

// Lists read their rows from an index, in its order.
func TestListsUseIndexes(t *testing.T) {
	j := open(t, newFile(t))
	statuses := []orchestration.Status{orchestration.StatusFailed, orchestration.StatusRunning}
	labels := map[string]string{"a": "1", "b": "2"}
	plans := map[string][]string{}
	for name, f := range map[string]orchestration.Filter{
		"all":      {Limit: 50},
		"page":     {Limit: 50, Before: "run_1"},
		"bounded":  {Limit: 50, CreatedAfter: journaltest.Epoch, CreatedBefore: journaltest.Epoch},
		"status":   {Limit: 50, Status: statuses[:1], Before: "run_1"},
		"statuses": {Limit: 50, Status: statuses, Before: "run_1"},
		"labels":   {Limit: 50, Labels: labels, Before: "run_1"},
		"workflow": {Limit: 50, Workflow: "report", Before: "run_1"},
		"its own":  {Limit: 50, Workflow: "report", Status: statuses},
		"both":     {Limit: 50, Labels: labels, Status: statuses},
	} {
		plan, err := journal.Explain(t.Context(), j, f)
		if err != nil {
			t.Fatal(err)
		}
		plans[name] = plan
	}
	plan, err := journal.ExplainUnfinished(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	for name, plan := range plans {
		for _, line := range plan {
			if strings.Contains(line, "TEMP B-TREE") || strings.HasPrefix(line, "SCAN") {
				t.Errorf("%s: %s", name, strings.Join(plan, "; "))
			}
		}
	}
	if d := cmp.Diff([]string{"SCAN r USING INDEX runs_unfinished"}, plan); d != "" {
		t.Errorf("unfinished (-want +got):\n%s", d)
	}
}

// What SQLite itself cannot read of a run's JSON, since it is nested too deep for
// that, keeps nobody from opening the journal.
func TestOpenWithWhatSQLiteCannotRead(t *testing.T) {
	dsn := newFile(t)
	j, err := journal.Open(t.Context(), dsn, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	deep := strings.Repeat("[", 2_000) + strings.Repeat("]", 2_000)
	spec := &orchestration.Spec{Format: orchestration.SpecFormat, Tenant: "acme", Task: "t"}
	events := []orchestration.Event{
		{Seq: 1, Run: "run_1", Fact: &orchestration.RunCreated{Spec: spec}},
		{Seq: 2, Run: "run_1", Subtask: "a", Fact: &orchestration.SubtaskStarted{Items: json.RawMessage(deep)}},
	}
	row := orchestration.Row{ID: "run_1", Tenant: "acme", Status: orchestration.StatusRunning, Seq: 2}
	err = j.Append(t.Context(), orchestration.Commit{Events: events, Row: row})
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	j = open(t, dsn)
	if got, err := j.Events(t.Context(), "run_1", 0, 0); err != nil || len(got) != 2 {
		t.Errorf("%d events, error %v", len(got), err)
	}
}
