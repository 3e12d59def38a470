package agent

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

func TestACutAnswerIsContinuedOnce(t *testing.T) {
	m := model(cutOff("<response>The first half of it, "), says("and the second.</response>"))
	spec := testSpec()
	said := performWork(t, m, spec, orchestration.Work{Subtask: formal, Attempt: 2})
	wantFailure(t, said.Failure, "", false)
	if said.Output != "The first half of it, and the second." || len(said.Calls) != 2 {
		t.Errorf("output %q after %d calls", said.Output, len(said.Calls))
	}
	messages := m.sent[1].Messages
	if len(messages) != 4 || messages[2].Author != llm.Assistant || messages[2].Text != "<response>The first half of it, " || messages[3].Author != llm.User {
		t.Errorf("the follow-up: %+v", messages)
	}
	if diff := cmp.Diff(m.sent[0].Messages, messages[:2]); diff != "" {
		t.Errorf("the conversation was not kept:\n%s", diff)
	}
	keys := []string{m.sent[0].IdempotencyKey, m.sent[1].IdempotencyKey}
	if want := []string{"run_1/subtask/T2/2/1", "run_1/subtask/T2/2/2"}; !cmp.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
}

func TestContinuationsThatFail(t *testing.T) {
	tests := map[string]struct {
		second    reply
		code      orchestration.Code
		retryable bool
	}{
		"cut again":        {cutOff("more"), orchestration.CodeTruncated, false},
		"no text":          {fails(&llm.Error{Outcome: llm.Truncated}), orchestration.CodeTruncated, false},
		"no room":          {fails(&llm.Error{Outcome: llm.ContextTooLong}), orchestration.CodeTruncated, false},
		"provider is away": {fails(&llm.Error{Outcome: llm.Unavailable}), orchestration.CodeUpstreamError, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			said := performWork(t, model(cutOff("half "), test.second), testSpec(), orchestration.Work{Subtask: formal, Attempt: 1})
			wantFailure(t, said.Failure, test.code, test.retryable)
			if len(said.Calls) != 2 {
				t.Errorf("%d calls", len(said.Calls))
			}
		})
	}
	t.Run("only thinking", func(t *testing.T) {
		said := performWork(t, model(cutOff("<think>hm, ")), testSpec(), orchestration.Work{Subtask: formal, Attempt: 1})
		wantFailure(t, said.Failure, orchestration.CodeTruncated, false)
		if len(said.Calls) != 1 {
			t.Errorf("%d calls", len(said.Calls))
		}
	})
}

func TestACutPlanIsContinuedWithoutTheSchema(t *testing.T) {
	m := model(cutOff(`{"analysis":"a","subtasks":[{"id":"T1","type":"x","description":"do`), says(` it","depends_on":[]}]}`))
	said := performPlan(t, m, testSpec(), orchestration.MakePlan{Attempt: 1})
	wantFailure(t, said.Failure, "", false)
	if len(said.Plan.Subtasks) != 1 || said.Plan.Subtasks[0].Description != "do it" || len(said.Problems) > 0 {
		t.Errorf("said %+v", said)
	}
	if m.sent[0].Schema == nil || m.sent[1].Schema != nil {
		t.Error("a part of a plan satisfies no schema")
	}
}

// The time of an attempt counts from its first slot, over all its calls.
func TestAFollowUpHasTheTimeThatIsLeft(t *testing.T) {
	for name, test := range map[string]struct {
		took  time.Duration
		calls int
		code  orchestration.Code
	}{
		"some is left": {40 * time.Second, 2, ""},
		"none is left": {60 * time.Second, 1, orchestration.CodeUpstreamTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var timeouts []time.Duration
				client := llm.Func(func(_ context.Context, req *llm.Request) (*llm.Response, error) {
					time.Sleep(time.Hour) // in the queue
					timeouts = append(timeouts, req.Timeout)
					resp := llm.Answer("text of the answer ")
					time.Sleep(test.took)
					resp.Truncated = len(timeouts) == 1
					return resp, nil
				})
				said := performWork(t, client, testSpec(), orchestration.Work{Subtask: formal, Attempt: 1})
				wantFailure(t, said.Failure, test.code, test.code != "")
				if len(timeouts) != test.calls || timeouts[0] != time.Minute || test.calls == 2 && timeouts[1] != 20*time.Second {
					t.Errorf("timeouts %v", timeouts)
				}
			})
		})
	}
}

func TestJoin(t *testing.T) {
	const long = "a sentence of some length, "
	tests := []struct{ part, rest, want string }{
		{"ban", "nana", "bannana"}, // short repetitions may be meant
		{"one, " + long, long + "and on", "one, " + long + "and on"},
		{long, long + "again from the start", long + "again from the start"},
		{"| ---------------- ", "----------------", "| ---------------- ----------------"},
		{long, "<think>where was I?</think>and on", long + "and on"},
		{"<response>" + long, "<response>and on</response>", "<response>" + long + "and on</response>"},
		{long, " <b>and on", long + " <b>and on"},
	}
	for _, test := range tests {
		if got := join(test.part, test.rest); got != test.want {
			t.Errorf("join(%q, %q) = %q, want %q", test.part, test.rest, got, test.want)
		}
	}
}

func TestStreaming(t *testing.T) {
	listened := func(orchestration.Delta) {}
	tests := []struct {
		name    string
		stream  orchestration.Streaming
		listen  func(orchestration.Delta)
		streams bool
		shows   bool
	}{
		{"nobody listens", orchestration.StreamAuto, nil, false, false},
		{"somebody listens", orchestration.StreamAuto, listened, true, true},
		{"always", orchestration.StreamAlways, nil, true, false},
		{"always, and somebody listens", orchestration.StreamAlways, listened, true, true},
		{"never", orchestration.StreamNever, listened, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			spec := testSpec()
			for i := range spec.Models {
				spec.Models[i].Stream = test.stream
			}
			m := model(says(`<response>x</response>`))
			a := New(Options{Client: m, Texts: &shelf{}})
			for _, c := range []orchestration.Command{orchestration.Work{Subtask: formal, Attempt: 1}, orchestration.Synthesize{Attempt: 1}, orchestration.MakePlan{Attempt: 1}} {
				a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: c, Deltas: test.listen})
			}
			for i, req := range m.sent[:2] {
				if req.Stream != test.streams || (req.OnText != nil) != test.shows {
					t.Errorf("call %d: streams %v, shows %v", i, req.Stream, req.OnText != nil)
				}
			}
			if plan := m.sent[2]; plan.Stream != (test.stream != orchestration.StreamNever) || plan.OnText != nil {
				t.Errorf("the plan: streams %v", plan.Stream)
			}
		})
	}
}

// The deltas of an answer add up to the output, however it was written.
func TestDeltasAddUpToTheOutput(t *testing.T) {
	pieces := rapid.SampledFrom([]string{"<think>hm</think>", "<response>", "</response>", " ", "\n", "word", "日本", "🎉", "<b>", "a rather long sentence, "})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(pieces, 1, 10).Draw(t, "text"), "")
		m := model(says(text))
		if rapid.Bool().Draw(t, "cut") {
			m = model(cutOff(text), says(strings.Join(rapid.SliceOfN(pieces, 1, 10).Draw(t, "rest"), "")))
		}
		spec := testSpec()
		a := New(Options{Client: m, Texts: &shelf{}})
		var shown strings.Builder
		said := a.Perform(context.Background(), orchestration.Performance{
			Run: "run_1", Spec: spec, Command: orchestration.Work{Subtask: formal, Attempt: 2},
			Deltas: func(d orchestration.Delta) {
				if d.Run != "run_1" || d.Subtask != "T2" || d.Attempt != 2 || d.Offset != shown.Len() || d.Text == "" {
					t.Fatalf("delta %+v after %d bytes", d, shown.Len())
				}
				shown.WriteString(d.Text)
			},
		}).(orchestration.Worked)
		if said.Failure == nil && shown.String() != said.Output {
			t.Fatalf("shown %q, output %q", shown.String(), said.Output)
		}
	})
}

func TestDeltasThatFailDoNoHarm(t *testing.T) {
	spec := testSpec()
	a := New(Options{Client: model(says("<response>the whole answer</response>")), Texts: &shelf{}})
	said := a.Perform(t.Context(), orchestration.Performance{
		Run: "run_1", Spec: spec, Command: orchestration.Synthesize{Attempt: 1},
		Deltas: func(orchestration.Delta) { panic("the reader is gone") },
	}).(orchestration.Synthesized)
	wantFailure(t, said.Failure, "", false)
	if said.Output != "the whole answer" {
		t.Errorf("output %q", said.Output)
	}
}
