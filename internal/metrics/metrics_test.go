package metrics

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// start is when everything in these tests begins.
var start = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return start.Add(time.Duration(seconds * float64(time.Second)))
}

func newMetrics() *Metrics {
	return New(Options{Version: "v1", Models: []string{"big", "small"}, Workers: []string{"researcher"}})
}

// A story is a run that a test tells to the core and the metrics.
type story struct {
	t   *testing.T
	m   *Metrics
	run *orchestration.Run
}

func tell(t *testing.T, m *Metrics, spec *orchestration.Spec) *story {
	t.Helper()
	s := &story{t: t, m: m, run: orchestration.New(orchestration.Funcs{})}
	s.hear(0, orchestration.Start{ID: "run_1", Spec: spec})
	return s
}

func (s *story) hear(seconds float64, said orchestration.Said) {
	s.t.Helper()
	events, _, err := s.run.Step(orchestration.Input{Time: at(seconds), Said: said})
	if err != nil {
		s.t.Fatal(err)
	}
	s.m.Appended(s.run, events)
}

func spec() *orchestration.Spec {
	return &orchestration.Spec{
		Task:        "Say hello",
		Planner:     orchestration.Planner{Role: orchestration.Role{Model: "big"}},
		Worker:      orchestration.Worker{Role: orchestration.Role{Model: "small"}},
		Synthesizer: orchestration.Synthesizer{Role: orchestration.Role{Model: "big"}, Mode: orchestration.SynthesizeModel},
		Workers:     []orchestration.Worker{{Name: "researcher", Role: orchestration.Role{Model: "small"}}},
		Limits: orchestration.Limits{
			MaxConcurrency: 10, Timeout: time.Hour, SubtaskTimeout: time.Minute,
			MaxAttempts: 2, MaxSubtasks: 10, MaxOutputBytes: 1 << 20,
		},
	}
}

func call(role, model string, from, to, cost float64) []orchestration.Call {
	return []orchestration.Call{{Role: role, Model: model, Started: at(from), Ended: at(to), CostUSD: cost}}
}

func plan(subtasks ...orchestration.Subtask) orchestration.Plan {
	return orchestration.Plan{Subtasks: subtasks}
}

// A run of one planner, three workers (one of them tried twice, one for a model
// that nobody configured) and one synthesizer.
func TestARunFromStartToEnd(t *testing.T) {
	m := newMetrics()
	s := tell(t, m, spec())
	s.hear(2, orchestration.Planned{Attempt: 1, Calls: call("planner", "big", 0.5, 2, 0.25), Plan: plan(
		orchestration.Subtask{ID: "T1", Type: "researcher", Description: "one"},
		orchestration.Subtask{ID: "T2", Type: "a type that the model made up", Description: "two"},
		orchestration.Subtask{ID: "T3", Type: "researcher", Description: "three"},
		orchestration.Subtask{ID: "T4", Type: "formal", Description: "four", DependsOn: []string{"T3"}},
	)})
	s.hear(3, orchestration.Worked{
		Subtask: "T2", Attempt: 1, Calls: call("worker", "the caller's secret", 2, 3, 0.5),
		Failure: &orchestration.Failure{Code: orchestration.CodeUpstreamRateLimited, Retryable: true},
	})
	s.hear(4, orchestration.Worked{Subtask: "T1", Attempt: 1, Output: "hello", Calls: call("worker", "small", 2, 4, 0.125)})
	s.hear(4, orchestration.Worked{
		Subtask: "T3", Attempt: 1, Calls: call("worker", "small", 2, 3.5, 0),
		Failure: &orchestration.Failure{Code: orchestration.CodeContextTooLong},
	})
	s.hear(5, orchestration.Due{Timer: "subtask/T2/2"})
	s.hear(7, orchestration.Worked{Subtask: "T2", Attempt: 2, Output: "world", Calls: call("worker", "small", 5, 7, 0.125)})
	s.hear(10, orchestration.Synthesized{Attempt: 1, Output: "hello world", Calls: call("synthesizer", "big", 7.25, 10, 0.5)})
	if s.run.Status != orchestration.StatusSucceeded {
		t.Fatalf("the run is %s", s.run.Status)
	}

	expect(t, m, `
# HELP tutti_runs_in_flight Runs that were accepted and have not ended, those resumed after a restart included.
# TYPE tutti_runs_in_flight gauge
tutti_runs_in_flight 0
# HELP tutti_runs_total Runs that ended, by how.
# TYPE tutti_runs_total counter
tutti_runs_total{status="succeeded"} 1
# HELP tutti_subtasks_total Subtasks that ended, by the configured worker that performs them (default: no specialist), or their kind where they need none, and how.
# TYPE tutti_subtasks_total counter
tutti_subtasks_total{status="failed",worker="researcher"} 1
tutti_subtasks_total{status="skipped",worker="default"} 1
tutti_subtasks_total{status="succeeded",worker="default"} 1
tutti_subtasks_total{status="succeeded",worker="researcher"} 1
# HELP tutti_llm_retries_total Attempts that failed and were, or will be, followed by another one, by the failure's code.
# TYPE tutti_llm_retries_total counter
tutti_llm_retries_total{reason="upstream_rate_limited"} 1
# HELP tutti_failures_total Failures that no retry answered, by the role that failed and the failure's code. A plan that had to be repaired is one.
# TYPE tutti_failures_total counter
tutti_failures_total{code="context_too_long",role="worker"} 1
# HELP tutti_llm_cost_usd_total US dollars spent on calls to models that have a configured price.
# TYPE tutti_llm_cost_usd_total counter
tutti_llm_cost_usd_total{model="big",role="planner"} 0.25
tutti_llm_cost_usd_total{model="big",role="synthesizer"} 0.5
tutti_llm_cost_usd_total{model="other",role="worker"} 0.5
tutti_llm_cost_usd_total{model="small",role="worker"} 0.25
`, "runs_in_flight", "runs_total", "subtasks_total", "llm_retries_total", "failures_total", "llm_cost_usd_total")

	wantSum(t, m, "tutti_run_duration_seconds", 1, 10)
	wantSum(t, m, "tutti_llm_calls_per_run", 1, 6)
	// In flight: 0.5–4, 5–7 and 7.25–10.
	wantSum(t, m, "tutti_run_overhead_seconds", 1, 10-3.5-2-2.75)
	wantSum(t, m, "tutti_subtask_duration_seconds", 3, 2+2+5)
	if len(m.busy) != 0 {
		t.Error("the run is still remembered")
	}
}

func TestFailuresOfPlannerAndSynthesizer(t *testing.T) {
	m := newMetrics()
	failed := &orchestration.Failure{Code: orchestration.CodeUpstreamTimeout, Retryable: true}
	s := tell(t, m, spec())
	s.hear(1, orchestration.Planned{Attempt: 1, Problems: []orchestration.Problem{{Code: "cycle", Detail: "A cycle."}}})
	s.hear(2, orchestration.Planned{Attempt: 2, Failure: failed})
	s.hear(5, orchestration.Due{Timer: "plan/3"})
	s.hear(6, orchestration.Planned{Attempt: 3, Plan: plan(
		orchestration.Subtask{ID: "T1", Description: "one"}, orchestration.Subtask{ID: "T2", Description: "two"},
	)})
	s.hear(7, orchestration.Worked{Subtask: "T1", Attempt: 1, Output: "one"})
	s.hear(7, orchestration.Worked{Subtask: "T2", Attempt: 1, Output: "two"})
	s.hear(8, orchestration.Synthesized{Attempt: 1, Failure: failed})
	s.hear(12, orchestration.Due{Timer: "synthesis/2"})
	s.hear(13, orchestration.Synthesized{Attempt: 2, Failure: failed})
	if s.run.Status != orchestration.StatusFailed {
		t.Fatalf("the run is %s", s.run.Status)
	}
	expect(t, m, `
# HELP tutti_llm_retries_total Attempts that failed and were, or will be, followed by another one, by the failure's code.
# TYPE tutti_llm_retries_total counter
tutti_llm_retries_total{reason="upstream_timeout"} 2
# HELP tutti_failures_total Failures that no retry answered, by the role that failed and the failure's code. A plan that had to be repaired is one.
# TYPE tutti_failures_total counter
tutti_failures_total{code="plan_invalid",role="planner"} 1
tutti_failures_total{code="upstream_timeout",role="synthesizer"} 1
`, "llm_retries_total", "failures_total")
}

// What needs no worker is counted by its kind, and its failure by the role that
// performed it; what expands adds no failure to those of its parts.
func TestKindsOfSubtasks(t *testing.T) {
	m := newMetrics()
	whole := spec()
	whole.Limits.MaxAttempts = 1
	whole.Tools = []orchestration.Tool{{Name: "look"}}
	parts := plan(
		orchestration.Subtask{ID: "T1", Kind: orchestration.KindTool, Tool: &orchestration.ToolCall{Name: "look"}},
		orchestration.Subtask{ID: "T2", Kind: orchestration.KindMerge, Merge: orchestration.MergeConcat, DependsOn: []string{"T1"}},
		orchestration.Subtask{ID: "T3", Kind: orchestration.KindDecide, Decide: &orchestration.Decide{
			By: orchestration.DecideByModel, Prompt: "Which?", Options: []string{"a", "b"},
		}},
		orchestration.Subtask{ID: "T4", Kind: orchestration.KindLoop, Loop: &orchestration.Loop{
			MaxIterations: 2, Body: []orchestration.Subtask{{ID: "w", Type: "researcher", Description: "Look"}},
		}},
	)
	whole.Plan = &parts
	s := tell(t, m, whole)
	s.hear(1, orchestration.Worked{Subtask: "T1", Attempt: 1, Output: "seen"})
	s.hear(2, orchestration.Worked{Subtask: "T3", Attempt: 1, Failure: &orchestration.Failure{Code: orchestration.CodeUpstreamError}})
	s.hear(3, orchestration.Worked{Subtask: "T4.1.w", Attempt: 1, Failure: &orchestration.Failure{Code: orchestration.CodeUpstreamError}})
	expect(t, m, `
# HELP tutti_failures_total Failures that no retry answered, by the role that failed and the failure's code. A plan that had to be repaired is one.
# TYPE tutti_failures_total counter
tutti_failures_total{code="upstream_error",role="evaluator"} 1
tutti_failures_total{code="upstream_error",role="worker"} 1
# HELP tutti_subtasks_total Subtasks that ended, by the configured worker that performs them (default: no specialist), or their kind where they need none, and how.
# TYPE tutti_subtasks_total counter
tutti_subtasks_total{status="failed",worker="decide"} 1
tutti_subtasks_total{status="failed",worker="loop"} 1
tutti_subtasks_total{status="failed",worker="researcher"} 1
tutti_subtasks_total{status="succeeded",worker="merge"} 1
tutti_subtasks_total{status="succeeded",worker="tool"} 1
`, "failures_total", "subtasks_total")
}

func TestACanceledRunHasNoFailures(t *testing.T) {
	m := newMetrics()
	s := tell(t, m, spec())
	s.hear(1, orchestration.Cancel{})
	s.hear(2, orchestration.Planned{Attempt: 1, Failure: &orchestration.Failure{Code: orchestration.CodeCanceled}})
	if got := testutil.ToFloat64(m.runs.WithLabelValues("canceled")); got != 1 {
		t.Errorf("%v canceled runs, want 1", got)
	}
	if n := testutil.CollectAndCount(m.failures); n != 0 {
		t.Errorf("%d kinds of failures, want none", n)
	}
}

// A run that an earlier process began: it is in flight, its end counts, and its
// overhead is not known.
func TestAResumedRun(t *testing.T) {
	m := newMetrics()
	earlier := tell(t, newMetrics(), spec())
	m.Resumed(1)
	if got := testutil.ToFloat64(m.inFlight); got != 1 {
		t.Errorf("%v runs in flight after a restart, want 1", got)
	}
	s := &story{t: t, m: m, run: earlier.run}
	s.hear(1, orchestration.Cancel{})
	s.hear(2, orchestration.Planned{Attempt: 1})
	if got := testutil.ToFloat64(m.inFlight); got != 0 {
		t.Errorf("%v runs in flight after the end, want 0", got)
	}
	wantSum(t, m, "tutti_run_duration_seconds", 1, 2)
	wantSum(t, m, "tutti_run_overhead_seconds", 0, 0)
}

func TestCallsAreCountedHoweverTheyEnd(t *testing.T) {
	m := newMetrics()
	answers := []error{nil, nil, &llm.Error{Outcome: llm.RateLimited, Calls: []llm.Call{
		{Queued: at(0), Started: at(4), Ended: at(5), Outcome: llm.InvalidRequest},
		{Queued: at(0), Started: at(5), Ended: at(8), Outcome: llm.RateLimited, Usage: llm.Usage{Prompt: -7}},
	}}}
	client := m.Client(llm.Func(func(context.Context, *llm.Request) (*llm.Response, error) {
		err := answers[0]
		answers = answers[1:]
		if err != nil {
			return nil, err
		}
		return &llm.Response{Text: "hi", ToolCalls: []llm.ToolCall{{ID: "a"}}, Calls: []llm.Call{{
			Queued: at(0), Started: at(1), FirstToken: at(1.5), Ended: at(3), Outcome: llm.OK,
			Usage: llm.Usage{Prompt: 100, Cached: 40, Completion: 7},
		}}}, nil
	}))
	if resp, err := client.Chat(t.Context(), &llm.Request{Role: llm.Planner, Model: "big"}); err != nil || resp.Text != "hi" {
		t.Fatalf("got %v, %v", resp, err)
	}
	if resp, err := client.Chat(t.Context(), &llm.Request{Role: llm.Evaluator, Model: "big"}); err != nil || len(resp.ToolCalls) != 1 {
		t.Fatalf("got %v, %v", resp, err)
	}
	if _, err := client.Chat(t.Context(), &llm.Request{Role: llm.Worker, Model: "an invented model"}); err == nil {
		t.Fatal("the failure was lost")
	}
	expect(t, m, `
# HELP tutti_llm_calls_total Calls to models, by how they ended; of the unavailable ones some could not be sent.
# TYPE tutti_llm_calls_total counter
tutti_llm_calls_total{model="big",outcome="ok",role="evaluator"} 1
tutti_llm_calls_total{model="big",outcome="ok",role="planner"} 1
tutti_llm_calls_total{model="other",outcome="invalid_request",role="worker"} 1
tutti_llm_calls_total{model="other",outcome="rate_limited",role="worker"} 1
# HELP tutti_llm_tokens_total Tokens as the provider counted them. Cached ones are part of the prompt's.
# TYPE tutti_llm_tokens_total counter
tutti_llm_tokens_total{kind="cached",model="big",role="evaluator"} 40
tutti_llm_tokens_total{kind="cached",model="big",role="planner"} 40
tutti_llm_tokens_total{kind="completion",model="big",role="evaluator"} 7
tutti_llm_tokens_total{kind="completion",model="big",role="planner"} 7
tutti_llm_tokens_total{kind="prompt",model="big",role="evaluator"} 100
tutti_llm_tokens_total{kind="prompt",model="big",role="planner"} 100
`, "llm_calls_total", "llm_tokens_total")
	wantSum(t, m, "tutti_llm_call_duration_seconds", 4, 2+2+1+3)
	wantSum(t, m, "tutti_llm_time_to_first_token_seconds", 2, 0.5+0.5)
	wantSum(t, m, "tutti_pool_wait_seconds", 3, 1+1+4)
}

func TestHTTP(t *testing.T) {
	m := newMetrics()
	m.HTTP("/v1/runs/{id}", "GET", 200, time.Second)
	m.HTTP("", "BREW", 9999, time.Second)
	expect(t, m, `
# HELP tutti_http_requests_total HTTP requests answered, by route (a pattern, not a path), method and status code.
# TYPE tutti_http_requests_total counter
tutti_http_requests_total{code="200",method="GET",route="/v1/runs/{id}"} 1
tutti_http_requests_total{code="other",method="other",route="other"} 1
`, "http_requests_total")
}

func TestTools(t *testing.T) {
	m := newMetrics()
	m.Tool("weather", "ok", time.Second)
	m.Tool("weather", "timeout", 2*time.Second)
	m.Tool("wiki_search", "ok", 4*time.Second)
	expect(t, m, `
# HELP tutti_tool_calls_total Calls of tools, by how they ended; invalid_arguments never went out.
# TYPE tutti_tool_calls_total counter
tutti_tool_calls_total{outcome="ok",tool="weather"} 1
tutti_tool_calls_total{outcome="ok",tool="wiki_search"} 1
tutti_tool_calls_total{outcome="timeout",tool="weather"} 1
`, "tool_calls_total")
	wantSum(t, m, "tutti_tool_call_duration_seconds", 3, 1+2+4)
}

// A request that went out twice is one of each kind of call, and its second call
// won or did not.
func TestSecondCalls(t *testing.T) {
	m := newMetrics()
	won := []llm.Call{{Queued: at(0), Started: at(1), Ended: at(3), Outcome: llm.Canceled, Hedged: true}, {Queued: at(2), Started: at(2), Ended: at(3), Outcome: llm.OK}}
	lost := []llm.Call{{Queued: at(0), Started: at(2), Ended: at(5), Outcome: llm.OK}, {Queued: at(4), Started: at(4), Ended: at(5), Outcome: llm.Canceled, Hedged: true}}
	for _, calls := range [][]llm.Call{won, lost, lost, {{Queued: at(0), Started: at(3), Ended: at(4), Outcome: llm.OK}}} {
		m.called(&llm.Request{Role: llm.Worker, Model: "big"}, calls)
	}
	expect(t, m, `
# HELP tutti_llm_calls_total Calls to models, by how they ended; of the unavailable ones some could not be sent.
# TYPE tutti_llm_calls_total counter
tutti_llm_calls_total{model="big",outcome="canceled",role="worker"} 3
tutti_llm_calls_total{model="big",outcome="ok",role="worker"} 4
# HELP tutti_llm_hedges_total Requests that went out a second time as their model was slow to answer, by whether the second call's answer was the one taken.
# TYPE tutti_llm_hedges_total counter
tutti_llm_hedges_total{model="big",role="worker",won="false"} 2
tutti_llm_hedges_total{model="big",role="worker",won="true"} 1
`, "llm_calls_total", "llm_hedges_total")
	wantSum(t, m, "tutti_pool_wait_seconds", 4, 1+2+2+3)
}

// Everything that can be shown is, and as Prometheus's own linter likes it.
func TestEveryMetricIsShownAndLinted(t *testing.T) {
	m := newMetrics()
	m.Pool(llm.NewPool(nil, 7, nil))
	m.JournalAppend(time.Millisecond)
	m.Tool("weather", "ok", time.Millisecond)
	m.HTTP("/livez", "GET", 200, time.Millisecond)
	m.called(&llm.Request{Role: llm.Worker, Model: "big"}, []llm.Call{{
		Queued: at(0), Started: at(1), FirstToken: at(2), Ended: at(3), Usage: llm.Usage{Prompt: 1, Cached: 1, Completion: 1},
	}})
	m.called(&llm.Request{Role: llm.Worker, Model: "big"}, []llm.Call{{Outcome: llm.Canceled, Hedged: true}, {Outcome: llm.OK}})
	m.failedOrRetried(llm.Planner, orchestration.Failure{}, nil)
	m.failedOrRetried(llm.Planner, orchestration.Failure{}, &start)
	s := tell(t, m, spec())
	s.hear(1, orchestration.Planned{Attempt: 1, Calls: call("planner", "big", 0, 1, 1), Plan: plan(orchestration.Subtask{ID: "T1", Description: "one"})})
	s.hear(2, orchestration.Worked{Subtask: "T1", Attempt: 1, Output: "one"})

	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "tutti_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	shown := scrape(t, m)
	for _, name := range strings.Fields(`runs_total runs_in_flight run_duration_seconds run_overhead_seconds llm_calls_total
		llm_call_duration_seconds llm_time_to_first_token_seconds llm_calls_per_run llm_tokens_total llm_cost_usd_total
		llm_retries_total subtasks_total subtask_duration_seconds failures_total pool_slots pool_in_use pool_wait_seconds llm_limit llm_hedges_total
		journal_append_seconds tool_calls_total tool_call_duration_seconds http_requests_total http_request_duration_seconds build_info`) {
		if !strings.Contains(shown, "# TYPE tutti_"+name+" ") {
			t.Errorf("tutti_%s is not shown", name)
		}
	}
	if !strings.Contains(shown, "\ntutti_pool_slots 7\n") || !strings.Contains(shown, "\ntutti_llm_limit{model=\"big\"} 7\n") || !strings.Contains(shown, "go_goroutines") {
		t.Errorf("the pool's slots, a model's limit or Go's own metrics are missing:\n%s", shown)
	}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	text, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("status %d, %v", w.Code, err)
	}
	return string(text)
}

func expect(t *testing.T, m *Metrics, want string, names ...string) {
	t.Helper()
	for i := range names {
		names[i] = "tutti_" + names[i]
	}
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

// wantSum checks how often a histogram was observed, and what all of it adds up
// to, over all labels.
func wantSum(t *testing.T, m *Metrics, name string, count uint64, sum float64) {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var gotCount uint64
	var gotSum float64
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, metric := range f.GetMetric() {
			gotCount += metric.GetHistogram().GetSampleCount()
			gotSum += metric.GetHistogram().GetSampleSum()
		}
	}
	if gotCount != count || gotSum < sum-1e-9 || gotSum > sum+1e-9 {
		t.Errorf("%s: %d observations of %v in all, want %d of %v", name, gotCount, gotSum, count, sum)
	}
}
