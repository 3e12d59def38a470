// Package metrics folds appended events and model calls into Prometheus. It is
// the only place that names a metric.
//
// Each thing is counted once, from the one source that knows it:
//
//   - Calls, their durations and tokens come from the calls themselves, as
//     [Metrics.Client] sees them end. So a call is counted as soon as it may
//     have cost something, even if its outcome never reaches the journal.
//   - Runs, subtasks, retries, failures and the cost come from events, as
//     [Metrics.Appended] is told of them once they are durable. The cost is among
//     them because the price belongs to the run: it was fixed when the run was
//     accepted, whatever the configuration says now.
//
// Events that are replayed after a restart are not told, so they do not count
// again.
//
// No label has a value that a caller or a model can invent: models and workers
// that are not configured are "other", and everything else is from closed sets.
package metrics

import (
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "tutti"

// Options of Metrics.
type Options struct {
	Version string   // of the server
	Models  []string // the configured names; any other is "other"
	Workers []string // the configured names; any other is "other", the default one "default"
}

// Metrics of one server, in a registry of their own. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	models   names
	workers  names

	mu   sync.Mutex
	busy map[string]*spans // by run, of the runs that began in this process

	inFlight prometheus.Gauge
	runs     *prometheus.CounterVec   // status
	duration *prometheus.HistogramVec // status
	overhead prometheus.Histogram
	perRun   prometheus.Histogram

	subtasks        *prometheus.CounterVec   // worker, status
	subtaskDuration *prometheus.HistogramVec // worker
	retries         *prometheus.CounterVec   // reason
	failures        *prometheus.CounterVec   // role, code
	cost            *prometheus.CounterVec   // role, model

	calls        *prometheus.CounterVec   // role, model, outcome
	callDuration *prometheus.HistogramVec // role, model
	firstToken   *prometheus.HistogramVec // role, model
	tokens       *prometheus.CounterVec   // role, model, kind
	hedges       *prometheus.CounterVec   // role, model, won
	poolWait     prometheus.Histogram

	toolCalls    *prometheus.CounterVec   // tool, outcome
	toolDuration *prometheus.HistogramVec // tool

	journalAppend prometheus.Histogram
	requests      *prometheus.CounterVec   // route, method, code
	requestTime   *prometheus.HistogramVec // route, method
}

// Buckets, in seconds but for callBuckets. They are wide because the things
// measured are: a run takes a second or a day.
var (
	llmBuckets      = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600}
	runBuckets      = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400}
	overheadBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	waitBuckets     = []float64{.0001, .001, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	journalBuckets  = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}
	httpBuckets     = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	callBuckets     = []float64{1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 50, 100, 200, 500, 1000}
)

// New returns Metrics in which nothing has happened yet.
func New(o Options) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		models:   newNames(o.Models...),
		workers:  newNames(append([]string{defaultWorker}, o.Workers...)...),
		busy:     map[string]*spans{},
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	f := factory{promauto.With(m.registry)}
	f.constant("build_info", "The server's version, as labels of a constant 1.",
		prometheus.Labels{"version": o.Version, "goversion": runtime.Version()})
	m.defineRuns(f)
	m.defineCalls(f)

	m.toolCalls = f.counters("tool_calls_total",
		"Calls of tools, by how they ended; invalid_arguments never went out.", "tool", "outcome")
	m.toolDuration = f.histograms("tool_call_duration_seconds",
		"Time that a call of a tool took, however it ended.", httpBuckets, "tool")
	m.journalAppend = f.histogram("journal_append_seconds",
		"Time that an append to the journal took until it was durable or failed, its wait for a shared commit included.", journalBuckets)
	m.requests = f.counters("http_requests_total",
		"HTTP requests answered, by route (a pattern, not a path), method and status code.", "route", "method", "code")
	m.requestTime = f.histograms("http_request_duration_seconds",
		"Time from an HTTP request's header to the end of its answer. Waits and event streams take as long as they were asked to.",
		httpBuckets, "route", "method")
	return m
}

func (m *Metrics) defineRuns(f factory) {
	m.inFlight = f.gauge("runs_in_flight",
		"Runs that were accepted and have not ended, those resumed after a restart included.")
	m.runs = f.counters("runs_total",
		"Runs that ended, by how.", "status")
	m.duration = f.histograms("run_duration_seconds",
		"Time from a run's acceptance to its end.", runBuckets, "status")
	m.overhead = f.histogram("run_overhead_seconds",
		"Part of a run's duration in which no call of it to a model was in flight: our own work, the wait for a slot and the wait before a retry. "+
			"Runs that were resumed after a restart are left out.", overheadBuckets)
	m.perRun = f.histogram("llm_calls_per_run",
		"Calls to models that a run took, refused ones too: one planner, N workers and one synthesizer where nothing went wrong.", callBuckets)

	m.subtasks = f.counters("subtasks_total",
		"Subtasks that ended, by the configured worker that performs them (default: no specialist), or their kind where they need none, and how.", "worker", "status")
	m.subtaskDuration = f.histograms("subtask_duration_seconds",
		"Time from the start of a subtask's first attempt to its end, waits before retries included.", runBuckets, "worker")
	m.retries = f.counters("llm_retries_total",
		"Attempts that failed and were, or will be, followed by another one, by the failure's code.", "reason")
	m.failures = f.counters("failures_total",
		"Failures that no retry answered, by the role that failed and the failure's code. A plan that had to be repaired is one.", "role", "code")
	m.cost = f.counters("llm_cost_usd_total",
		"US dollars spent on calls to models that have a configured price.", "role", "model")
}

func (m *Metrics) defineCalls(f factory) {
	m.calls = f.counters("llm_calls_total",
		"Calls to models, by how they ended; of the unavailable ones some could not be sent.", "role", "model", "outcome")
	m.callDuration = f.histograms("llm_call_duration_seconds",
		"Time that a call to a model was on the wire, however it ended.", llmBuckets, "role", "model")
	m.firstToken = f.histograms("llm_time_to_first_token_seconds",
		"Time from a streamed call to its first token.", llmBuckets, "role", "model")
	m.tokens = f.counters("llm_tokens_total",
		"Tokens as the provider counted them. Cached ones are part of the prompt's.", "role", "model", "kind")
	m.hedges = f.counters("llm_hedges_total",
		"Requests that went out a second time as their model was slow to answer, by whether the second call's answer was the one taken.",
		"role", "model", "won")
	m.poolWait = f.histogram("pool_wait_seconds",
		"Time that a request to a model queued for one of the process's slots, and for its turn with the model.", waitBuckets)
}

// Handler serves the metrics in Prometheus's text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Pool shows the process's slots and the limits of the configured models, as
// they are whenever the metrics are read. It may be called once.
func (m *Metrics) Pool(p interface {
	Slots() int
	InUse() int
	Limit(model string) int
},
) {
	f := factory{promauto.With(m.registry)}
	f.function("pool_slots", "Slots of the process: the most calls to models in flight at once.", p.Slots)
	f.function("pool_in_use", "Slots that are held by calls to models in flight.", p.InUse)
	for model := range m.models {
		f.functionOf("llm_limit", "Most calls to a model that may be in flight at once: all slots, or fewer after its provider refused some.",
			prometheus.Labels{"model": model}, func() int { return p.Limit(model) })
	}
}

// Queue shows the runs that have not begun, as they are whenever the metrics are
// read. It may be called once.
func (m *Metrics) Queue(q interface{ Queued() int }) {
	f := factory{promauto.With(m.registry)}
	f.function("runs_queued", "Runs that were accepted and have not begun, since enough others are at work.", q.Queued)
}

// JournalAppend counts an append to the journal, failed ones too.
func (m *Metrics) JournalAppend(d time.Duration) { m.journalAppend.Observe(d.Seconds()) }

// Tool counts a call of a configured tool. Both names are from closed sets.
func (m *Metrics) Tool(tool, outcome string, d time.Duration) {
	m.toolCalls.WithLabelValues(tool, outcome).Inc()
	m.toolDuration.WithLabelValues(tool).Observe(d.Seconds())
}

// HTTP counts a request that was answered. The route is the pattern that the
// request matched, never its path; empty stands for none.
func (m *Metrics) HTTP(route, method string, code int, d time.Duration) {
	if route == "" {
		route = other
	}
	method = methods.of(method)
	m.requests.WithLabelValues(route, method, codeLabel(code)).Inc()
	m.requestTime.WithLabelValues(route, method).Observe(d.Seconds())
}
