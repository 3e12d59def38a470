package expr

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// BenchmarkRuns performs whole runs of a for_each of twenty items with nothing but
// the core and expressions: piped with two of them an item, dense with six.
func BenchmarkRuns(b *testing.B) {
	piped := orchestration.Subtask{Input: map[string]string{"machine": "item.name", "load": "item.cpu"}}
	dense := orchestration.Subtask{
		When:  "item.cpu < 100 && machines.output.complete",
		Input: map[string]string{"machine": "item.name", "load": "string(item.cpu) + ' %'", "place": "index + 1"},
		Check: &orchestration.Check{Expr: "output.size() > 100"},
		Gives: "{'machine': item.name, 'text': output}",
	}
	b.Run("piped", func(b *testing.B) { benchmarkRuns(b, piped) })
	b.Run("dense", func(b *testing.B) { benchmarkRuns(b, dense) })
}

func benchmarkRuns(b *testing.B, look orchestration.Subtask) {
	look.ID, look.Description = "look", "Say what stands out"
	plan := &orchestration.Plan{Subtasks: []orchestration.Subtask{
		{ID: "machines", Description: "List the machines"},
		{ID: "each", Kind: orchestration.KindForEach, ForEach: &orchestration.ForEach{
			Items: "machines.output.rows", Body: []orchestration.Subtask{look},
		}},
		{ID: "busy", Kind: orchestration.KindDecide, Decide: &orchestration.Decide{
			By: orchestration.DecideByExpr, Options: []string{"many", "few"},
			Expr: "machines.output.rows.filter(r, r.cpu > 50).size() > 5 ? 'many' : 'few'",
		}},
		{
			ID: "report", Description: "Say what they have in common", When: "busy.output == 'many'",
			Input: map[string]string{
				"found": "each.output.filter(o, o.status == 'succeeded').map(o, o.output)",
				"names": "machines.output.rows.map(r, r.name).join(', ')",
			},
			Gives: "{'machines': machines.output.rows.size(), 'text': output}",
		},
	}}
	funcs := orchestration.Funcs{Expressions: New()}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		benchmarkRun(b, funcs, plan, i)
	}
}

func benchmarkRun(b *testing.B, funcs orchestration.Funcs, plan *orchestration.Plan, number int) {
	rows := make([]string, 20)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"name": "machine-%d-%d", "cpu": %d, "tags": ["eu", "web"]}`, number, i, 5*i)
	}
	listed := `{"complete": true, "rows": [` + strings.Join(rows, ", ") + `]}`
	text := strings.Repeat("It stands out. ", 80)
	spec := &orchestration.Spec{
		Format: orchestration.SpecFormat, Task: "Look", Context: json.RawMessage(`{}`), Plan: plan,
		Worker: orchestration.Worker{Role: orchestration.Role{Model: "m"}},
		Limits: orchestration.Limits{
			MaxConcurrency: 10, MaxAttempts: 3, MaxSubtasks: 100, MaxOutputBytes: 1 << 20,
			Timeout: time.Hour, SubtaskTimeout: time.Minute,
		},
	}
	run := orchestration.New(funcs)
	inputs := []orchestration.Said{orchestration.Start{ID: "run_1", Spec: spec}}
	for len(inputs) > 0 {
		_, commands, err := run.Step(orchestration.Input{Time: time.Unix(1, 0), Said: inputs[0]})
		if err != nil {
			b.Fatal(err)
		}
		inputs = inputs[1:]
		for _, c := range commands {
			switch c := c.(type) {
			case orchestration.Work:
				output := text
				if c.Subtask.ID == "machines" {
					output = listed
				}
				inputs = append(inputs, orchestration.Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Output: output})
			case orchestration.Synthesize:
				inputs = append(inputs, orchestration.Synthesized{Attempt: c.Attempt, Output: text})
			}
		}
	}
	if run.Status != orchestration.StatusSucceeded {
		b.Fatal(run.Status, run.Failure, run.Reason)
	}
}
