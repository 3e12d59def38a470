package main

import (
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// fork previews a fork, makes it, and holds the one to the other. It returns the new
// run and what was asked for it: the workers' subtasks, in order.
func (r *running) fork(id, body string) (run told, asked []string) {
	r.t.Helper()
	var preview struct{ Redo, Keep []string }
	got := r.ask("POST", "/v1/runs/"+id+"/fork?dry_run=true", body)
	if err := json.Unmarshal([]byte(got.text), &preview); err != nil || got.status != 200 {
		r.t.Fatalf("%s: status %d: %s", body, got.status, got.text)
	}
	before := len(r.models.simulator.Requests())
	run = r.ask("POST", "/v1/runs/"+id+"/fork", body, "Prefer: wait=60").run(r.t)
	run = r.ask("GET", "/v1/runs/"+run.ID+"?wait=60", "").run(r.t)
	for _, call := range r.models.simulator.Requests()[before:] {
		if call.Role == simulator.Worker {
			_, text, _ := strings.Cut(call.Prompt(), "<description>")
			text, _, _ = strings.Cut(text, "</description>")
			asked = append(asked, text)
		}
	}
	slices.Sort(asked)
	started := map[string]bool{}
	for _, e := range r.history(run.ID, "subtask.started") {
		started[e.SubtaskID] = true
	}
	for _, kept := range preview.Keep {
		if started[kept] {
			r.t.Errorf("%s: %s was to be kept, and was done again", body, kept)
		}
	}
	for _, redone := range preview.Redo {
		if s := run.subtask(r.t, redone); !started[redone] && s.Status != "skipped" {
			r.t.Errorf("%s: %s was to be done again, and is %s", body, redone, s.Status)
		}
	}
	return run, asked
}

const forkablePlan = `{"task": "Hello", "on_failure": "partial", "plan": {"subtasks": [
	{"id": "A", "description": "Do A"},
	{"id": "V", "kind": "decide", "decide": {"by": "expr", "expr": "size(A.output) > 5", "options": ["long", "short"]}},
	{"id": "L", "description": "Do L", "when": "V.output == 'long'"},
	{"id": "S", "description": "Do S", "when": "V.output == 'short'"},
	{"id": "E", "kind": "for_each", "for_each": {"items": "[1, 2]", "body": [{"id": "x", "description": "Do x", "input": {"a": "A.output"}}]}},
	{"id": "O", "kind": "loop", "loop": {"max_iterations": 2, "body": [{"id": "y", "description": "Do y"}]}},
	{"id": "F", "description": "BREAK F", "depends_on": ["O"]},
	{"id": "G", "description": "Do G", "depends_on": ["F"]},
	{"id": "M", "kind": "merge", "merge": "concat", "depends_on": ["L", "S", "E"]}]}}`

// A fork does again what was asked for, and what follows from that, and nothing else.
func TestForksRedoWhatChanged(t *testing.T) {
	var mended atomic.Bool
	r := launch(t, func(c *Config) {
		c.simulator = simulator.Options{Ledger: 1000, Fail: func(r simulator.Request) simulator.Fault {
			if !mended.Load() && r.Role == simulator.Worker && strings.Contains(r.Prompt(), "BREAK") {
				return simulator.Refusal
			}
			return simulator.NoFault
		}}
	}).untilReady()
	source := r.start(forkablePlan)
	if want := "A succeeded, V succeeded, L succeeded, S skipped, E succeeded, O succeeded, F failed, G skipped, M succeeded"; !strings.HasPrefix(source.statuses(), want) {
		t.Fatalf("%s", source.statuses())
	}
	mended.Store(true)
	for body, want := range map[string]string{
		`{}`: "BREAK F, Do G",
		`{"edits": {"A": {"description": "Do A anew"}}}`:              "BREAK F, Do A anew, Do G, Do L, Do x, Do x",
		`{"edits": {"A": {"output": "a"}}}`:                           "BREAK F, Do G, Do S, Do x, Do x",
		`{"edits": {"V": {"output": "short"}}}`:                       "BREAK F, Do G, Do S",
		`{"edits": {"F": {"output": {"of": "mine"}}}}`:                "Do G",
		`{"edits": {"L": {"type": "formal"}, "F": {"output": "ok"}}}`: "Do G, Do L",
		`{"from": ["O"]}`: "BREAK F, Do G, Do y, Do y",
		`{"from": ["E"], "edits": {"F": {"output": "ok"}}}`: "Do G, Do x, Do x",
	} {
		run, asked := r.fork(source.ID, body)
		if got := strings.Join(asked, ", "); run.Status != "succeeded" || got != want {
			t.Errorf("%s: the fork is %s after %q, want %q: %s", body, run.Status, got, want, run.statuses())
		}
	}

	if got := r.ask("POST", "/v1/runs/"+source.ID+"/fork", `{"edits": {"V": {"output": "neither"}}}`); got.status != 422 || !strings.Contains(got.text, `"/edits/V/output"`) {
		t.Errorf("what is no option is answered %d: %s", got.status, got.text)
	}

	// A fork of a fork keeps what the first one kept, also when its source is gone.
	fork, _ := r.fork(source.ID, `{"edits": {"A": {"output": "a"}}}`)
	if got := r.ask("DELETE", "/v1/runs/"+source.ID, ""); got.status != 204 {
		t.Errorf("deleting the source: status %d", got.status)
	}
	again, asked := r.fork(fork.ID, `{"from": ["G"]}`)
	if got := strings.Join(asked, ", "); got != "Do G" || *again.subtask(t, "A").Output != "a" || again.Result.Partial {
		t.Errorf("a fork of a fork does %q: %s", got, again.statuses())
	}
	if _, asked = r.fork(again.ID, `{}`); len(asked) > 0 {
		t.Errorf("a fork of what succeeded does %q", asked)
	}
}

// A fork of a run that a decision ended is ended by it, too, unless that is done
// otherwise.
func TestAForkOfAStoppedRun(t *testing.T) {
	r := launch(t, func(c *Config) { c.simulator = simulator.Options{Ledger: 1000} }).untilReady()
	source := r.start(composites["stop"])
	if run, asked := r.fork(source.ID, `{}`); len(asked) > 0 || run.Status != "succeeded" || run.Result.Partial {
		t.Errorf("a fork does %q: %s", asked, run.statuses())
	}
	if run, asked := r.fork(source.ID, `{"edits": {"V": {"output": "go"}}}`); len(asked) != 2 || run.Status != "succeeded" {
		t.Errorf("with another decision a fork does %q: %s", asked, run.statuses())
	}
}
