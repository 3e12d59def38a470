//go:build integration

package kill

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/tutti-run/tutti/test/service"
)

// tasks are all that is ever asked for: every shape of a plan, calls of several
// lengths, and outputs that a command carries whole or refers to.
func tasks() []string {
	var list []string
	for _, shape := range []string{"fan", "chain", "diamond", "random"} {
		for _, latency := range []int{20, 60, 150} { // milliseconds a call
			for _, out := range []int{1200, 6000} { // bytes an output
				n := len(list)
				list = append(list, fmt.Sprintf("Describe river number %d [[sim subtasks=%d shape=%s latency=%dms out=%d]]",
					n+1, 3+n%2, shape, latency, out))
			}
		}
	}
	return list
}

func bodyOf(task string) string {
	body, _ := json.Marshal(map[string]string{"task": task})
	return string(body)
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
	Result, Error any // as the API says them, whole
}

// undisturbed returns the answer to each task by a server that nobody disturbs.
// The simulator answers the same messages with the same bytes, so there is one.
func undisturbed(t *testing.T, tasks []string) map[string]answer {
	t.Helper()
	s := service.Start(t, "OPENAI_BASE_URL="+simulate(t, func() {}).URL())
	runs := map[string]string{}
	for _, task := range tasks {
		var run struct{ ID string }
		s.Post(t, "/v1/runs", bodyOf(task)).Into(t, &run)
		runs[task] = run.ID
	}
	answers := map[string]answer{}
	for task, id := range runs {
		var a answer
		s.Get(t, "/v1/runs/"+id+"?wait=60").Into(t, &a)
		if a.Status != "succeeded" || len(a.Plan.Subtasks) < 3 {
			t.Fatalf("undisturbed, %q gives a run that is %s, with %d subtasks", task, a.Status, len(a.Plan.Subtasks))
		}
		answers[task] = a
	}
	s.Stop()
	return answers
}
