package llm

import (
	"context"
	"time"
)

// A Func is a Client in one function, above all for tests of what calls one.
type Func func(ctx context.Context, req *Request) (*Response, error)

// Chat calls f.
func (f Func) Chat(ctx context.Context, req *Request) (*Response, error) { return f(ctx, req) }

// Answer returns the Response of one call that gave the text, now.
func Answer(text string) *Response {
	now := time.Now()
	return &Response{Text: text, Calls: []Call{{Started: now, Ended: now, Outcome: OK}}}
}

// Failure returns the Error of one call that ended with the outcome, now.
func Failure(outcome Outcome) *Error {
	now := time.Now()
	return &Error{Outcome: outcome, Detail: "a failure made for a test", Calls: []Call{{Started: now, Ended: now, Outcome: outcome}}}
}
