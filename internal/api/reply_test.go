package api

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Answers are the JSON of encoding/json, to the byte where texts are valid UTF-8.
func TestEncodeAsStandard(t *testing.T) {
	text := "<b> & \"quoted\" \\ \u2028 \x01 é 🍶"
	at := time.Date(2026, 11, 20, 9, 30, 0, 120, time.UTC)
	for name, v := range map[string]any{
		"run": &Run{
			Id: "run_1", Task: text, Context: json.RawMessage(`{ "b": [1, 2.50], "a": "<" }`), Labels: Labels{"z": text, "a": ""}, CreatedAt: at, EndedAt: &at,
			Plan: &Plan{Versions: []PlanVersion{{}}, Subtasks: []Subtask{{Id: "T1", Output: &text, Usage: orchestration.Totals{LLMCalls: 1, CostUSD: 1e-7}}}},
			Result: &Result{
				FinalOutput:   json.RawMessage(`{"x":1e2}`),
				WorkerResults: []WorkerResult{{Id: "T1", Result: &text, Error: &Failure{Detail: text}}},
			},
		},
		"planned": planned(orchestration.Subtask{ID: "T1", Timeout: orchestration.Duration(time.Minute)}),
		"problem": problem(codeInvalidRequest, text, Fault{Pointer: "/task", Detail: text}),
		"nothing": map[string]any{"list": []string(nil), "map": map[string]string(nil), "number": 1e21},
	} {
		t.Run(name, func(t *testing.T) {
			var got, want bytes.Buffer
			standard := json.NewEncoder(&want)
			standard.SetEscapeHTML(false)
			if err := standard.Encode(v); err != nil {
				t.Fatal(err)
			}
			if err := encode(&got, v); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want.String(), got.String()); d != "" {
				t.Errorf("(-encoding/json +ours):\n%s", d)
			}
		})
	}
}
