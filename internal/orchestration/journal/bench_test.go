package journal_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

// parallel is how many runs append at once in the benchmarks.
const parallel = 32

// BenchmarkAppend appends ordinary runs (journaltest.Story), many at once. The
// CPU is that of the whole process.
func BenchmarkAppend(b *testing.B) {
	for _, dsn := range []string{"sqlite", "mem"} {
		b.Run(dsn, func(b *testing.B) {
			name := "mem:"
			if dsn == "sqlite" {
				name = newFile(b)
			}
			j := open(b, name)
			benchmark(b, story, func(c orchestration.Commit) error { return j.Append(context.Background(), c) })
		})
	}
	// Each call is held for, and settled, and each commit owes a delivery.
	b.Run("owing", func(b *testing.B) {
		j := open(b, newFile(b))
		benchmark(b, owing, func(c orchestration.Commit) error {
			if len(c.Settled) > 0 {
				h := orchestration.Hold{Tenant: "acme", Run: c.Row.ID, Command: c.Settled[0].Command, Call: 1, CostUSD: 1}
				if err := j.Hold(context.Background(), h, plenty); err != nil {
					return err
				}
			}
			return j.Append(context.Background(), c)
		})
	})
	b.Run("bare", func(b *testing.B) {
		w := newBare(b)
		defer w.close()
		benchmark(b, story, w.append)
	})
}

var template = journaltest.Story("acme", "")

// story returns the commits of an ordinary run.
func story(run string) []orchestration.Commit { return renamed(template, run) }

func benchmark(b *testing.B, newRun func(run string) []orchestration.Commit, do func(orchestration.Commit) error) {
	runs := make(chan []orchestration.Commit, b.N)
	for i := range b.N {
		runs <- newRun(fmt.Sprintf("run_%026d", i))
	}
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	start := cpu(b)
	for range parallel {
		wg.Go(func() {
			for {
				select {
				case commits := <-runs:
					for _, c := range commits {
						if err := do(c); err != nil {
							b.Error(err)
							return
						}
					}
				default:
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	spent := float64(cpu(b) - start)
	events := float64(len(journaltest.Events(template)) * b.N)
	b.ReportMetric(float64(b.Elapsed())/events, "ns/event")
	b.ReportMetric(spent/events, "cpu-ns/event")
	b.ReportMetric(spent/float64(b.N)/1000, "cpu-µs/op")
}

// BenchmarkRead reads what a waiting caller, a follower and an agent read: from
// the memory of recent events, and after a restart.
func BenchmarkRead(b *testing.B) {
	dsn := newFile(b)
	j := open(b, dsn)
	for _, c := range journaltest.Story("acme", "run_1") {
		if err := j.Append(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("recent", func(b *testing.B) { benchmarkRead(b, j) })
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("stored", func(b *testing.B) { benchmarkRead(b, open(b, dsn)) })
}

func benchmarkRead(b *testing.B, j journal.Journal) {
	for name, read := range map[string]func() error{
		"row":   func() error { _, err := j.Row(b.Context(), "acme", "run_1"); return err },
		"none":  func() error { _, err := j.Events(b.Context(), "run_1", 37, 100); return err },
		"event": func() error { _, err := j.Event(b.Context(), "run_1", 30); return err },
		"all":   func() error { _, err := j.Events(b.Context(), "run_1", 0, 100); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// renamed returns the commits of a story as those of another run.
func renamed(commits []orchestration.Commit, run string) []orchestration.Commit {
	commits = append([]orchestration.Commit(nil), commits...)
	for i := range commits {
		c := &commits[i]
		c.Row.ID = run
		c.Events = append([]orchestration.Event(nil), c.Events...)
		for k := range c.Events {
			c.Events[k].Run = run
		}
	}
	return commits
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A bare writer is what the journal is measured against: it groups commits and
// writes rows like the journal's, one statement each, and does nothing else.
type bare struct {
	b     *testing.B
	db    *sql.DB
	conn  *sql.Conn
	queue chan bareCommit
	ended chan struct{}
}

type bareCommit struct {
	orchestration.Commit
	events string
	done   chan error
}

func newBare(b *testing.B) *bare {
	name := strings.TrimPrefix(newFile(b), "sqlite:")
	db, err := sql.Open("sqlite", "file:"+filepath.Dir(name)+"/bare.db?_pragma=page_size(8192)&_journal_mode=WAL&_synchronous=FULL")
	if err != nil {
		b.Fatal(err)
	}
	conn, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	w := &bare{b: b, db: db, conn: conn, queue: make(chan bareCommit, parallel), ended: make(chan struct{})}
	for _, query := range []string{
		`CREATE TABLE runs (id TEXT PRIMARY KEY, tenant TEXT, status TEXT, seq INTEGER, task TEXT, progress TEXT, created_at INTEGER) WITHOUT ROWID`,
		`CREATE TABLE commits (run TEXT, seq INTEGER, tenant TEXT, events TEXT, PRIMARY KEY (run, seq))`,
	} {
		if _, err := conn.ExecContext(b.Context(), query); err != nil {
			b.Fatal(err)
		}
	}
	go w.loop()
	return w
}

func (w *bare) append(c orchestration.Commit) error {
	events, err := json.Marshal(c.Events)
	if err != nil {
		return err
	}
	one := bareCommit{Commit: c, events: string(events), done: make(chan error, 1)}
	w.queue <- one
	return <-one.done
}

func (w *bare) close() {
	close(w.queue)
	<-w.ended
	_ = w.conn.Close()
	_ = w.db.Close()
}

func (w *bare) loop() {
	defer close(w.ended)
	ctx := context.Background()
	prepare := func(query string) *sql.Stmt {
		s, err := w.conn.PrepareContext(ctx, query)
		if err != nil {
			w.b.Error(err)
		}
		return s
	}
	begin, commit := prepare(`BEGIN IMMEDIATE`), prepare(`COMMIT`)             //nolint:sqlclosecheck // closed with the connection
	row := prepare(`INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)`) //nolint:sqlclosecheck // closed with the connection
	insert := prepare(`INSERT INTO commits VALUES (?, ?, ?, ?)`)               //nolint:sqlclosecheck // closed with the connection
	for first := range w.queue {
		batch := []bareCommit{first}
		for len(batch) < 256 && len(w.queue) > 0 {
			batch = append(batch, <-w.queue)
		}
		_, err := begin.ExecContext(ctx)
		for _, c := range batch {
			r := c.Row
			if err == nil {
				_, err = row.ExecContext(ctx, r.ID, r.Tenant, string(r.Status), r.Seq, r.Task, "[10,1,2,3,4]", r.CreatedAt.UnixNano())
			}
			if err == nil {
				_, err = insert.ExecContext(ctx, r.ID, r.Seq, r.Tenant, c.events)
			}
		}
		if err == nil {
			_, err = commit.ExecContext(ctx)
		}
		for _, c := range batch {
			c.done <- err
		}
	}
}
