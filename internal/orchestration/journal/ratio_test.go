package journal_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

// The journal appends at least half as many events a second as the bare writer.
const leastOfBare = 0.5

// BenchmarkAppendToBare reports how many durable events a second the journal
// appends for each one that the bare writer does, of the same runs and as many
// at once. It fails below the bound.
func BenchmarkAppendToBare(b *testing.B) {
	j, bare := open(b, newFile(b)), newBare(b)
	defer bare.close()
	const runs, rounds = 150, 7
	var ratios []float64
	n := 0
	round := func(do func(orchestration.Commit) error) time.Duration {
		n++
		return appendAll(b, fmt.Sprint("run_", n), runs, do)
	}
	ours := func() time.Duration {
		return round(func(c orchestration.Commit) error { return j.Append(context.Background(), c) })
	}
	theirs := func() time.Duration { return round(bare.append) }
	ours()
	theirs()
	for b.Loop() {
		for range rounds {
			ratios = append(ratios, theirs().Seconds()/ours().Seconds())
		}
	}
	slices.Sort(ratios)
	ratio := ratios[len(ratios)/2]
	b.ReportMetric(ratio, "of-bare")
	if ratio < leastOfBare {
		b.Errorf("%.2f of what the bare writer does, want %.2f", ratio, leastOfBare)
	}
}

// appendAll appends ordinary runs, many at once, and returns how long it took.
func appendAll(b *testing.B, name string, runs int, do func(orchestration.Commit) error) time.Duration {
	template := journaltest.Story("acme", "")
	stories := make(chan []orchestration.Commit, runs)
	for i := range runs {
		stories <- renamed(template, fmt.Sprintf("%s_%020d", name, i))
	}
	close(stories)
	began := time.Now()
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for commits := range stories {
				for _, c := range commits {
					if err := do(c); err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}
