package workflow

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestApply(t *testing.T) {
	const text = head + `task: Do it
parameters:
  tone: {default: dry}
  audience: {required: true, schema: {type: string}}
  price: {default: null}
planner: {max_subtasks: 3, model: small}
limits: {max_attempts: 2, timeout: 5m}
policy: [{regex: a}]
labels: {team: growth}
plan: {subtasks: [{description: x}]}
`
	w := must(t, text)
	launch, faults := w.Apply(json.RawMessage(`{"workflow": "w", "context": {"audience": "all", "tone": "loud"}, "planner": {"model": "big"},
		"limits": {"timeout": "1m", "max_tokens": 9}, "policy": [{"regex": "b"}], "priority": 1, "labels": {"a": "b"}}`), rules())
	if len(faults) > 0 {
		t.Fatalf("%s", lines(faults))
	}
	const want = `{"task":"Do it","planner":{"max_subtasks":3,"model":"big"},"limits":{"max_attempts":2,"timeout":"1m","max_tokens":9},` +
		`"policy":[{"regex":"a"},{"regex":"b"}],"labels":{"team":"growth","a":"b"},"priority":1,"context":{"tone":"loud","audience":"all","price":null}}`
	if diff := cmp.Diff(want, string(launch.Request)); diff != "" {
		t.Error(diff)
	}
	if launch.Plan == nil || launch.Plan.Subtasks[0].ID != "T1" || launch.Origin.Name != "w" || len(launch.Origin.Hash) != 64 {
		t.Errorf("it begins with %+v", launch)
	}
}

func TestApplyFaults(t *testing.T) {
	w := must(t, head+"parameters: {n: {required: true, schema: {type: integer}}, m: {default: 1}}\nplan: {subtasks: [{kind: workflow, workflow: {name: gone}}]}\n")
	for _, c := range []struct{ request, want string }{
		{`{"task": "x", "context": {"n": 1}}`, `/workflow: There is no workflow "gone".` + "\n"},
		{`{"plan": {}, "context": {"n": "one", "mm": 2}}`, `/context/n: The value does not satisfy the parameter's schema: got string, want integer.
/context/mm: The workflow has no parameter mm; perhaps m is meant.
/plan: A run of a workflow has the workflow's plan.
/task: The workflow has no task of its own: say what is asked for.
/workflow: There is no workflow "gone".
`},
		{`{"task": "x"}`, "/context/n: The workflow needs the parameter n.\n/workflow: There is no workflow \"gone\".\n"},
	} {
		_, faults := w.Apply(json.RawMessage(c.request), rules())
		if diff := cmp.Diff(c.want, lines(faults)); diff != "" {
			t.Errorf("of %s (-want +got)\n%s", c.request, diff)
		}
	}
}
