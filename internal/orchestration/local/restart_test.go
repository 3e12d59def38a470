package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// A server that starts again takes at most so many times as long as it takes to
// read the events of the runs that it goes on with.
const mostOfReading = 3

// BenchmarkRestart reports how long it takes to open a journal of 10,000 runs
// under way and resume them, for each second that it takes to open it and read
// the events of each run once. It fails above the bound.
func BenchmarkRestart(b *testing.B) {
	file := filepath.Join(b.TempDir(), "tutti.db")
	fill(b, file, 10_000)
	var ratios []float64
	for b.Loop() {
		for range 3 {
			read := timed(b, file, func(j journal.Journal) func() { readAll(b, j); return func() {} })
			resumed := timed(b, file, func(j journal.Journal) func() { return resume(b, j) })
			ratios = append(ratios, resumed.Seconds()/read.Seconds())
			b.Logf("read in %v, resumed in %v", read, resumed)
		}
	}
	slices.Sort(ratios)
	ratio := ratios[len(ratios)/2]
	b.ReportMetric(ratio, "of-reading")
	if ratio > mostOfReading {
		b.Errorf("%.2f times as long as reading, want %d", ratio, mostOfReading)
	}
}

// timed opens a copy of a journal, as resumed runs write into theirs, and
// returns how long that and do took. What do returns is called later.
func timed(b *testing.B, file string, do func(journal.Journal) (after func())) time.Duration {
	data, err := os.ReadFile(file)
	fresh := filepath.Join(b.TempDir(), "copy.db")
	if err == nil {
		err = os.WriteFile(fresh, data, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	j, err := journal.Open(b.Context(), "sqlite:"+fresh, journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	after := do(j)
	took := time.Since(began)
	after()
	return took
}

func readAll(b *testing.B, j journal.Journal) {
	rows, err := j.Unfinished(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, row := range rows {
		events, err := j.Events(b.Context(), row.ID, 0, 0)
		if err != nil || len(events) != int(row.Seq) {
			b.Fatalf("%d events of %d, error %v", len(events), row.Seq, err)
		}
	}
}

// resume resumes all runs, with models that do not answer.
func resume(b *testing.B, j journal.Journal) (stop func()) {
	silent := agentFunc(func(ctx context.Context, p orchestration.Performance) orchestration.Said {
		<-ctx.Done()
		return lost(p.Command)
	})
	d := New(Options{Journal: j, Agent: silent, Logger: zap.NewNop()})
	if err := d.Resume(b.Context()); err != nil {
		b.Fatal(err)
	}
	return d.Close
}

// fill makes a journal of runs whose plan was made and whose subtasks run.
func fill(b *testing.B, file string, runs int) {
	j, err := journal.Open(b.Context(), "sqlite:"+file, journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var plan orchestration.Plan
	for i := range 4 {
		plan.Subtasks = append(plan.Subtasks, orchestration.Subtask{
			ID: fmt.Sprint("T", i+1), Kind: orchestration.KindWorker, Type: "analyst", Description: "Say what stands out from one side of the matter.",
		})
	}
	var wg sync.WaitGroup
	ids := make(chan string)
	for range 64 {
		wg.Go(func() {
			for id := range ids {
				run := orchestration.New(orchestration.Funcs{})
				for _, said := range []orchestration.Said{
					orchestration.Start{ID: id, Spec: spec()},
					orchestration.Planned{Attempt: 1, Plan: plan, Answer: "{}"},
				} {
					after := run.Seq
					events, _, err := run.Step(orchestration.Input{Time: time.Now().UTC(), Said: said})
					if err == nil {
						err = j.Append(context.Background(), orchestration.Commit{After: after, Events: events, Row: run.Row()})
					}
					if err != nil {
						b.Error(err)
					}
				}
			}
		})
	}
	for range runs {
		ids <- newID()
	}
	close(ids)
	wg.Wait()
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
}
