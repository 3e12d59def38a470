package torture

import (
	"slices"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// A worker's and a synthesizer's answer are read alike, and neither changes the
// plan.
func TestAnswers(t *testing.T) {
	specimens := corpus(t, "answers")
	var scenes []scene
	for _, s := range specimens {
		scenes = append(scenes, scene{worker: []string{s.answer}}, scene{synthesizer: []string{s.answer}, planner: twoSubtasks})
	}
	for i, told := range play(t, scenes) {
		s := specimens[i/2]
		got, want := outputOf(told, i%2 == 0), s.verdict
		if got != want {
			t.Errorf("%s (scene %d) is read as\n%s\nwant\n%s", s.name, i, got, want)
		}
		wantPlan(t, s.name, told, i%2 != 0)
	}
}

var twoSubtasks = []string{planText}

// wantPlan checks that the plan is what the planner said and that nobody was
// asked more often than there are attempts.
func wantPlan(t *testing.T, name string, told story, two bool) {
	t.Helper()
	want := []string{"mended"}
	if two {
		want = []string{"T1", "T2"}
	}
	if ids := idsOf(planOf(told)); !slices.Equal(ids, want) {
		t.Errorf("%s: the plan is %v", name, ids)
	}
	if n := len(told.sent[llm.Planner]); n != 1 {
		t.Errorf("%s: the planner was asked %d times", name, n)
	}
	if n := len(told.sent[llm.Worker]); n > 2*len(want) {
		t.Errorf("%s: workers were asked %d times", name, n)
	}
}

// outputOf returns what the worker handed in, or the synthesizer.
func outputOf(told story, worker bool) string {
	for _, e := range told.events {
		switch f := e.Fact.(type) {
		case *orchestration.SubtaskSucceeded:
			if worker {
				return oneLine(f.Output)
			}
		case *orchestration.SubtaskFailed:
			if worker {
				return "failed: " + string(f.Failure.Code)
			}
		case *orchestration.SynthesisSucceeded:
			return oneLine(f.Output)
		case *orchestration.SynthesisFailed:
			if f.RetryAt == nil {
				return "failed: " + string(f.Failure.Code)
			}
		}
	}
	return "nothing"
}

const schema = `{"type":"object","properties":{"answer":{"type":"string"},"km":{"type":"number"}},` +
	`"required":["answer","km"],"additionalProperties":false}`

// An answer in JSON is right by the schema, or goes back once.
func TestJSON(t *testing.T) {
	specimens := corpus(t, "json")
	scenes := make([]scene, len(specimens))
	for i, s := range specimens {
		scenes[i] = scene{planner: twoSubtasks, synthesizer: []string{s.answer, goodAnswer}, schema: schema}
	}
	for i, told := range play(t, scenes) {
		got := outputOf(told, false)
		if sent := len(told.sent[llm.Synthesizer]); sent == 2 && got == `{"answer":"mended","km":1}` {
			got = "revised"
		}
		if got != specimens[i].verdict {
			t.Errorf("%s is read as\n%s\nwant\n%s", specimens[i].name, got, specimens[i].verdict)
		}
		wantPlan(t, specimens[i].name, told, true)
	}
}

// However an answer is cut short, what is handed in is a part of it, the whole
// text of which a person would have seen, or nothing.
func TestAnswersCutShort(t *testing.T) {
	var scenes []scene
	for _, s := range corpus(t, "answers") {
		for cut := 1; cut < len(s.answer); cut += len(s.answer)/12 + 1 {
			scenes = append(scenes, scene{worker: []string{s.answer[:cut]}})
		}
	}
	for i, told := range play(t, scenes) {
		text, got := scenes[i].worker[0], outputOf(told, true)
		text = strings.NewReplacer("\uFEFF", "", "\x00", "�", "\n", "⏎").Replace(string([]rune(text)))
		if got != "failed: output_invalid" && (got == "" || !strings.Contains(text, got)) {
			t.Errorf("%q is read as %q", text, got)
		}
		wantPlan(t, text, told, false)
	}
	json := corpus(t, "json")
	scenes = nil
	var whole []specimen
	for _, s := range json {
		for cut := 1; cut < len(s.answer); cut += len(s.answer)/12 + 1 {
			scenes = append(scenes, scene{planner: twoSubtasks, synthesizer: []string{s.answer[:cut], goodAnswer}, schema: schema})
			whole = append(whole, s)
		}
	}
	for i, told := range play(t, scenes) {
		got := outputOf(told, false)
		if got != whole[i].verdict && got != `{"answer":"mended","km":1}` {
			t.Errorf("%q is read as %s", scenes[i].synthesizer[0], got)
		}
	}
}
