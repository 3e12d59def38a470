package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tmaxmax/go-sse"
	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// A running server, and a caller of it.
type running struct {
	*server
	t     testing.TB
	url   string
	http  http.Client
	stop  func()
	ended chan struct{} // closed when Run has returned
	err   error         // of Run
}

// launch runs a server whose simulator answers at once, until the test ends or
// stop is called.
func launch(t testing.TB, set func(*Config)) *running {
	t.Helper()
	c := defaults()
	c.Addr, c.Journal, c.simulator, c.ShutdownGrace = "127.0.0.1:0", "mem:", simulator.Options{}, 0
	set(&c)
	if err := c.check(map[string]string{}); err != nil {
		t.Fatal(err)
	}
	s, err := newServer(t.Context(), c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{server: s, t: t, url: s.URL(), ended: make(chan struct{}), http: http.Client{Transport: &http.Transport{}}}
	go func() {
		r.err = s.Run(ctx)
		close(r.ended)
	}()
	r.stop = func() {
		cancel()
		<-r.ended
		r.http.CloseIdleConnections()
	}
	t.Cleanup(func() {
		if r.stop(); r.err != nil {
			t.Error(r.err)
		}
	})
	return r
}

func (r *running) untilReady() *running {
	r.t.Helper()
	select {
	case <-r.Ready():
	case <-r.ended:
		r.t.Fatal("the server ended: ", r.err)
	}
	return r
}

// An answer to a request, read to its end.
type answer struct {
	status int
	kind   string // its Content-Type
	text   string
	json   map[string]any // nil where it is none
}

// ask makes a request.
func (r *running) ask(method, path, body string, headers ...string) answer {
	r.t.Helper()
	resp := r.open(method, path, body, headers...)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Error(err)
	}
	a := answer{status: resp.StatusCode, kind: resp.Header.Get("Content-Type"), text: string(text)}
	_ = json.Unmarshal(text, &a.json)
	return a
}

// wantSucceeded checks a run.
func (a answer) wantSucceeded(t *testing.T, simulated bool) {
	t.Helper()
	if a.status != http.StatusOK || a.json["status"] != "succeeded" || a.json["simulated"] != simulated {
		t.Fatalf("status %d: %s", a.status, a.text)
	}
}

func (r *running) open(method, path, body string, headers ...string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// wantMetrics looks at what is counted. Who is told that a run has ended may be so a
// moment before that is: it is asked for again, for a while.
func (r *running) wantMetrics(lines ...string) {
	r.t.Helper()
	text := ""
	for range 500 {
		text = r.ask("GET", "/metrics", "").text
		if !slices.ContainsFunc(lines, func(line string) bool { return !strings.Contains(text, "\n"+line+"\n") }) {
			return
		}
	}
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			r.t.Errorf("the metrics do not show %s, but:", line)
			for shown := range strings.Lines(text) {
				if strings.HasPrefix(shown, name) {
					r.t.Log(strings.TrimSpace(shown))
				}
			}
		}
	}
}

const threeSubtasks = `{"task": "Say hello in three ways [[sim subtasks=3]]"}`

func TestARunFromTheRequestToTheAnswer(t *testing.T) {
	r := launch(t, func(*Config) {}).untilReady()
	got := r.ask("POST", "/v1/runs", threeSubtasks, "Prefer: wait=60")
	got.wantSucceeded(t, true)
	run := got.json
	result := run["result"].(map[string]any)
	if n := len(result["worker_results"].([]any)); n != 3 || result["final_output"] == "" {
		t.Errorf("%d results, and %q", n, result["final_output"])
	}
	if n := run["usage"].(map[string]any)["llm_calls"]; n != 5.0 {
		t.Errorf("%v calls, want 1 + 3 + 1", n)
	}
	r.wantMetrics(
		`tutti_runs_total{status="succeeded"} 1`,
		`tutti_runs_in_flight 0`,
		`tutti_llm_calls_per_run_sum 5`,
		`tutti_llm_calls_total{model="gpt-5-mini",outcome="ok",role="worker"} 3`,
		`tutti_subtasks_total{status="succeeded",worker="researcher"} 1`,
		`tutti_run_overhead_seconds_count 1`,
		`tutti_pool_slots 64`,
		`tutti_llm_limit{model="gpt-5-mini"} 64`,
		`tutti_http_requests_total{code="200",method="POST",route="/v1/runs"} 1`,
	)
	if ready := r.ask("GET", "/readyz", ""); ready.status != http.StatusOK || !strings.Contains(ready.text, `"simulated":true`) {
		t.Errorf("/readyz says %s", ready.text)
	}
}

func TestARunAsEvents(t *testing.T) {
	r := launch(t, func(*Config) {}).untilReady()
	types := map[string]int{}
	last := ""
	for _, f := range r.events("POST", "/v1/runs", threeSubtasks) {
		types[f]++
		last = f
	}
	if last != "run.succeeded" || types["subtask.succeeded"] != 3 || types["synthesis.succeeded"] != 1 {
		t.Errorf("the last is %s of %v", last, types)
	}
}

// events returns the types of a stream's events.
func (r *running) events(method, path, body string) []string {
	r.t.Helper()
	resp := r.open(method, path, body, "Accept: text/event-stream")
	defer func() { _ = resp.Body.Close() }()
	var types []string
	for e, err := range sse.Read(resp.Body, nil) {
		if err != nil {
			r.t.Error(err)
			break
		}
		types = append(types, e.Type)
	}
	return types
}

// stuck is a simulator whose workers never answer. It tells of each that was asked.
func stuck() (simulator.Options, <-chan struct{}) {
	asked := make(chan struct{}, 100)
	return simulator.Options{Answer: func(r simulator.Request) (simulator.Reply, bool) {
		if r.Role == simulator.Worker {
			asked <- struct{}{}
			<-r.Context().Done()
		}
		return simulator.Reply{}, false
	}}, asked
}

// A run that was under way when its server was stopped goes on in the next one.
func TestARestartGoesOnWithTheRuns(t *testing.T) {
	journal := "sqlite:" + filepath.Join(t.TempDir(), "tutti.db")
	options, asked := stuck()
	first := launch(t, func(c *Config) { c.Journal, c.simulator = journal, options }).untilReady()
	path := "/v1/runs/" + first.ask("POST", "/v1/runs", threeSubtasks).json["id"].(string)
	for range 3 {
		<-asked
	}
	first.wantMetrics(`tutti_runs_in_flight 1`, `tutti_pool_in_use 3`)
	if first.stop(); first.err != nil {
		t.Fatal(first.err)
	}

	second := launch(t, func(c *Config) { c.Journal = journal }).untilReady()
	second.ask("GET", path+"?wait=60", "").wantSucceeded(t, true)
	second.wantMetrics(`tutti_runs_in_flight 0`, `tutti_runs_total{status="succeeded"} 1`,
		`tutti_llm_calls_per_run_sum 8`, // with the first server's three, which were cut short
		`tutti_run_overhead_seconds_count 0`)
}

func TestASecondServerStandsByAndTakesOver(t *testing.T) {
	journal := "sqlite:" + filepath.Join(t.TempDir(), "tutti.db")
	first := launch(t, func(c *Config) { c.Journal = journal }).untilReady()
	run := first.ask("POST", "/v1/runs", threeSubtasks, "Prefer: wait=60")

	second := launch(t, func(c *Config) { c.Journal = journal })
	for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/v1/runs": 503, "/metrics": 200} {
		got := second.ask("GET", path, "")
		if got.status != want {
			t.Errorf("%s of the one that stands by: status %d, want %d", path, got.status, want)
		}
		if want == 503 && (got.kind != "application/problem+json" || !strings.Contains(got.text, "stands by")) {
			t.Errorf("%s of the one that stands by: %s", path, got.text)
		}
	}
	select {
	case <-second.Ready():
		t.Fatal("two servers have the same journal")
	default:
	}
	first.stop()
	second.untilReady()
	second.ask("GET", "/v1/runs/"+run.json["id"].(string), "").wantSucceeded(t, true)
}

// One that stands by can be stopped too.
func TestStandingByEndsWithTheContext(t *testing.T) {
	journal := "sqlite:" + filepath.Join(t.TempDir(), "tutti.db")
	launch(t, func(c *Config) { c.Journal = journal }).untilReady()
	second := launch(t, func(c *Config) { c.Journal = journal })
	second.ask("GET", "/livez", "")
	if second.stop(); second.err != nil {
		t.Error(second.err)
	}
}

// Those who wait for a run that goes on are answered when the server stops.
func TestDrainingEndsWaitsAndStreams(t *testing.T) {
	options, asked := stuck()
	r := launch(t, func(c *Config) { c.simulator = options }).untilReady()
	path := "/v1/runs/" + r.ask("POST", "/v1/runs", `{"task": "Say hello [[sim subtasks=1]]"}`).json["id"].(string)
	<-asked
	stream := r.open("GET", path+"/events", "", "Accept: text/event-stream")
	defer func() { _ = stream.Body.Close() }()
	waited := make(chan answer)
	go func() {
		waited <- r.ask("POST", "/v1/runs", `{"task": "Say hello [[sim subtasks=1]]"}`, "Prefer: wait=300")
	}()
	<-asked // the second run is under way, so its caller waits
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	if got := <-waited; got.status != http.StatusAccepted {
		t.Errorf("the wait ended with status %d, want 202", got.status)
	}
	for _, err := range sse.Read(stream.Body, nil) {
		if err != nil {
			t.Errorf("the stream broke: %v", err)
			break
		}
	}
	<-stopped
}

func TestTenantsNeedKeys(t *testing.T) {
	sum := sha256.Sum256([]byte("sesame"))
	r := launch(t, func(c *Config) { c.Tenants = map[string]Tenant{"acme": {Keys: []string{hex.EncodeToString(sum[:])}}} }).untilReady()
	for header, want := range map[string]int{"X-None: ": 401, "Authorization: Bearer other": 401, "Authorization: Bearer sesame": 200} {
		if got := r.ask("GET", "/v1/runs", "", header); got.status != want {
			t.Errorf("with %q: status %d, want %d", header, got.status, want)
		}
	}
}

// A model's calls go to its provider, with its key and under its own name.
func TestModelsLeadToTheirProviders(t *testing.T) {
	sim := simulator.New(simulator.Options{Ledger: 10})
	provider := httptest.NewServer(sim)
	defer provider.Close()
	r := launch(t, func(c *Config) {
		c.BaseURL, c.APIKey = provider.URL+"/v1", "sk-1"
		c.Models = map[string]Model{"house": {Name: "vendor/large-2", Stream: &Stream{orchestration.StreamNever}}}
	}).untilReady()
	r.ask("POST", "/v1/runs", threeSubtasks, "Prefer: wait=60").wantSucceeded(t, false)
	for _, call := range sim.Requests() {
		if call.Model != "vendor/large-2" || call.Header.Get("Authorization") != "Bearer sk-1" {
			t.Errorf("a call for %s by %q", call.Model, call.Header.Get("Authorization"))
		}
	}
	r.wantMetrics(`tutti_llm_calls_total{model="house",outcome="ok",role="planner"} 1`)
	if got := r.ask("POST", "/v1/runs", `{"task": "Say hello", "worker": {"model": "another"}}`); got.status != http.StatusUnprocessableEntity {
		t.Errorf("a model that is not listed: status %d, want 422", got.status)
	}
}

func TestRunsThatCannotSucceedAreRefused(t *testing.T) {
	r := launch(t, func(*Config) {}).untilReady()
	for body, want := range map[string]string{
		`{"task": "Say hello", "worker": {"prompt": "{nobody}"}}`:                           "missing_prompt_variable",
		`{"task": "Say hello", "synthesizer": {"json_schema": {"type": "no such type"}}}`:   "invalid_request",
		`{"task": "Say hello", "synthesizer": {"json_schema": {"$ref": "file:///a/file"}}}`: "invalid_request",
	} {
		if got := r.ask("POST", "/v1/runs", body); got.status != http.StatusUnprocessableEntity || got.json["code"] != want {
			t.Errorf("%s: status %d, %s", body, got.status, got.text)
		}
	}
}

func TestMetricsOnAnAddressOfTheirOwn(t *testing.T) {
	r := launch(t, func(c *Config) { c.MetricsAddr = "localhost:0" }).untilReady()
	if got := r.ask("GET", "/metrics", ""); got.status != http.StatusNotFound {
		t.Errorf("status %d on the API's address, want 404", got.status)
	}
	resp, err := r.http.Get("http://" + r.scraped.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d on their own, want 200", resp.StatusCode)
	}
}

func TestAStartThatFailsLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	c := defaults()
	c.Addr, c.Journal = taken.Addr().String(), "mem:"
	if err := c.check(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := newServer(t.Context(), c, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "TUTTI_ADDR") {
		t.Errorf("got %v", err)
	}

	c.Addr, c.MetricsAddr = "127.0.0.1:0", "127.0.0.1:0"
	c.Journal = "sqlite:" + filepath.Join(t.TempDir(), "nowhere", "tutti.db")
	s, err := newServer(t.Context(), c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "TUTTI_JOURNAL") {
		t.Errorf("got %v", err)
	}
}
