package main

import (
	"encoding/json"
	"testing"

	"github.com/tmaxmax/go-sse"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// composites are plans of every kind, with their endings.
var composites = map[string]string{
	"for_each": `{"task": "Hello", "plan": {"subtasks": [
		{"id": "L", "description": "List them [[sim json=[1,2,3,4]]]"},
		{"id": "E", "kind": "for_each", "for_each": {"items": "L.output", "max_concurrency": 2, "body": [
			{"id": "x", "description": "Look", "when": "item != 2"}, {"id": "y", "description": "BREAK it", "when": "item == 3", "depends_on": ["x"]}]}},
		{"id": "S", "description": "Sum up", "input": {"all": "E.output"}}]}}`,
	"loop": `{"task": "Hello", "plan": {"subtasks": [
		{"id": "O", "kind": "loop", "loop": {"until": "iteration == 3", "max_iterations": 5, "body": [{"id": "y", "description": "Improve"}, {"id": "z", "description": "Judge", "depends_on": ["y"]}]}}]}}`,
	"nested": `{"task": "Hello", "plan": {"subtasks": [
		{"id": "P", "kind": "plan", "plan": {"task": "'Say it twice'", "max_subtasks": 3}}, {"id": "M", "kind": "merge", "merge": "concat", "depends_on": ["P"]}]}}`,
	"branches": `{"task": "Hello", "plan": {"subtasks": [
		{"id": "V", "kind": "decide", "decide": {"by": "expr", "expr": "task == 'Hello'", "options": ["yes", "no"]}},
		{"id": "Y", "description": "Do it", "when": "V.output == 'yes'"}, {"id": "N", "description": "Do not", "when": "V.output == 'no'"},
		{"id": "B", "description": "BREAK it", "depends_on": ["Y"]}, {"id": "C", "description": "After it", "depends_on": ["B"]},
		{"id": "M", "kind": "merge", "merge": "replace", "depends_on": ["Y", "N"]}]}}`,
	"stop": `{"task": "Hello", "plan": {"subtasks": [
		{"id": "A", "description": "Do it"}, {"id": "V", "kind": "decide", "decide": {"by": "expr", "expr": "true", "options": ["stop", "go"]}, "depends_on": ["A"]},
		{"id": "E", "kind": "for_each", "for_each": {"items": "[1, 2]", "body": [{"id": "x", "description": "Look"}]}, "depends_on": ["V"]}]}}`,
	"failing": `{"task": "Hello", "on_failure": "fail", "plan": {"subtasks": [
		{"id": "A", "description": "BREAK it"}, {"id": "O", "kind": "loop", "loop": {"until": "false || iteration > 90", "max_iterations": 100, "body": [{"id": "y", "description": "Improve"}]}}]}}`,
	"replanned": `{"task": "Hello", "on_failure": "replan", "plan": {"subtasks": [
		{"id": "A", "description": "BREAK it"}, {"id": "E", "kind": "for_each", "for_each": {"items": "[1, 2]", "body": [{"id": "x", "description": "Look"}]}, "depends_on": ["A"]},
		{"id": "F", "kind": "for_each", "for_each": {"items": "[1, 2]", "body": [{"id": "x", "description": "Look"}]}}]}}`,
}

// Every frame tells how far the run is, and in the end the counts are of the
// subtasks as they are shown.
func TestProgressAddsUp(t *testing.T) {
	r := launch(t, func(c *Config) {
		c.simulator = simulator.Options{Fail: refusing("BREAK"), Answer: planners("N: Do it otherwise")}
	}).untilReady()
	for name, body := range composites {
		t.Run(name, func(t *testing.T) {
			stream := r.open("POST", "/v1/runs", body, "Accept: text/event-stream")
			defer func() { _ = stream.Body.Close() }()
			type progress struct{ Total, Running, Succeeded, Failed, Skipped int }
			var last progress
			id := ""
			for f, err := range sse.Read(stream.Body, nil) {
				if err != nil {
					t.Fatal(err)
				}
				var e struct {
					Type     string
					RunID    string `json:"run_id"`
					Progress *progress
				}
				if err := json.Unmarshal([]byte(f.Data), &e); err != nil || e.Progress == nil {
					t.Fatalf("%v: %s", err, f.Data)
				}
				p := *e.Progress
				if sum := p.Running + p.Succeeded + p.Failed + p.Skipped; sum > p.Total || p.Running < 0 {
					t.Errorf("%s tells of %+v", e.Type, p)
				}
				if p.Total < last.Total && e.Type != "plan.replaced" {
					t.Errorf("the total goes from %d to %d with %s", last.Total, p.Total, e.Type)
				}
				last, id = p, e.RunID
			}
			run := r.ask("GET", "/v1/runs/"+id, "").run(t)
			count := map[string]int{}
			for _, s := range run.Plan.Subtasks {
				count[s.Status]++
			}
			want := progress{len(run.Plan.Subtasks), 0, count["succeeded"], count["failed"], count["skipped"]}
			if last != want || len(run.Plan.Subtasks) == 0 {
				t.Errorf("the last event tells of %+v, and the run %+v: %s", last, want, run.statuses())
			}
		})
	}
}
