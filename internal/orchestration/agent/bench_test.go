package agent

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// BenchmarkWaiting measures what a worker's call holds while it waits for its slot:
// of stacks and, without what the command itself takes, of the heap.
func BenchmarkWaiting(b *testing.B) {
	const calls = 4000
	for range b.N {
		ctx, cancel := context.WithCancel(context.Background())
		pool := llm.NewPool(llm.Func(func(ctx context.Context, _ *llm.Request) (*llm.Response, error) {
			<-ctx.Done()
			return nil, llm.Ended(ctx)
		}), 1, nil)
		spec := testSpec()
		spec.Task, spec.Context = strings.Repeat("Look at the matter from all sides. ", 26), nil
		commands := make([]orchestration.Command, calls)
		for i := range commands {
			commands[i] = orchestration.Work{Subtask: formal, Attempt: 1}
		}
		a := New(Options{Client: pool, Texts: &shelf{}})
		var waiting sync.WaitGroup
		before := held()
		for _, c := range commands {
			waiting.Go(func() { a.Perform(ctx, orchestration.Performance{Run: "run_1", Spec: spec, Command: c}) })
		}
		for pool.Waiting() < calls-1 {
			time.Sleep(time.Millisecond)
		}
		after := held()
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/calls, "stack-B/call")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/calls, "heap-B/call")
		cancel()
		waiting.Wait()
	}
}

// held returns what is in use once all garbage is collected, and stacks have shrunk.
func held() *runtime.MemStats {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return &m
}

// instantWork returns what performs a worker's attempt with a prompt of 2 kB and a model
// that answers at once, in 1.2 kB.
func instantWork() func(context.Context) {
	answer := "<response>" + strings.Repeat("What stands out is that there are sides. ", 30) + "</response>"
	spec := testSpec()
	spec.Task = strings.Repeat("Look at the matter from all sides. ", 26)
	a := New(Options{Client: llm.Func(func(context.Context, *llm.Request) (*llm.Response, error) { return llm.Answer(answer), nil }), Texts: &shelf{}})
	of := orchestration.Performance{Run: "run_1", Spec: spec, Command: orchestration.Work{Subtask: formal, Attempt: 1}}
	return func(ctx context.Context) { a.Perform(ctx, of) }
}

func BenchmarkWork(b *testing.B) {
	perform := instantWork()
	b.ReportAllocs()
	for b.Loop() {
		perform(b.Context())
	}
}
