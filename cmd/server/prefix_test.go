package main

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// eightWorkers is a run of eight workers, some of them specialists, that share a task
// and context of 4,000 tokens. Each answers with 100 tokens.
func eightWorkers() string {
	var subtasks []string
	for i, kind := range []string{"researcher", "analyst", "writer", "formal", "default", "reviewer", "playful", "researcher"} {
		subtasks = append(subtasks, fmt.Sprintf(`{"id": "T%d", "type": %q, "description": "Look at side %d of the matter. [[sim out=100]]"}`, i+1, kind, i+1))
	}
	const sentence = "There is something to be said of each side of it. "
	return fmt.Sprintf(`{"task": %q, "context": {"notes": %q}, "synthesizer": {"mode": "none"}, "plan": {"subtasks": [%s]}}`,
		strings.Repeat(sentence, 8000/len(sentence)), strings.Repeat(sentence, 8000/len(sentence)), strings.Join(subtasks, ","))
}

// What the workers of a run share is paid for once: at once where a provider keeps a
// prefix from a call's arrival on, with stagger where it does from the first token on.
// The figures are those of docs/performance.md:
//
//	go test -v -run SharedPrefix ./cmd/server
func TestTheSharedPrefixIsPaidForOnce(t *testing.T) {
	tests := []struct {
		name     string
		mode     simulator.CacheMode
		stagger  bool
		hits     float64 // at least
		input    float64 // its cost, at most, over that without a cache
		observed bool    // it is here for comparison
	}{
		{name: "kept at once", mode: simulator.CacheAtOnce, hits: 0.95, input: 0.35},
		{name: "kept from the first token on, with stagger", mode: simulator.CacheFirstToken, stagger: true, hits: 0.95, input: 0.35},
		{name: "kept from the first token on, without", mode: simulator.CacheFirstToken, observed: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cached := 0.1
			r := launch(t, func(c *Config) {
				c.simulator = simulator.Options{
					PrefixCache: test.mode, Ledger: 20,
					Latency: 50 * time.Millisecond, FirstToken: 450 * time.Millisecond, TokenInterval: 5 * time.Millisecond, ChunkTokens: 10,
				}
				c.Model, c.Models = "house", map[string]Model{"house": {Stagger: test.stagger, Price: &Price{Input: 1, Cached: &cached, Output: 10}}}
			}).untilReady()
			began := time.Now()
			run := r.start(eightWorkers())
			wall := time.Since(began)
			calls := r.models.simulator.Requests()
			if run.Status != "succeeded" || len(calls) != 8 {
				t.Fatalf("the run is %s after %d calls", run.Status, len(calls))
			}
			share, input := prefixHits(calls), inputCost(calls, cached)
			t.Logf("hits %.3f of the cacheable tokens, counted after the first worker; input cost %.3f of unshared; wall %.2f s, the first token of a call coming after 0.50 s", share, input, wall.Seconds())
			if !test.observed && (share < test.hits || input > test.input) {
				t.Errorf("want hits of at least %.2f and cost of at most %.2f", test.hits, test.input)
			}
			r.wantCachedShown(run, calls, cached)
		})
	}
}

// prefixHits is the share of the tokens that could come from the cache that did, for
// all calls but the one that reached it first, which found the least there.
func prefixHits(calls []simulator.Record) float64 {
	const blockBytes, blockTokens = 512, 128 // the grain of the simulator's cache
	shared := seen(calls[0])
	for _, call := range calls[1:] {
		shared = common(shared, seen(call))
	}
	hits, least, cacheable := 0, math.MaxInt, len(shared)/blockBytes*blockTokens
	for _, call := range calls {
		found := min(call.Usage.Cached, cacheable)
		hits, least = hits+found, min(least, found)
	}
	hits -= least
	return float64(hits) / float64(cacheable*(len(calls)-1))
}

// seen is a prompt as the cache sees it.
func seen(call simulator.Record) string {
	var b strings.Builder
	b.WriteString(call.Model + "\x00")
	for _, m := range call.Messages {
		b.WriteString(m.Author + "\x00" + m.Text)
	}
	return b.String()
}

// common returns what both texts begin with.
func common(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// inputCost is what the prompts cost, over what they would without a cache.
func inputCost(calls []simulator.Record, cached float64) float64 {
	with, without := 0.0, 0.0
	for _, call := range calls {
		with += float64(call.Usage.Prompt-call.Usage.Cached) + cached*float64(call.Usage.Cached)
		without += float64(call.Usage.Prompt)
	}
	return with / without
}

// wantCachedShown checks that the run and the metrics tell of cached tokens, and that
// they cost what they do.
func (r *running) wantCachedShown(run told, calls []simulator.Record, cached float64) {
	r.t.Helper()
	var sum simulator.Usage
	for _, call := range calls {
		sum.Prompt += call.Usage.Prompt
		sum.Cached += call.Usage.Cached
		sum.Completion += call.Usage.Completion
	}
	cost := (float64(sum.Prompt-sum.Cached) + cached*float64(sum.Cached) + 10*float64(sum.Completion)) / 1e6
	if u := run.Usage; u.CachedTokens != sum.Cached || u.PromptTokens != sum.Prompt || math.Abs(u.CostUSD-cost) > 1e-9 {
		r.t.Errorf("the run tells of %+v, the model of %+v, which cost %v", u, sum, cost)
	}
	if sum.Cached > 0 {
		r.wantMetrics(fmt.Sprintf(`tutti_llm_tokens_total{kind="cached",model="house",role="worker"} %d`, sum.Cached))
	}
	r.wantMetrics(fmt.Sprintf(`tutti_llm_tokens_total{kind="prompt",model="house",role="worker"} %d`, sum.Prompt))
}
