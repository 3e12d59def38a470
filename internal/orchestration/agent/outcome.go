package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// An ending is what a call that failed means to the attempt that it was made for.
type ending struct {
	code      orchestration.Code
	retryable bool
	words     string
}

// endings is the whole table. ContextTooLong is retryable where a next attempt
// will be smaller, which only the caller knows.
var endings = map[llm.Outcome]ending{
	llm.RateLimited:    {orchestration.CodeUpstreamRateLimited, true, "the model's provider limits our rate"},
	llm.Overloaded:     {orchestration.CodeUpstreamError, true, "the model's provider has no capacity"},
	llm.Unavailable:    {orchestration.CodeUpstreamError, true, "the model's provider could not be reached or broke off"},
	llm.Timeout:        {orchestration.CodeUpstreamTimeout, true, "the model did not answer in time"},
	llm.InvalidRequest: {orchestration.CodeUpstreamError, false, "the model's provider refused the request"},
	llm.Auth:           {orchestration.CodeUpstreamError, false, "the model's provider refused our credentials"},
	llm.Refused:        {orchestration.CodeUpstreamError, false, "the model, or a filter before it, refused to answer"},
	llm.Empty:          {orchestration.CodeOutputInvalid, true, "the model answered with nothing"},
	llm.Truncated:      {orchestration.CodeTruncated, false, "the model reached its token limit before it answered"},
	llm.ContextTooLong: {orchestration.CodeContextTooLong, false, "the prompt does not fit the model's context window"},
	llm.TooLarge:       {orchestration.CodeOutputTooLarge, false, "the model's answer is larger than may be read"},
	llm.Canceled:       {orchestration.CodeCanceled, false, "the call was given up"},
}

// maxDetail bounds a failure's detail, in bytes.
const maxDetail = 500

// failureOf says what a failed call means to the attempt.
func failureOf(ctx context.Context, role llm.Role, err error) *orchestration.Failure {
	var failed *llm.Error
	switch {
	case errors.Is(err, errTenantBudget):
		return &orchestration.Failure{Code: orchestration.CodeBudgetExceeded, Detail: err.Error()}
	case errors.Is(err, errHold):
		return internal(err.Error())
	}
	if !errors.As(err, &failed) {
		if ctx.Err() != nil {
			return canceled()
		}
		return &orchestration.Failure{Code: orchestration.CodeUpstreamError, Detail: "the model could not be called", Retryable: true}
	}
	e, known := endings[failed.Outcome]
	if !known {
		e = ending{orchestration.CodeUpstreamError, true, "the call to the model failed"}
	}
	if failed.Outcome == llm.Refused && role == llm.Planner {
		e.code = orchestration.CodePlanRefused
	}
	f := &orchestration.Failure{Code: e.code, Detail: e.words, Retryable: e.retryable}
	if failed.Detail != "" {
		f.Detail = shortly(e.words+": "+failed.Detail, maxDetail)
	}
	if e.retryable {
		f.RetryAfter, f.Spared = failed.RetryAfter, failed.Spared
	}
	return f
}

// failed says what a failed call means to the attempt. One that made calls before has
// cost something, and counts.
func (p *performance) failed(ctx context.Context, err error) *orchestration.Failure {
	f := failureOf(ctx, p.role, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	f.Spared = f.Spared && len(p.calls) == 0
	return f
}

// outcomeOf returns the kind of a call's failure.
func outcomeOf(err error) llm.Outcome {
	var failed *llm.Error
	if errors.As(err, &failed) {
		return failed.Outcome
	}
	return ""
}

// Failures that are not a call's.

func canceled() *orchestration.Failure {
	return &orchestration.Failure{Code: orchestration.CodeCanceled, Detail: endings[llm.Canceled].words}
}

// internal is a fault of ours. Another attempt gets another answer from the
// model, or another chance to read, so it might do better.
func internal(detail string) *orchestration.Failure {
	return &orchestration.Failure{Code: orchestration.CodeInternal, Detail: detail, Retryable: true}
}

// unusable is a caller's prompt that should have been refused with its run.
func unusable(detail string) *orchestration.Failure {
	return &orchestration.Failure{Code: orchestration.CodeInternal, Detail: shortly("the prompt cannot be used: "+detail, maxDetail)}
}

// unread is what could not be read, unless that is because ctx has ended.
func unread(ctx context.Context, detail string) *orchestration.Failure {
	if ctx.Err() != nil {
		return canceled()
	}
	return internal(detail)
}

func invalidOutput(detail string, retryable bool) *orchestration.Failure {
	return &orchestration.Failure{Code: orchestration.CodeOutputInvalid, Detail: shortly(detail, maxDetail), Retryable: retryable}
}

func truncated(detail string) *orchestration.Failure {
	return &orchestration.Failure{Code: orchestration.CodeTruncated, Detail: detail}
}

func tooLong(detail string) *orchestration.Failure {
	return &orchestration.Failure{Code: orchestration.CodeContextTooLong, Detail: detail}
}

// record adds calls to those of the attempt, and pays for them: where the
// provider does not say what a prompt took, what was estimated. One that was not sent
// is none.
func (p *performance) record(calls []llm.Call, request *llm.Request) {
	calls = slices.DeleteFunc(slices.Clone(calls), func(c llm.Call) bool { return c.Unsent })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.purse.pay(calls, request)
	for _, c := range calls {
		usage := orchestration.Usage{
			PromptTokens:     c.Usage.Prompt,
			CachedTokens:     c.Usage.Cached,
			CompletionTokens: c.Usage.Completion,
			ReasoningTokens:  c.Usage.Reasoning,
		}
		p.calls = append(p.calls, orchestration.Call{
			Role: string(p.role), Worker: p.worker, Model: p.model.Name, Attempt: p.attempt,
			Queued: moment(c.Queued), Started: moment(c.Started), FirstToken: moment(c.FirstToken), Ended: moment(c.Ended),
			Outcome: string(c.Outcome), Usage: usage, CostUSD: p.model.Price.Cost(usage), Hedged: c.Hedged,
		})
	}
}

// moment is a time as it is kept: in UTC, without a monotonic reading.
func moment(t time.Time) time.Time { return t.UTC().Round(0) }
