package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// A desk serves the tools book and unbook, and notes what they are called with.
type desk struct {
	*httptest.Server
	answer func(call string, n int, gone <-chan struct{}) int // the status, given how often that was called; nil: 200

	mu    sync.Mutex
	calls []string // "book A", in order
	keys  map[string][]string
}

func openDesk(t *testing.T) *desk {
	d := &desk{keys: map[string][]string{}}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		call := strings.TrimPrefix(r.URL.Path, "/") + " " + strings.Trim(string(body), `{}"what:`)
		d.mu.Lock()
		d.calls = append(d.calls, call)
		d.keys[call] = append(d.keys[call], r.Header.Get("Idempotency-Key"))
		n := len(d.keys[call])
		d.mu.Unlock()
		status := 200
		if d.answer != nil {
			status = d.answer(call, n, r.Context().Done())
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "done: "+call)
	}))
	t.Cleanup(d.Close)
	return d
}

// tools are the desk's, with a time for each call.
func (d *desk) tools(timeout time.Duration) map[string]Tool {
	all := map[string]Tool{}
	for _, name := range []string{"book", "unbook"} {
		all[name] = Tool{
			Description: "books", Schema: map[string]any{"type": "object"}, Timeout: timeout, AllowPrivate: []string{"127.0.0.1"},
			HTTP: &HTTPTool{Method: "POST", URL: d.URL + "/" + name},
		}
	}
	return all
}

func (d *desk) made() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.calls, ", ")
}

func (d *desk) keysOf(call string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.keys[call])
}

// bookings is a plan that books in this order, and can undo each; then it does the
// rest.
func bookings(rest string, ids ...string) string {
	var all []string
	for i, id := range ids {
		after := ""
		if i > 0 {
			after = `, "depends_on": ["` + ids[i-1] + `"]`
		}
		all = append(all, `{"id": "`+id+`", "kind": "tool", "retry": {"backoff": "1ms"}, "tool": {"name": "book", "arguments": {"what": "'`+id+`'"}},
			"compensate": {"name": "unbook", "arguments": {"what": "output == null ? '`+id+`?' : '`+id+`'"}}`+after+`}`)
	}
	return `{"task": "Hello", "on_failure": "fail", "plan": {"subtasks": [` + strings.Join(append(all, rest), ",") + `]}}`
}

// compensations are what the events tell of them.
func (r *running) compensations(id string) string {
	var all []string
	for _, e := range r.history(id, "subtask.compensated") {
		said := e.SubtaskID
		if e.Data["error"] != nil {
			said += " failed"
		}
		if e.Data["retry_at"] != nil {
			said += ", again"
		}
		all = append(all, said)
	}
	return strings.Join(all, "; ")
}

// What was done is undone, the last first, before the run has ended. One that
// fails is told of, and holds up no other.
func TestAFailureUndoesWhatWasDone(t *testing.T) {
	d := openDesk(t)
	d.answer = func(call string, _ int, _ <-chan struct{}) int {
		if call == "unbook B" {
			return 503
		}
		return 200
	}
	r := launch(t, func(c *Config) { c.Tools, c.simulator = d.tools(0), simulator.Options{Fail: refusing("BREAK")} }).untilReady()
	run := r.start(bookings(`{"id": "Z", "description": "BREAK it", "depends_on": ["C"]}`, "A", "B", "C"))
	if run.Status != "failed" || d.made() != "book A, book B, book C, unbook C, unbook B, unbook B, unbook B, unbook A" {
		t.Errorf("the run is %s: %s; %s", run.Status, run.Error, d.made())
	}
	if got := r.compensations(run.ID); got != "C; B failed, again; B failed, again; B failed; A" {
		t.Errorf("it tells of: %s", got)
	}
	if k := d.keysOf("unbook B"); len(k) != 3 || k[0] == "" || k[0] != k[1] || k[1] != k[2] {
		t.Errorf("the same compensation is made under the keys %q", k)
	}
	text := r.ask("GET", "/v1/runs/"+run.ID, "").text
	if strings.Count(text, `"compensation":{"status":"succeeded"`) != 2 || strings.Count(text, `"compensation":{"status":"failed"`) != 1 {
		t.Errorf("the run shows %s", text)
	}
}

// The answer to a cancellation comes when all is undone. So does the end of a run
// that took too long.
func TestEveryEarlyEndUndoes(t *testing.T) {
	for name, end := range map[string]func(r *running, path string) told{
		"canceled": func(r *running, path string) told { return r.cancel(path) },
		"failed":   func(r *running, path string) told { return r.ask("GET", path+"?wait=60", "").run(r.t) },
	} {
		t.Run(name, func(t *testing.T) {
			options, asked := stuck()
			d := openDesk(t)
			r := launch(t, func(c *Config) { c.Tools, c.simulator = d.tools(0), options }).untilReady()
			body := bookings(`{"id": "Z", "description": "Do it", "depends_on": ["B"]}`, "A", "B")
			if name == "failed" {
				body = strings.Replace(body, `"task"`, `"limits": {"timeout": "1s"}, "task"`, 1)
			}
			path := "/v1/runs/" + r.ask("POST", "/v1/runs", body).run(t).ID
			<-asked
			if run := end(r, path); run.Status != name || run.statuses() != "A succeeded, B succeeded, Z canceled" {
				t.Errorf("the run is %s: %s", run.Status, run.statuses())
			}
			if got := d.made(); got != "book A, book B, unbook B, unbook A" {
				t.Errorf("calls: %s", got)
			}
		})
	}
}

// What nobody knows the effect of is tried again as the same thing, and undone.
func TestAnUnknownEffectIsUndone(t *testing.T) {
	d := openDesk(t)
	d.answer = func(call string, n int, gone <-chan struct{}) int {
		if call == "book B" || call == "unbook B?" && n == 1 {
			<-gone
		}
		return 200
	}
	r := launch(t, func(c *Config) { c.Tools = d.tools(50 * time.Millisecond) }).untilReady()
	run := r.start(bookings(`{"id": "Z", "description": "Do it", "depends_on": ["B"]}`, "A", "B"))
	if got := d.made(); run.Status != "failed" || got != "book A, book B, book B, book B, unbook B?, unbook B?, unbook A" {
		t.Errorf("the run is %s: %s", run.Status, got)
	}
	for call, n := range map[string]int{"book B": 3, "unbook B?": 2} {
		if k := slices.Compact(d.keysOf(call)); len(k) != 1 || k[0] == "" {
			t.Errorf("%s, %d times the same, is called under the keys %q", call, n, k)
		}
	}
}

// A compensation in flight when the process dies is made again as the same one,
// and so is a call of a tool.
func TestACrashRepeatsACompensation(t *testing.T) {
	d := openDesk(t)
	stopped := make(chan string, 10)
	d.answer = func(call string, n int, gone <-chan struct{}) int {
		if n == 1 && (call == "book B" || call == "unbook B") {
			stopped <- call
			<-gone
		}
		return 200
	}
	models := endpoint(t, simulator.Options{Fail: refusing("BREAK")})
	dir := t.TempDir()
	config := filepath.Join(dir, "tutti.yaml")
	text := "tools:\n"
	for name := range d.tools(0) {
		text += "  " + name + ": {description: books, schema: {type: object}, allow_private: [127.0.0.1], http: {method: POST, url: " + d.URL + "/" + name + "}}\n"
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"TUTTI_CONFIG=" + config, "TUTTI_JOURNAL=sqlite:" + filepath.Join(dir, "tutti.db"), "OPENAI_BASE_URL=" + models.URL(), "OPENAI_API_KEY=none"}
	s := spawn(t, environ...)
	id := s.ask("POST", "/v1/runs", bookings(`{"id": "Z", "description": "BREAK it", "depends_on": ["B"]}`, "A", "B")).run(t).ID
	for range 2 {
		<-stopped
		s.kill()
		s = spawn(t, environ...)
	}
	run := s.ask("GET", "/v1/runs/"+id+"?wait=60", "").run(t)
	if got := d.made(); run.Status != "failed" || got != "book A, book B, book B, unbook B, unbook B, unbook A" {
		t.Errorf("the run is %s: %s", run.Status, got)
	}
	for _, call := range []string{"book B", "unbook B"} {
		if k := slices.Compact(d.keysOf(call)); len(k) != 1 || k[0] == "" {
			t.Errorf("%s is called under the keys %q", call, k)
		}
	}
}
