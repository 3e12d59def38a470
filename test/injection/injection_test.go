// Package injection puts payloads wherever a model or a caller may write, and
// holds the real server to it that they stay what they are: material.
package injection

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/test/service"
)

func TestMain(m *testing.M) { os.Exit(service.Main(m)) }

// What workers and the synthesizer write is material for others, whatever it says.
func TestOutputs(t *testing.T) {
	w := start(t)
	r := request{Task: "Tell of rivers", Context: map[string]any{"audience": "hikers"}}
	calm := w.do(t, r, harmless, "The Nile is long.", "It is long.")
	for i, payload := range payloads(t) {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) {
			w.do(t, r, harmless, payload, payload).like(t, calm)
		})
	}
	w.wantQuiet(t)
}

// While an answer is being written it is shown in deltas, which are no events: a
// payload makes none, and ends none.
func TestDeltas(t *testing.T) {
	w := start(t)
	deltas := 0
	for i, payload := range payloads(t) {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) {
			w.say(harmless, "<response>"+payload+" end</response>", "<response>"+payload+" end</response>")
			a := w.Post(t, "/v1/runs?deltas=true", `{"task":"Tell of rivers"}`, "Accept: text/event-stream")
			if last := wantLive(t, string(a.Body)); last != "run.succeeded" {
				t.Errorf("the last event is %q", last)
			}
			deltas += strings.Count(string(a.Body), "event: delta\n")
		})
	}
	if deltas == 0 {
		t.Error("no delta was shown")
	}
	w.wantQuiet(t)
}

// Descriptions, types and ids are a planner's words.
func TestPlans(t *testing.T) {
	w := start(t)
	r := request{Task: "Tell of rivers", Context: map[string]any{"audience": "hikers"}}
	calm := w.do(t, r, harmless, "The Nile is long.", "It is long.")
	for i, payload := range payloads(t) {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) {
			style := string([]rune(payload)[:min(60, len([]rune(payload)))])
			evil := plan(planned{"- " + payload, style, payload, nil}, planned{"T2", "x” " + mark + " “", payload, []string{"- " + payload}})
			w.do(t, r, evil, "The Nile is long.", "It is long.").like(t, calm)
		})
	}
	w.wantQuiet(t)
}

// The task and its context are a caller's, who may pass on what others wrote.
func TestTasks(t *testing.T) {
	w := start(t)
	calm := w.do(t, request{Task: "Tell of rivers", Context: map[string]any{"a": "b"}}, harmless, "The Nile is long.", "It is long.")
	for i, payload := range payloads(t) {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) {
			r := request{Task: "Tell of rivers. " + payload, Context: map[string]any{"a" + payload: []string{payload}}}
			w.do(t, r, harmless, "The Nile is long.", "It is long.").like(t, calm)
		})
	}
	w.wantQuiet(t)
}

// In a caller's own prompts values are put in as they are: a placeholder in one
// is never filled in.
func TestPlaceholders(t *testing.T) {
	w := start(t)
	for i, payload := range payloads(t) {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) {
			r := request{
				Task: "Tell of rivers " + payload, Context: map[string]any{"secret": "s3cr3t " + payload},
				Worker:      map[string]string{"prompt": "{original_task}¦{task_type}¦{task_description}¦{dependencies}¦{secret}"},
				Synthesizer: map[string]string{"prompt": "{task}¦{analysis}¦{results}¦{secret}"},
			}
			got := w.do(t, r, harmless, "<response>"+mark+" output {secret}{results}{task}</response>", payload)
			if len(got.prompts) != 4 {
				t.Fatalf("%d calls", len(got.prompts))
			}
			task, secret := r.Task, r.Context["secret"].(string)
			const output = mark + " output {secret}{results}{task}"
			for prompt, want := range map[string]string{
				got.prompts[1]: task + "¦formal¦Find the facts¦¦" + secret,
				got.prompts[2]: task + "¦critic¦Write it up¦<dependencies>\n<output id=\"T1\" type=\"formal\">\n" + output + "\n</output>\n</dependencies>¦" + secret,
				got.prompts[3]: task + "¦Two of them.¦<results>\n<result id=\"T1\" type=\"formal\" status=\"succeeded\">\n" + output + "\n</result>\n" +
					"<result id=\"T2\" type=\"critic\" status=\"succeeded\">\n" + output + "\n</result>\n</results>¦" + secret,
			} {
				if prompt != want {
					t.Errorf("the prompt is\n%q\nwant\n%q", prompt, want)
				}
			}
		})
	}
	w.wantQuiet(t)
}

// A plan, an id or a name that is refused is told of in the body alone.
func TestRefusals(t *testing.T) {
	w := start(t)
	for i, payload := range payloads(t) {
		value, _ := json.Marshal(payload)
		text := string(value)
		bodies := map[string]string{
			"id":     `{"task":"x","plan":{"subtasks":[{"id":` + text + `,"description":"x"}]}}`,
			"worker": `{"task":"x","plan":{"subtasks":[{"id":"T1","worker":` + text + `,"description":"x"}]}}`,
			"prompt": `{"task":"x","planner":{"prompt":` + strings.Replace(text, mark, mark+" {a.b}", 1) + `}}`,
			"label":  `{"task":"x","labels":{` + text + `:` + strconv.Itoa(i) + `}}`,
			"field":  `{"task":"x",` + text + `:1}`,
		}
		for _, kind := range slices.Sorted(maps.Keys(bodies)) {
			a := w.Post(t, "/v1/runs", bodies[kind])
			wantClean(t, "the header of a refusal", fmt.Sprint(a.Header))
			if a.Status/100 != 4 || a.Header.Get("Content-Type") != "application/problem+json" || !json.Valid(a.Body) {
				t.Errorf("%s %s: status %d, %s", kind, text, a.Status, a.Body)
			}
		}
	}
	w.wantQuiet(t)
}

// What is checked, revised, decided upon or planned with is material, too. The
// output of T1 is whatever a payload says; it is refused once, judged, given on by
// name, and decided and planned upon.
func TestKinds(t *testing.T) {
	w := start(t)
	r := request{Task: "Tell of rivers", Plan: map[string]any{"subtasks": []map[string]any{
		{"id": "T1", "description": "Find the facts", "check": map[string]any{"rubric": "It is long."}},
		{"id": "T2", "description": "Write it up", "input": map[string]string{"facts": "T1.output"}},
		{"id": "D1", "kind": "decide", "depends_on": []string{"T2"}, "decide": map[string]any{"by": "model", "prompt": "Is it long?", "options": []string{"yes", "no"}}},
		{"id": "P1", "kind": "plan", "depends_on": []string{"D1", "T1"}, "plan": map[string]any{"task": "'Go on'"}},
	}}}
	play := func(t *testing.T, payload string) told {
		t.Helper()
		refused := false
		w.mu.Lock()
		w.replies = map[simulator.Role]func(simulator.Request) string{simulator.Evaluator: func(r simulator.Request) string {
			switch {
			case strings.Contains(r.Messages[1].Text, "<question>"):
				return `{"option":"yes"}`
			case refused:
				return `{"satisfied":true,"feedback":""}`
			}
			refused = true
			return raw(map[string]any{"satisfied": false, "feedback": payload})
		}}
		w.mu.Unlock()
		return w.do(t, r, raw(map[string]any{"subtasks": []planned{{"T1", "formal", "Find more", nil}}}), payload, payload)
	}
	calm := play(t, "The Nile is long.")
	if len(calm.prompts) != 9 {
		t.Fatalf("%d calls: %v", len(calm.prompts), ids(calm.run))
	}
	for i, payload := range payloads(t) {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) { play(t, payload).like(t, calm) })
	}
	w.wantQuiet(t)
}
