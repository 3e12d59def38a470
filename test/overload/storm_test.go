//go:build integration

package overload

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/test/service"
)

// A limit is what an endpoint allows for a model: so many calls a second, and
// as many in one burst. What is more is refused, with a wait of so long.
type limit struct {
	rate float64
	wait time.Duration // whole seconds

	tokens  float64
	at      time.Time   // when tokens was true
	until   time.Time   // the end of the last wait that was asked for
	taken   []time.Time // calls
	refused int
	early   int // calls that came in the second half of a wait: those of the first may have been under way
}

// take reports whether a call that comes now is allowed.
func (l *limit) take(now time.Time) bool {
	if l.at.IsZero() {
		l.tokens, l.at = l.rate, now
	}
	l.tokens = min(l.rate, l.tokens+l.rate*now.Sub(l.at).Seconds())
	l.at = now
	if l.until.Sub(now) > 0 && l.until.Sub(now) < l.wait/2 {
		l.early++
	}
	if l.tokens < 1 {
		l.refused++
		l.until = now.Add(l.wait)
		return false
	}
	l.tokens--
	l.taken = append(l.taken, now)
	return true
}

// used returns which share was used of what is allowed, by the calls after the
// first 40 %, when the rate can be known, and without the last 10 %, when few are
// left.
func (l *limit) used() float64 {
	from, to := len(l.taken)*4/10, len(l.taken)*9/10
	return float64(to-from) / l.taken[to].Sub(l.taken[from]).Seconds() / l.rate
}

// An endpoint limits the calls to its models.
type endpoint struct {
	next   http.Handler
	mu     sync.Mutex
	limits map[string]*limit // by model
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var call struct{ Model string }
	if err == nil {
		err = json.Unmarshal(body, &call)
	}
	e.mu.Lock()
	l := e.limits[call.Model]
	allowed := err == nil && l != nil && l.take(time.Now())
	e.mu.Unlock()
	switch {
	case err != nil || l == nil:
		http.Error(w, "no such model", http.StatusBadRequest)
	case !allowed:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"error":{"message":"Rate limit reached for requests.","type":"requests","param":null,"code":"rate_limit_exceeded"}}`)
	default:
		r.Body = io.NopCloser(bytes.NewReader(body))
		e.next.ServeHTTP(w, r)
	}
}

// Many runs come at once to models that take few calls a second: each run
// succeeds, nobody is asked before the time that the endpoint named, and what
// the endpoint allows is used.
func TestStormOfRefusals(t *testing.T) {
	const runs, subtasks = 180, 5
	e := &endpoint{
		next: simulator.New(simulator.Options{Latency: 100 * time.Millisecond}),
		limits: map[string]*limit{
			"planner": {rate: 20, wait: time.Second},
			"worker":  {rate: 50, wait: time.Second},
		},
	}
	model := httptest.NewServer(e)
	defer model.Close()
	s := service.Start(t, "OPENAI_BASE_URL="+model.URL+"/v1", "TUTTI_PLANNER_MODEL=planner", "TUTTI_MODEL=worker", "TUTTI_SYNTHESIZER_MODEL=worker")
	c := newCaller(t, s, runs)
	var all sync.WaitGroup
	for range runs {
		all.Go(func() {
			a := c.ask("POST", "/v1/runs", `{"task": "Say hello in five ways [[sim subtasks=5]]"}`, "Prefer: wait=300")
			if a.status != http.StatusOK || a.run.Status != "succeeded" {
				t.Errorf("run %s was answered %d and is %q", a.run.ID, a.status, a.run.Status)
			}
		})
	}
	all.Wait()

	e.mu.Lock()
	defer e.mu.Unlock()
	for name, l := range e.limits {
		t.Logf("%s: %d calls were taken and %d refused, %d before their time; %.2f of the rate was used", name, len(l.taken), l.refused, l.early, l.used())
		if l.early > 0 {
			t.Errorf("the %s was sent %d calls before the time that its endpoint had named", name, l.early)
		}
	}
	worker := e.limits["worker"]
	if want := runs * (subtasks + 1); len(worker.taken) < want {
		t.Errorf("%d calls were taken, and %d were needed", len(worker.taken), want)
	}
	// In virtual time it is nine tenths at least (llm.TestPoolIsCalmInAStorm); a machine
	// that has other things to do loses some of it.
	if used := worker.used(); used < 0.8 {
		t.Errorf("%.2f of the allowed rate was used", used)
	}
}
