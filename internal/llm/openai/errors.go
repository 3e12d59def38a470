package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"unicode"

	api "github.com/sashabaranov/go-openai"

	"github.com/tutti-run/tutti/internal/llm"
)

// A timeout is a limit of ours that ended a call.
type timeout string

func (t timeout) Error() string { return string(t) }

const (
	errNoToken timeout = "no token came in time"
	errIdle    timeout = "the stream stood still"
	errSlow    timeout = "the call took too long"
)

var (
	errTooLarge = errors.New("the answer is larger than what is read")
	errNoAnswer = errors.New("what came is not a chat completion")
	errBrokeOff = errors.New("the answer broke off")
)

// unsent returns the Error of a request that cannot be made.
func (c *Client) unsent(err error) *llm.Error {
	return &llm.Error{Outcome: llm.InvalidRequest, Detail: c.clean(err.Error()), Err: err}
}

// explain returns the Error of a call that failed.
func (c *Client) explain(parent, ctx context.Context, x *exchange, err error) *llm.Error {
	if told, ok := errors.AsType[*fault](err); ok {
		return c.blame(told)
	}
	failed := &llm.Error{Outcome: llm.Unavailable, Status: x.status, Err: err}
	limit, limited := errors.AsType[timeout](context.Cause(ctx))
	_, network := errors.AsType[net.Error](err)
	switch {
	case limited:
		failed.Outcome, failed.Detail = llm.Timeout, limit.Error()
	case parent.Err() != nil:
		ended := llm.Ended(parent)
		failed.Outcome, failed.Detail = ended.Outcome, ended.Detail
	case errors.Is(err, errTooLarge):
		failed.Outcome = llm.TooLarge
		failed.Detail = fmt.Sprintf("the answer has more than %d bytes, or a line of it more than %d", c.maxBytes, maxLine)
	case errors.Is(err, errTooManyCalls):
		failed.Outcome, failed.Detail = llm.TooLarge, errTooManyCalls.Error()
	case x.body == nil:
		failed.Detail, failed.Spared = "no connection to the endpoint"+reason(err), unconnected(err)
	case errors.Is(err, errBrokeOff), errors.Is(err, io.ErrUnexpectedEOF):
		failed.Detail = errBrokeOff.Error()
	case network:
		failed.Detail = errBrokeOff.Error() + reason(err)
	default:
		if told := readFault(http.StatusOK, nil, x.body.start); told != nil {
			return c.blame(told)
		}
		failed.Detail = errNoAnswer.Error()
	}
	return failed
}

// unconnected reports whether there was no connection to send the request on, so that
// nobody was asked. It may be the second one that was tried: net/http dials anew for a
// POST only where nothing of it was written yet or the endpoint says that it has not
// looked at it (see also idempotencyHeader).
func unconnected(err error) bool {
	op, network := errors.AsType[*net.OpError](err)
	_, lookup := errors.AsType[*net.DNSError](err)
	return lookup || network && op.Op == "dial"
}

// reason names the cause of a failed connection where it can be told without
// the addresses.
func reason(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return ": no such host"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return ": " + errno.Error()
	}
	return ""
}

// How answers end that OpenAI's do not. But for the first, what the model had said
// until then is no answer, though it may look like one.
const (
	finishWindow     api.FinishReason = "model_length"                 // Mistral: a limit too, that of the model
	finishNoCapacity api.FinishReason = "insufficient_system_resource" // DeepSeek
	finishError      api.FinishReason = "error"                        // Mistral, OpenRouter
	finishAbort      api.FinishReason = "abort"                        // vLLM, SGLang
)

// cut reports whether a limit of tokens ended the answer.
func (a *answer) cut() bool {
	return a.finish == api.FinishReasonLength || a.finish == finishWindow
}

// judge returns the Error of an answer that came whole but is none, nil if it
// is good.
func (c *Client) judge(got answer) *llm.Error {
	switch {
	case got.refusal != "":
		return &llm.Error{Outcome: llm.Refused, Status: http.StatusOK, Detail: c.clean("the model refused: " + got.refusal)}
	case got.finish == api.FinishReasonContentFilter:
		return &llm.Error{Outcome: llm.Refused, Status: http.StatusOK, Detail: "a content filter stopped the answer"}
	case got.finish == finishNoCapacity:
		return &llm.Error{Outcome: llm.Overloaded, Status: http.StatusOK, Detail: errBrokeOff.Error() + ": the endpoint has no capacity"}
	case got.finish == finishError, got.finish == finishAbort:
		return &llm.Error{Outcome: llm.Unavailable, Status: http.StatusOK, Detail: errBrokeOff.Error()}
	case len(got.calls) > 0 && got.cut():
		return &llm.Error{Outcome: llm.Truncated, Status: http.StatusOK, Detail: "the token limit was reached within the calls of tools"}
	case strings.TrimSpace(got.text) != "", len(got.calls) > 0:
		return nil
	case got.cut():
		return &llm.Error{Outcome: llm.Truncated, Status: http.StatusOK, Detail: "the token limit was reached before any text came"}
	}
	return &llm.Error{Outcome: llm.Empty, Status: http.StatusOK, Detail: "the answer has no text"}
}

// maxDetail bounds what is passed on of an endpoint's own words, in runes.
const maxDetail = 300

// clean makes an endpoint's words fit for people: one short line, without the
// key.
func (c *Client) clean(text string) string {
	if c.key != "" {
		text = strings.ReplaceAll(text, c.key, "[key]")
	}
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "�"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if runes := []rune(text); len(runes) > maxDetail {
		text = string(runes[:maxDetail-1]) + "…"
	}
	return text
}
