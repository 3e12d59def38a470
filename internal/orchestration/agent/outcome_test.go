package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

func TestFailuresOfCalls(t *testing.T) {
	tests := []struct {
		outcome   llm.Outcome
		code      orchestration.Code
		retryable bool
	}{
		{llm.RateLimited, orchestration.CodeUpstreamRateLimited, true},
		{llm.Overloaded, orchestration.CodeUpstreamError, true},
		{llm.Unavailable, orchestration.CodeUpstreamError, true},
		{llm.Timeout, orchestration.CodeUpstreamTimeout, true},
		{llm.InvalidRequest, orchestration.CodeUpstreamError, false},
		{llm.Auth, orchestration.CodeUpstreamError, false},
		{llm.Refused, orchestration.CodeUpstreamError, false},
		{llm.Empty, orchestration.CodeOutputInvalid, true},
		{llm.Truncated, orchestration.CodeTruncated, false},
		{llm.TooLarge, orchestration.CodeOutputTooLarge, false},
		{llm.Canceled, orchestration.CodeCanceled, false},
		{"unheard_of", orchestration.CodeUpstreamError, true},
	}
	for _, test := range tests {
		t.Run(string(test.outcome), func(t *testing.T) {
			m := model(fails(&llm.Error{Outcome: test.outcome, RetryAfter: 7 * time.Second, Detail: strings.Repeat("é", 1000)}))
			said := performWork(t, m, testSpec(), orchestration.Work{Subtask: formal, Attempt: 3})
			wantFailure(t, said.Failure, test.code, test.retryable)
			if after := said.Failure.RetryAfter; test.retryable != (after == 7*time.Second) {
				t.Errorf("retry after %v", after)
			}
			if n := len(said.Failure.Detail); n == 0 || n > maxDetail+len("…") {
				t.Errorf("a detail of %d bytes", n)
			}
			if said.Attempt != 3 || said.Subtask != "T2" || len(said.Calls) != 1 || said.Calls[0].Outcome != string(test.outcome) {
				t.Errorf("said %+v", said)
			}
		})
	}
}

// Where nobody was asked at all the attempt counts for nothing; a call before that costs.
func TestAnEndpointIsSpared(t *testing.T) {
	away := llm.Call{Outcome: llm.Unavailable, Unsent: true}
	for name, test := range map[string]struct {
		before []llm.Call
		want   bool
	}{
		"nobody was asked":             {nil, true},
		"there was no connection":      {[]llm.Call{away}, true},
		"only the first call was made": {[]llm.Call{{Outcome: llm.Truncated}}, false},
		"then there was no connection": {[]llm.Call{{Outcome: llm.Truncated}, away}, false},
	} {
		t.Run(name, func(t *testing.T) {
			spared := llm.Func(func(context.Context, *llm.Request) (*llm.Response, error) {
				return nil, &llm.Error{Outcome: llm.Unavailable, Spared: true, RetryAfter: time.Second, Calls: test.before}
			})
			said := performWork(t, spared, testSpec(), orchestration.Work{Subtask: formal, Attempt: 1})
			wantFailure(t, said.Failure, orchestration.CodeUpstreamError, true)
			if said.Failure.Spared != test.want {
				t.Errorf("spared: %v", said.Failure.Spared)
			}
			if sent := len(said.Calls); (sent == 0) != test.want {
				t.Errorf("%d calls were sent: %+v", sent, said.Calls)
			}
		})
	}
}

func TestARefusedPlan(t *testing.T) {
	said := performPlan(t, model(fails(&llm.Error{Outcome: llm.Refused})), testSpec(), orchestration.MakePlan{Attempt: 1})
	wantFailure(t, said.Failure, orchestration.CodePlanRefused, false)
}

func TestCallsAreReported(t *testing.T) {
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	call := llm.Call{
		Queued: at, Started: at.Add(1), FirstToken: at.Add(2), Ended: at.Add(3), Outcome: llm.OK,
		Usage: llm.Usage{Prompt: 1000, Cached: 400, Completion: 200, Reasoning: 50},
	}
	answers := llm.Func(func(context.Context, *llm.Request) (*llm.Response, error) {
		return &llm.Response{Text: "done", Calls: []llm.Call{{Outcome: llm.RateLimited}, call}}, nil
	})
	spec := testSpec()
	spec.Workers[0].Model = "big"
	said := performWork(t, answers, spec, orchestration.Work{Subtask: formal, Attempt: 2, Worker: "researcher"})
	want := orchestration.Call{
		Role: "worker", Worker: "researcher", Model: "big", Attempt: 2,
		Queued: at, Started: at.Add(1), FirstToken: at.Add(2), Ended: at.Add(3), Outcome: "ok",
		Usage:   orchestration.Usage{PromptTokens: 1000, CachedTokens: 400, CompletionTokens: 200, ReasoningTokens: 50},
		CostUSD: (600*1 + 400*0.5 + 200*10) / 1e6,
	}
	if len(said.Calls) != 2 || said.Calls[0].Outcome != "rate_limited" || said.Calls[1] != want {
		t.Errorf("calls %+v, want the last to be %+v", said.Calls, want)
	}
}

// A client that breaks its contract does no harm.
func TestStrangeErrors(t *testing.T) {
	broken := llm.Func(func(ctx context.Context, _ *llm.Request) (*llm.Response, error) {
		return nil, errors.New("key sk-secret")
	})
	said := performWork(t, broken, testSpec(), orchestration.Work{Subtask: formal, Attempt: 1})
	wantFailure(t, said.Failure, orchestration.CodeUpstreamError, true)
	if strings.Contains(said.Failure.Detail, "secret") {
		t.Errorf("detail: %s", said.Failure.Detail)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := New(Options{Client: broken, Texts: &shelf{}})
	work := a.Perform(ctx, orchestration.Performance{Run: "run_1", Spec: testSpec(), Command: orchestration.Work{Subtask: formal, Attempt: 1}}).(orchestration.Worked)
	wantFailure(t, work.Failure, orchestration.CodeCanceled, false)
}

// What cannot be read from the journal may be there the next time.
func TestUnreadableTexts(t *testing.T) {
	lost := facts
	lost.Output = orchestration.Text{Seq: 9, Bytes: 10_000}
	m := model(says("x"))
	for _, failure := range []*orchestration.Failure{
		performWork(t, m, testSpec(), orchestration.Work{Subtask: formal, Attempt: 1, Dependencies: []orchestration.Result{lost}}).Failure,
		performPlan(t, m, testSpec(), orchestration.MakePlan{Attempt: 2, Repair: &orchestration.Repair{Answer: lost.Output}}).Failure,
		performSynthesis(t, m, testSpec(), orchestration.Synthesize{Attempt: 1, Results: []orchestration.Result{lost}}).Failure,
	} {
		wantFailure(t, failure, orchestration.CodeInternal, true)
		if strings.Contains(failure.Detail, "secret") {
			t.Errorf("detail: %s", failure.Detail)
		}
	}
	if len(m.sent) > 0 {
		t.Error("a model was called")
	}
}

func TestPanicsAreContained(t *testing.T) {
	text := "the model's own words"
	panics := llm.Func(func(context.Context, *llm.Request) (*llm.Response, error) { panic(text) })
	for _, failure := range []*orchestration.Failure{
		performWork(t, panics, testSpec(), orchestration.Work{Subtask: formal, Attempt: 1}).Failure,
		performPlan(t, panics, testSpec(), orchestration.MakePlan{Attempt: 1}).Failure,
		performSynthesis(t, panics, testSpec(), orchestration.Synthesize{Attempt: 1}).Failure,
		performWork(t, panics, nil, orchestration.Work{Subtask: formal, Attempt: 1}).Failure,
	} {
		wantFailure(t, failure, orchestration.CodeInternal, true)
		if strings.Contains(failure.Detail, text) {
			t.Errorf("detail: %s", failure.Detail)
		}
	}
}

func TestOtherCommandsAreNotPerformed(t *testing.T) {
	if said := perform(t, model(says("x")), testSpec(), orchestration.SetTimer{}); said != nil {
		t.Errorf("said %+v", said)
	}
}
