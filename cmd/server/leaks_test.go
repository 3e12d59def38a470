package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// A misfortune is a way for a run to go wrong. It has a model of its own, at a
// provider of its own, so that what is done to spare that one delays no other.
type misfortune struct {
	name string
	more string // of the request's body
	role simulator.Role
	meet simulator.Fault // what the role's calls do
	well bool            // the run succeeds all the same
	ask  func(r *running, body string)
}

const (
	soon  = `,"limits":{"max_attempts":1,"timeout":"200ms"}`
	later = `,"limits":{"max_attempts":1,"timeout":"10s"}`
)

var misfortunes = []misfortune{
	{name: "none", more: later, well: true},
	{name: "garbage", more: later, role: simulator.Planner, well: true},
	{name: "refused", role: simulator.Worker, meet: simulator.Unauthorized},
	{name: "broken", role: simulator.Worker, meet: simulator.ServerError},
	{name: "unplanned", role: simulator.Planner, meet: simulator.Overloaded},
	{name: "unsaid", role: simulator.Synthesizer, meet: simulator.Empty},
	{name: "slow-worker", more: `,"limits":{"max_attempts":1,"subtask_timeout":"20ms","timeout":"2s"}`, role: simulator.Worker, meet: simulator.Hang},
	{name: "slow-planner", role: simulator.Planner, meet: simulator.Hang},
	{name: "reset", role: simulator.Worker, meet: simulator.Reset},
	{name: "cut", role: simulator.Worker, meet: simulator.Cut},
	{name: "torn", role: simulator.Synthesizer, meet: simulator.StreamError},
	{name: "no-page", role: simulator.Worker, meet: simulator.NotJSON},
	{name: "spent", more: `,"limits":{"max_llm_calls":2,"timeout":"2s"}`},
	{
		name: "replanned", more: `,"on_failure":"replan","limits":{"max_attempts":1,"max_replans":1,"replan_cooldown":"1ms","timeout":"2s"}`,
		role: simulator.Worker, meet: simulator.Filtered,
	},
	{name: "canceled", role: simulator.Worker, meet: simulator.Hang, ask: (*running).cancelRun},
	{name: "reader-goes", role: simulator.Worker, meet: simulator.Hang, ask: (*running).readAndGo},
	{name: "waiter-goes", role: simulator.Worker, meet: simulator.Hang, ask: (*running).waitAndGo},
	{name: "none-streamed", ask: (*running).readAll},
	{name: "bad", ask: func(r *running, body string) { r.ask("POST", "/v1/runs", strings.Replace(body, "task", "tusk", 1)) }},
	{name: "cut-short", ask: func(r *running, body string) { r.ask("POST", "/v1/runs", body[:len(body)/2]) }},
}

func (m misfortune) body() string {
	more := m.more
	if more == "" {
		more = soon
	}
	role := fmt.Sprintf(`{"model":%q}`, m.name)
	return fmt.Sprintf(`{"task":"Say hello [[sim subtasks=2]]","planner":%s,"worker":%s,"synthesizer":%s%s}`, role, role, role, more)
}

// meets returns the misfortune of a call.
func meets(r simulator.Request) misfortune {
	for _, m := range misfortunes {
		if m.name == r.Model && m.role == r.Role {
			return m
		}
	}
	return misfortune{}
}

func (r *running) cancelRun(body string) {
	id, _ := r.ask("POST", "/v1/runs", body).json["id"].(string)
	r.ask("POST", "/v1/runs/"+id+"/cancel", "")
}

func (r *running) readAll(body string) {
	resp := r.open("POST", "/v1/runs?deltas=true", body, "Accept: text/event-stream")
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
}

func (r *running) readAndGo(body string) {
	resp := r.open("POST", "/v1/runs?deltas=true", body, "Accept: text/event-stream")
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.ReadFull(resp.Body, make([]byte, 100))
}

// waitAndGo leaves while the server waits for the run, which has been created
// by then, as likely as not.
func (r *running) waitAndGo(body string) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL()+"/v1/runs", strings.NewReader(body))
	if err != nil {
		r.t.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "wait=60")
	if resp, err := r.http.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}

// A thousand runs that go wrong in every way leave nothing behind: no goroutine,
// no descriptor, and, once they are deleted, no memory.
func TestAThousandFailuresLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	provider := httptest.NewServer(simulator.New(simulator.Options{
		ChunkTokens: 20,
		Fail:        func(r simulator.Request) simulator.Fault { return meets(r).meet },
		Answer: func(r simulator.Request) (simulator.Reply, bool) {
			return simulator.Reply{Text: "I would rather talk of something else."}, meets(r).name == "garbage"
		},
	}))
	defer provider.Close()
	r := launch(t, func(c *Config) {
		c.Journal = "sqlite:" + filepath.Join(dir, "tutti.db")
		c.MaxRuns = 24 // so that some queue
		c.Providers, c.Models = map[string]Provider{}, map[string]Model{"gpt-5-mini": {Provider: "none"}}
		for _, m := range misfortunes {
			c.Providers[m.name] = Provider{BaseURL: provider.URL + "/" + m.name + "/v1"}
			c.Models[m.name] = Model{Provider: m.name}
		}
	}).untilReady()
	r.suffer(200) // so that what is kept for later is there
	before := r.settled(dir)
	r.suffer(1000)
	after := r.settled(dir)
	t.Logf("before: %d goroutines, %d descriptors, %d objects", before.goroutines, len(before.open), before.objects)
	t.Logf("after: %d goroutines, %d descriptors, %d objects", after.goroutines, len(after.open), after.objects)
	if after.goroutines > before.goroutines {
		t.Errorf("there are %d goroutines, %d before:\n%s", after.goroutines, before.goroutines, after.stacks)
	}
	if len(after.open) > len(before.open) {
		t.Errorf("%d descriptors are open, %d before: %v", len(after.open), len(before.open), after.open)
	}
	if float64(after.objects) > 1.1*float64(before.objects) {
		t.Errorf("there are %d objects, %d before", after.objects, before.objects)
	}
}

// suffer has so many runs go wrong, and deletes them when they have ended.
func (r *running) suffer(runs int) {
	r.t.Helper()
	var all sync.WaitGroup
	todo := make(chan misfortune)
	for range 32 {
		all.Go(func() {
			for m := range todo {
				if m.ask != nil {
					m.ask(r, m.body())
				} else if a := r.ask("POST", "/v1/runs", m.body(), "Prefer: wait=60"); a.status != http.StatusOK || (a.json["status"] == "succeeded") != m.well {
					r.t.Errorf("%s: status %d: %.1000s", m.name, a.status, a.text)
				}
			}
		})
	}
	for i := range runs {
		todo <- misfortunes[i%len(misfortunes)]
	}
	close(todo)
	all.Wait()
	for {
		page, _ := r.ask("GET", "/v1/runs?limit=200", "").json["data"].([]any)
		if len(page) == 0 {
			return
		}
		for _, one := range page {
			path := "/v1/runs/" + one.(map[string]any)["id"].(string)
			r.ask("GET", path+"?wait=60", "")
			if a := r.ask("DELETE", path, ""); a.status != http.StatusNoContent {
				r.t.Fatalf("a run that has ended was not deleted: status %d: %s", a.status, a.text)
			}
		}
	}
}

// Leftovers are what there is in the process while the server has nothing to do.
type leftovers struct {
	goroutines int
	stacks     string   // of these
	open       []string // descriptors, by what they are of
	objects    uint64
}

// settled looks at what there is once that changes no more.
func (r *running) settled(dir string) (now leftovers) {
	const still = 25 // looks
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	patience := time.After(10 * time.Second)
	for same := 0; same < still; same++ {
		r.http.CloseIdleConnections()
		for _, c := range r.models.clients {
			c.Close() // closes what is idle
		}
		was := now
		now = leftover(r.t, dir)
		if now.goroutines != was.goroutines || len(now.open) != len(was.open) {
			same = 0
		}
		select {
		case <-look.C:
		case <-patience:
			return now // with more than there should be, it is to be expected
		}
	}
	runtime.GC()
	runtime.GC() // pools are emptied by the second one
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	now.objects = memory.HeapObjects
	return now
}

// leftover counts goroutines and descriptors. Those that are kept for work to
// come, and are bounded, do not count: the driver's crew, and the connections
// to the journal's files, which lie in dir.
func leftover(t testing.TB, dir string) (l leftovers) {
	stacks := make([]byte, 16<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if !bytes.Contains(stack, []byte("(*crew).serve")) {
			l.goroutines++
			l.stacks += string(stack) + "\n\n"
		}
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	for _, f := range files {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && !strings.HasPrefix(to, dir) {
			l.open = append(l.open, to)
		}
	}
	return l
}
