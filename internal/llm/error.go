package llm

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// An Outcome says how a call ended: OK, or the kind of its failure. The set is
// closed, so an Outcome may be a metric label.
type Outcome string

// How a call may end.
const (
	OK             Outcome = "ok"
	RateLimited    Outcome = "rate_limited"     // 429: RetryAfter says when, if the provider did
	Overloaded     Outcome = "overloaded"       // 503, 529: no capacity; RetryAfter as above
	Unavailable    Outcome = "unavailable"      // no connection, a broken one, other 5xx, an answer that is none
	Timeout        Outcome = "timeout"          // first token, idle stream or whole call
	InvalidRequest Outcome = "invalid_request"  // 4xx: the same request would fail again
	Auth           Outcome = "auth"             // 401, 403
	Refused        Outcome = "refused"          // by the model or a content filter
	Empty          Outcome = "empty"            // answered with no text, and no call of a tool
	Truncated      Outcome = "truncated"        // the token limit was reached before any text came, or within calls of tools
	ContextTooLong Outcome = "context_too_long" // the prompt does not fit the model
	TooLarge       Outcome = "too_large"        // the answer exceeds the bytes that we read, or its calls of tools their bounds
	Canceled       Outcome = "canceled"         // our side gave up
)

// An Error is a chat completion that failed.
type Error struct {
	Outcome    Outcome
	Status     int           // the HTTP status, 0 where none came
	RetryAfter time.Duration // 0 when the provider did not say
	Spared     bool          // nobody was asked: there was no connection, or the endpoint is left alone, as it has failed lately
	Window     int           // for ContextTooLong: the model's context window in tokens where the provider named it
	Detail     string        // for people; bounded, and free of secrets
	Calls      []Call        // every call that went out, in order
	Err        error         // the cause, never shown to callers
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("llm: %s (status %d): %s", e.Outcome, e.Status, e.Detail)
	}
	return fmt.Sprintf("llm: %s: %s", e.Outcome, e.Detail)
}

func (e *Error) Unwrap() error { return e.Err }

// Calls returns the calls that went out for a request, however it ended.
func Calls(resp *Response, err error) []Call {
	var failed *Error
	switch {
	case errors.As(err, &failed):
		return failed.Calls
	case resp != nil:
		return resp.Calls
	}
	return nil
}

// Ended returns the Error of a request whose context has ended, with the calls
// that went out for it: Timeout when a deadline passed, otherwise Canceled.
func Ended(ctx context.Context, calls ...Call) *Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{Outcome: Timeout, Detail: "the time for the request is up", Calls: calls, Err: context.Cause(ctx)}
	}
	return &Error{Outcome: Canceled, Detail: "the request was canceled", Calls: calls, Err: context.Cause(ctx)}
}
