//go:build integration

package kill

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/test/service"
)

// tasks are the bodies of all requests that are ever made: every shape of a plan,
// calls of several lengths, outputs that a command carries whole or refers to, and
// plans with parts of every kind.
func tasks() []string {
	var list []string
	for _, shape := range []string{"fan", "chain", "diamond", "random"} {
		for _, latency := range []int{20, 60, 150} { // milliseconds a call
			for _, out := range []int{1200, 6000} { // bytes an output
				n := len(list)
				body, _ := json.Marshal(map[string]string{"task": fmt.Sprintf("Describe river number %d [[sim subtasks=%d shape=%s latency=%dms out=%d]]",
					n+1, 3+n%2, shape, latency, out)})
				list = append(list, string(body))
			}
		}
	}
	return append(list, slices.Repeat(composites, 2)...)
}

// composites are requests with plans of the whole language. Their subtasks have
// calls of about 30 ms.
var composites = []string{
	`{"task": "Look at rivers [[sim latency=30ms]]", "plan": {"subtasks": [
		{"id": "L", "description": "List them [[sim latency=30ms json=[3,1,2]]]"},
		{"id": "E", "kind": "for_each", "for_each": {"items": "L.output", "max_concurrency": 2, "body": [
			{"id": "x", "description": "Look [[sim latency=30ms out=5000]]", "input": {"n": "item"}, "when": "item != 1"},
			{"id": "t", "kind": "tool", "tool": {"name": "book", "arguments": {"what": "string(item)", "as": "string(index)"}}, "depends_on": ["x"]}]}},
		{"id": "S", "description": "Sum up [[sim latency=30ms]]", "input": {"all": "E.output.map(e, e.status)"}, "output": "{'sum': output}"}]}}`,
	`{"task": "Improve a text [[sim latency=30ms]]", "plan": {"subtasks": [
		{"id": "A", "description": "Begin [[sim latency=30ms]]"},
		{"id": "O", "kind": "loop", "loop": {"until": "iteration == 3", "max_iterations": 5, "body": [
			{"id": "y", "description": "Improve [[sim latency=30ms]]", "input": {"before": "previous == null ? A.output : previous"}},
			{"id": "t", "kind": "tool", "tool": {"name": "book", "arguments": {"what": "string(size(y.output))", "as": "string(iteration)"}}}]}},
		{"id": "V", "kind": "decide", "decide": {"by": "expr", "expr": "size(string(O.output)) > 1", "options": ["long", "short"]}},
		{"id": "B", "description": "Shorten [[sim latency=30ms]]", "when": "V.output == 'long'"},
		{"id": "C", "description": "Lengthen [[sim latency=30ms]]", "when": "V.output == 'short'"},
		{"id": "M", "kind": "merge", "merge": "concat", "depends_on": ["B", "C"]}]}}`,
	`{"task": "Plan a journey [[sim latency=30ms]]", "plan": {"subtasks": [
		{"id": "P", "kind": "plan", "plan": {"task": "'Plan the first day [[sim subtasks=3 latency=30ms]]'", "max_subtasks": 3}},
		{"id": "Q", "description": "Judge it [[sim latency=30ms]]", "depends_on": ["P"]}]}}`,
	`{"task": "Book a journey [[sim latency=30ms]]", "on_failure": "fail", "plan": {"subtasks": [
		{"id": "A", "kind": "tool", "tool": {"name": "book", "arguments": {"what": "'a bed'"}}, "compensate": {"name": "unbook", "arguments": {"what": "output"}}},
		{"id": "B", "kind": "tool", "tool": {"name": "book", "arguments": {"what": "'a seat'"}}, "compensate": {"name": "unbook", "arguments": {"what": "output"}}, "depends_on": ["A"]},
		{"id": "C", "description": "Judge it [[sim latency=30ms]]", "check": {"regex": "^never$", "max_revisions": 0}, "depends_on": ["B"]}]}}`,
}

// An answer is all of a run that must not depend on what its servers went
// through.
type answer struct {
	Status string
	Plan   struct {
		Source, Analysis string
		Subtasks         []struct {
			ID, Type, Description, Status, Output string
			DependsOn                             []string `json:"depends_on"`
		}
	}
	Result any // as the API says it, whole
	Error  *struct{ Code, Detail string }
}

// undisturbed returns the answer to each task by a server that nobody disturbs.
// The simulator answers the same messages with the same bytes, so there is one.
func undisturbed(t *testing.T, tasks []string) map[string]answer {
	t.Helper()
	s := service.Start(t, "OPENAI_BASE_URL="+simulate(t, func() {}).URL(), "TUTTI_CONFIG="+openDesk(t).config)
	runs := map[string]string{}
	for _, task := range tasks {
		var run struct{ ID string }
		s.Post(t, "/v1/runs", task).Into(t, &run)
		runs[task] = run.ID
	}
	answers := map[string]answer{}
	for task, id := range runs {
		var a answer
		s.Get(t, "/v1/runs/"+id+"?wait=60").Into(t, &a)
		if want := undisturbedEnd(task); a.Status != want || len(a.Plan.Subtasks) < 3 {
			t.Fatalf("undisturbed, %q gives a run that is %s, with %d subtasks: %v", task, a.Status, len(a.Plan.Subtasks), a.Error)
		}
		answers[task] = a
	}
	s.Stop()
	return answers
}

// undisturbedEnd is how a request's run ends.
func undisturbedEnd(body string) string {
	if strings.Contains(body, `"on_failure": "fail"`) {
		return "failed"
	}
	return "succeeded"
}
