package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// What is asked for when shares are measured. Templates are the templates of this
// repository that neither wait for people nor need tools, by turns. In piped and dense one subtask lists
// twenty machines, each of which is looked at, and a last one gets what was found:
// piped has two expressions an item, as plans have them, dense has one in every
// place that there is, and is no plan that anybody would write.
//
// Prompts and answers are about as long as those that the calls' CPU is measured with.
var (
	matter    = strings.Repeat("Look at the matter from all sides. ", 26)
	planned   = `{"task": "` + matter + `[[sim subtasks=10 out=1200]]"}`
	templates = []string{
		`{"workflow": "marketing-variations", "context": {"product": "A steel bottle"}}`,
		`{"workflow": "research-report", "context": {"topic": "SQLite", "code": true}}`,
		`{"workflow": "system-analysis", "context": {"cpu": {"load": 0.4}, "memory": "2 of 8 GB", "network": [1, 2, 3]}}`,
		`{"workflow": "product-director", "context": {"product": "A scarf [[sim option=accessory]]"}}`,
		`{"workflow": "iterative-deepening", "context": {"question": "Why are there tides?", "rounds": 3}}`,
		`{"workflow": "evaluator-optimizer", "context": {"brief": "A notice [[sim unsatisfied=2]]"}}`,
		`{"workflow": "prompt-chain", "context": {"topic": "Tides"}}`,
		`{"workflow": "router", "context": {"message": "It does not start [[sim option=technical]]"}}`,
	}
	piped = machines(`"input": {"machine": "item.name", "load": "item.cpu"}`)
	dense = machines(`"when": "item.cpu < 100 && machines.output.complete",
		"input": {"machine": "item.name", "load": "string(item.cpu) + ' %'", "place": "index + 1"},
		"check": {"expr": "output.size() > 100"},
		"output": "{'machine': item.name, 'text': output}"`)
)

// machines returns a run whose items have those keys.
func machines(keys string) string {
	var rows []string
	for i := range 20 {
		rows = append(rows, fmt.Sprintf(`{"name": "machine-%d", "cpu": %d, "tags": ["eu", "web"]}`, i, 5*i))
	}
	listed := `List the machines [[sim json={"complete": true, "rows": [` + strings.Join(rows, ", ") + `]}]]`
	return fmt.Sprintf(`{"task": %q, "plan": {"subtasks": [
		{"id": "machines", "type": "researcher", "description": %q},
		{"id": "each", "kind": "for_each", "for_each": {"items": "machines.output.rows", "body": [
			{"id": "look", "type": "analyst", "description": "Say what stands out [[sim out=1200]]", %s}]}},
		{"id": "busy", "kind": "decide", "decide": {"by": "expr", "options": ["many", "few"],
			"expr": "machines.output.rows.filter(r, r.cpu > 50).size() > 5 ? 'many' : 'few'"}},
		{"id": "report", "type": "writer", "description": "Say what they have in common [[sim out=1200]]",
		 "when": "busy.output == 'many'",
		 "input": {"found": "each.output.filter(o, o.status == 'succeeded').map(o, o.output)",
			"names": "machines.output.rows.map(r, r.name).join(', ')"},
		 "output": "{'machines': machines.output.rows.size(), 'text': output}"}]}}`, matter, listed, keys)
}

// BenchmarkShare performs whole runs through the real server, with its journal on
// disk and a model that answers at once, and reports how much of the server's CPU the
// core and the expressions take, in percent.
//
// The CPU of the simulator and of the callers, which are in this process too, is no
// part of the whole, and neither is the collector's, of which nobody knows for whom it
// works: whoever allocates next has to help with what others have left.
func BenchmarkShare(b *testing.B) {
	b.Run("planned", func(b *testing.B) { measureShare(b, planned) })
	b.Run("templates", func(b *testing.B) { measureShare(b, templates...) })
	b.Run("piped", func(b *testing.B) { measureShare(b, piped) })
	b.Run("dense", func(b *testing.B) { measureShare(b, dense) })
}

func measureShare(b *testing.B, requests ...string) {
	var upstream *simulator.Server
	outside(func() {
		var err error
		if upstream, err = simulator.Listen(simulator.Options{}); err != nil {
			b.Fatal(err)
		}
	})
	defer func() { _ = upstream.Close() }()
	s := launch(b, func(c *Config) {
		c.Journal = "sqlite:" + filepath.Join(b.TempDir(), "tutti.db")
		c.MaxConcurrency, c.Workflows = 512, "../../workflows"
		c.Providers = map[string]Provider{"bench": {BaseURL: upstream.URL()}}
		c.Models = map[string]Model{"bench": {Provider: "bench", Stream: &Stream{orchestration.StreamNever}}}
	}).untilReady()
	var recorded bytes.Buffer
	recording := pprof.StartCPUProfile(&recorded) == nil // else -cpuprofile is: look at that one with pprof -tagignore outside
	var turn atomic.Int64
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		outside(func() {
			for pb.Next() {
				if a := s.ask("POST", "/v1/runs", requests[int(turn.Add(1))%len(requests)], "Prefer: wait=60"); a.json["status"] != "succeeded" {
					b.Errorf("status %d: %.300s", a.status, a.text)
					return
				}
			}
		})
	})
	b.StopTimer()
	if !recording {
		return
	}
	pprof.StopCPUProfile()
	p, err := profile.Parse(&recorded)
	if err != nil {
		b.Fatal(err)
	}
	shares := sharesOf(p)
	if shares.all > 0 { // the first rounds may be too short to be sampled
		b.ReportMetric(100*float64(shares.core)/float64(shares.all), "core-%")
		b.ReportMetric(100*float64(shares.expressions)/float64(shares.all), "expressions-%")
		b.ReportMetric(float64(shares.all)/1e6/float64(b.N), "cpu-ms/run")
	}
}

// outside has f called, and what it starts, as no part of the server.
func outside(f func()) {
	pprof.Do(context.Background(), pprof.Labels("outside", "true"), func(context.Context) { f() })
}

// shares are of CPU time, in nanoseconds.
type shares struct {
	all, core, expressions int64 // the core's are without those of expressions
}

func sharesOf(p *profile.Profile) (s shares) {
	const core, expressions = "github.com/tutti-run/tutti/internal/orchestration.", "github.com/tutti-run/tutti/internal/orchestration/expr."
	for _, sample := range p.Sample {
		took := sample.Value[len(sample.Value)-1]
		switch {
		case sample.HasLabel("outside", "true"), through(sample, "runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge"):
			continue
		case through(sample, "runtime.newstack"): // grows for all that is still to be called
		case through(sample, expressions):
			s.expressions += took
		case through(sample, core):
			s.core += took
		}
		s.all += took
	}
	return s
}

// through reports whether a function whose name begins like that was under way.
func through(s *profile.Sample, names ...string) bool {
	for _, location := range s.Location {
		for _, line := range location.Line {
			for _, name := range names {
				if strings.HasPrefix(line.Function.Name, name) {
					return true
				}
			}
		}
	}
	return false
}
