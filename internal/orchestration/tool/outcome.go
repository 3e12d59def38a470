package tool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"code.dny.dev/ssrf"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// An Outcome is how a call ended, from a closed set.
type Outcome string

// The outcomes.
const (
	OK               Outcome = "ok"
	InvalidArguments Outcome = "invalid_arguments" // nothing went out
	Refused          Outcome = "refused"           // by the tool: another try would be too
	RateLimited      Outcome = "rate_limited"
	Unavailable      Outcome = "unavailable" // it could not be reached, broke off, or said so
	TimedOut         Outcome = "timeout"
	Prohibited       Outcome = "prohibited" // by us: an address, or a redirect
	TooLarge         Outcome = "too_large"
	Unreadable       Outcome = "unreadable" // it answered with what is no text
	Canceled         Outcome = "canceled"
)

// Bounds of texts, in bytes.
const (
	maxDetail      = 500
	maxWords       = 300     // of a tool's own, in a detail
	maxDescription = 4 << 10 // of a tool
	maxFaultBody   = 8 << 10 // of an answer that says what went wrong
)

// maxRetryAfter bounds what a tool may ask for.
const maxRetryAfter = time.Hour

// An ending is what became of a call.
type ending struct {
	outcome Outcome
	text    string // when it is OK
	failure *orchestration.Failure
}

// failed is the end of a call that the tool, or the way to it, is the reason of.
func failed(o Outcome, retryable bool, format string, args ...any) ending {
	return ending{outcome: o, failure: &orchestration.Failure{
		Code: orchestration.CodeToolFailed, Detail: shortly(fmt.Sprintf(format, args...), maxDetail), Retryable: retryable,
	}}
}

// invalid is the end of a call whose arguments do not suit the tool.
func invalid(format string, args ...any) ending {
	e := failed(InvalidArguments, false, format, args...)
	e.failure.Code = orchestration.CodeOutputInvalid
	return e
}

func tooLarge(most int) ending {
	e := failed(TooLarge, false, "the tool's answer has more than %d bytes", most)
	e.failure.Code = orchestration.CodeOutputTooLarge
	return e
}

func canceled() ending {
	e := failed(Canceled, false, "the call was given up")
	e.failure.Code = orchestration.CodeCanceled
	return e
}

// broke says in our words why there was no answer, since the error's own hold
// addresses. ctx is the caller's, without the tool's timeout.
func broke(ctx context.Context, err error, timeout time.Duration) ending {
	var name *net.DNSError
	var dial *net.OpError
	var slow net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return canceled()
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork):
		return failed(Prohibited, false, "the tool's address is not a public one, and not allowed by allow_private")
	case errors.Is(err, errRedirect):
		return failed(Prohibited, false, "the tool redirects to where it may not")
	case ctx.Err() != nil:
		return failed(TimedOut, true, "the tool did not answer before the time of the attempt was up; what it did is not known")
	case errors.Is(err, context.DeadlineExceeded):
		return failed(TimedOut, true, "the tool did not answer within %s; what it did is not known", timeout)
	case errors.As(err, &name):
		return failed(Unavailable, true, "the name of the tool's host cannot be resolved")
	case errors.As(err, &dial) && dial.Op == "dial", errors.As(err, &slow) && slow.Timeout():
		return failed(Unavailable, true, "the tool cannot be reached")
	}
	return failed(Unavailable, true, "the connection to the tool broke; what it did is not known")
}

// refused says what an answer with another status than 2xx means.
func refused(status int, header http.Header, words string) ending {
	said := fmt.Sprintf("the tool answered with status %d", status)
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden: // its words may echo what it refused
	case status >= 300 && status < 400:
		said += ": redirects are not followed"
	case words != "":
		said += ": " + words
	}
	e := failed(Refused, false, "%s", said)
	switch {
	case status == http.StatusTooManyRequests:
		e.outcome, e.failure.Retryable = RateLimited, true
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		e.outcome, e.failure.Retryable = Unavailable, true
	}
	if e.failure.Retryable {
		e.failure.RetryAfter = retryAfter(header, time.Now())
	}
	return e
}

// retryAfter returns how long an answer asks to wait, at most an hour; 0 if it
// does not.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// words makes what a tool said fit for a failure's detail: bounded, in one line,
// and no page of HTML.
func words(said string) string {
	said = strings.ToValidUTF8(strings.TrimSpace(said), "�")
	if strings.HasPrefix(said, "<") {
		return ""
	}
	said = strings.Join(strings.FieldsFunc(said, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	return shortly(said, maxWords)
}

// shortly cuts a text that is longer than most bytes, between characters.
func shortly(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
