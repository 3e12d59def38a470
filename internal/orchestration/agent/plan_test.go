package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
)

const onePlan = `{"analysis":"one","subtasks":[{"id":"T1","type":"formal","description":"do it","depends_on":[]}]}`

func TestAPlanIsRead(t *testing.T) {
	said := performPlan(t, model(says(onePlan)), testSpec(), orchestration.MakePlan{Attempt: 4})
	wantFailure(t, said.Failure, "", false)
	if said.Attempt != 4 || said.Plan.Analysis != "one" || len(said.Plan.Subtasks) != 1 || said.Answer != onePlan || len(said.Problems) > 0 {
		t.Errorf("said %+v", said)
	}
}

func TestAnAnswerWithoutAPlan(t *testing.T) {
	answer := strings.Repeat("日本語", 20_000)
	said := performPlan(t, model(says(answer)), testSpec(), orchestration.MakePlan{Attempt: 1})
	wantFailure(t, said.Failure, "", false)
	if len(said.Problems) == 0 || len(said.Answer) > maxAnswer || len(said.Answer) < maxAnswer-4 || !utf8.ValidString(said.Answer) {
		t.Errorf("%d problems, an answer of %d bytes", len(said.Problems), len(said.Answer))
	}
}

func TestThePlanSchemaIsStrict(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(planSchema.JSON))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		object, _ := v.(map[string]any)
		if properties, ok := object["properties"].(map[string]any); ok {
			if required, _ := object["required"].([]any); len(required) != len(properties) || object["additionalProperties"] != any(false) {
				t.Errorf("not strict: %v", object)
			}
			for _, p := range properties {
				walk(p)
			}
		}
		if items, ok := object["items"]; ok {
			walk(items)
		}
	}
	walk(document)
	compiled, err := schema.Compile(planSchema.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if violations := compiled.Validate(json.RawMessage(onePlan)); violations != nil {
		t.Errorf("a plan does not satisfy it: %v", violations)
	}
}

// A repair whose conversation is too long goes on with less of the old answer.
func TestARepairFits(t *testing.T) {
	spec := testSpec()
	spec.Models[0].ContextWindow = 3000
	m := model(says(onePlan))
	a := New(Options{Client: m, Texts: &shelf{texts: map[int64]string{7: strings.Repeat("word ", 20_000)}}})
	said := a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: orchestration.MakePlan{Attempt: 2, Repair: &orchestration.Repair{
		Answer: orchestration.Text{Seq: 7, Bytes: 100_000}, Problems: make([]orchestration.Problem, 1000),
	}}}).(orchestration.Planned)
	wantFailure(t, said.Failure, "", false)
	messages := m.sent[0].Messages
	if n := spent(messages); n > 3000-750 || len(messages) != 4 || !note.MatchString(messages[2].Text) {
		t.Errorf("%d tokens in %d messages", n, len(messages))
	}
	if text := messages[3].Text; !strings.Contains(text, "and 980 more") || strings.Count(text, "\n- ") > maxProblems+1 {
		t.Errorf("the problems: %s", text)
	}
}

func TestATaskThatDoesNotFitIsNotPlanned(t *testing.T) {
	spec := testSpec()
	spec.Models[0].ContextWindow = 500
	m := model(says(onePlan))
	said := performPlan(t, m, spec, orchestration.MakePlan{Attempt: 1})
	wantFailure(t, said.Failure, orchestration.CodeContextTooLong, false)
	if len(m.sent) > 0 {
		t.Error("it was sent")
	}
}

// All calls of a run share one copy of its images, which goes with the last.
func TestImagesAreShared(t *testing.T) {
	const calls = 8
	spec := testSpec()
	spec.Attachments = []orchestration.Attachment{{MediaType: "image/png"}, {MediaType: "image/jpeg"}}
	texts := &shelf{attachments: [][]byte{{1}, {2}}}
	var waiting, done sync.WaitGroup
	waiting.Add(calls)
	a := New(Options{Texts: texts, Client: llm.Func(func(_ context.Context, req *llm.Request) (*llm.Response, error) {
		waiting.Done()
		waiting.Wait()
		images := req.Messages[1].Images
		if len(images) != 2 || &images[1].Data[0] != &texts.attachments[1][0] || images[1].MediaType != "image/jpeg" {
			t.Errorf("images %v", images)
		}
		return llm.Answer("done"), nil
	})})
	for range calls {
		done.Go(func() {
			a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: orchestration.Work{Subtask: formal, Attempt: 1}})
		})
	}
	done.Wait()
	if texts.reads != 2 || len(a.pictures.runs) != 0 {
		t.Errorf("%d reads; %d runs are kept", texts.reads, len(a.pictures.runs))
	}
	texts.attachments = texts.attachments[:1]
	said := a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: orchestration.MakePlan{Attempt: 1}}).(orchestration.Planned)
	wantFailure(t, said.Failure, orchestration.CodeInternal, true)
	if len(a.pictures.runs) != 0 {
		t.Error("images of a failed call are kept")
	}
}
