//go:build integration

package overload

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tutti-run/tutti/test/service"
)

// A run is what these tests read of one.
type run struct {
	ID        string    `json:"id"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at"`
}

// A caller sends requests over connections that it keeps.
type caller struct {
	t      *testing.T
	server *service.Server
	http   *http.Client
}

func newCaller(t *testing.T, s *service.Server, connections int) *caller {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxIdleConns: connections}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{t: t, server: s, http: &http.Client{Transport: transport, Timeout: service.Patience}}
}

// An answer is one, and how long it took.
type answer struct {
	status int
	header http.Header
	run    run
	took   time.Duration
}

func (c *caller) ask(method, path, body string, header ...string) (a answer) {
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return a
	}
	req.Header.Set("Content-Type", "application/json")
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	began := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Error(err)
		return a
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	a = answer{status: resp.StatusCode, header: resp.Header, took: time.Since(began)}
	if err == nil && a.status/100 == 2 && path != "/livez" {
		err = json.Unmarshal(text, &a.run)
	}
	if err != nil {
		c.t.Error(err)
	}
	return a
}

// saturate has so many callers start a run each, as soon as their last one has
// ended, and returns how many ended a second.
func (c *caller) saturate(callers int, during time.Duration) float64 {
	c.t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	var runs []run
	from := time.Now()
	to := from.Add(during)
	for range callers {
		all.Go(func() {
			for time.Now().Before(to) {
				a := c.ask("POST", "/v1/runs", body, "Prefer: wait=60")
				if a.status != http.StatusOK || a.run.Status != "succeeded" {
					c.t.Errorf("at the peak, a run was answered %d and is %s", a.status, a.run.Status)
					return
				}
				mu.Lock()
				runs = append(runs, a.run)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return endedWithin(runs, from.Add(during/5), to) // without the time in which the load builds up
}

// A load is what came of many requests.
type load struct {
	from, to time.Time
	answers  []answer
	accepted []string        // ids
	lives    []time.Duration // of a /livez asked for with each
}

// refusals returns how long they took.
func (l *load) refusals() (all []time.Duration) {
	for _, a := range l.answers {
		if a.status != http.StatusAccepted {
			all = append(all, a.took)
		}
	}
	return all
}

// offer starts so many runs a second, whatever becomes of them. With each it
// asks whether the server lives, so that how long the answers take can be
// compared.
func (c *caller) offer(rate float64, during time.Duration) *load {
	l := &load{from: time.Now()}
	var all sync.WaitGroup
	var mu sync.Mutex
	beat := time.NewTicker(5 * time.Millisecond)
	defer beat.Stop()
	for sent := 0; time.Since(l.from) < during; <-beat.C {
		for due := int(rate * time.Since(l.from).Seconds()); sent < due; sent++ {
			all.Go(func() {
				a := c.ask("GET", "/livez", "")
				mu.Lock()
				defer mu.Unlock()
				l.lives = append(l.lives, a.took)
			})
			all.Go(func() {
				a := c.ask("POST", "/v1/runs", body)
				mu.Lock()
				defer mu.Unlock()
				l.answers = append(l.answers, a)
				if a.status == http.StatusAccepted {
					l.accepted = append(l.accepted, a.run.ID)
				} else {
					c.wantRefused(a)
				}
			})
		}
	}
	all.Wait()
	l.to = time.Now()
	return l
}

// wantRefused checks that an answer refuses a run, and says when to come again.
func (c *caller) wantRefused(a answer) {
	if a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		c.t.Errorf("a run was answered %d, with the header %v", a.status, a.header)
	}
}

// ends waits for the ends of runs, which must be good ones.
func (c *caller) ends(ids []string) (runs []run) {
	for _, id := range ids {
		a := c.ask("GET", "/v1/runs/"+id+"?wait=60", "")
		if a.run.Status != "succeeded" {
			c.t.Errorf("run %s was accepted and is %q", id, a.run.Status)
		}
		runs = append(runs, a.run)
	}
	return runs
}
