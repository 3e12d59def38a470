package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5/middleware"
	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// The codes that only the API gives; the others are the core's.
const (
	codeInvalidRequest        orchestration.Code = "invalid_request"
	codeNotSupported          orchestration.Code = "not_supported"
	codeMissingPromptVariable orchestration.Code = "missing_prompt_variable"
	codeUnauthorized          orchestration.Code = "unauthorized"
	codeForbidden             orchestration.Code = "forbidden"
	codeNotFound              orchestration.Code = "not_found"
	codeConflict              orchestration.Code = "conflict"
	codePayloadTooLarge       orchestration.Code = "payload_too_large"
	codeRateLimited           orchestration.Code = "rate_limited"
	codeOverloaded            orchestration.Code = "overloaded"
	codeStorageUnavailable    orchestration.Code = "storage_unavailable"
	codeUnreadableRun         orchestration.Code = "unreadable_run"
)

// A problemKind says how a problem is shown: the HTTP status that it is answered with, and its title.
type problemKind struct {
	status    int
	title     string
	retryable bool
}

// kinds is the one table from code to HTTP status and title. The codes that
// end runs are in it too, as a failed run shows its failure as a problem.
var kinds = map[orchestration.Code]problemKind{
	codeInvalidRequest:        {400, "The request is not valid", false},
	codeUnauthorized:          {401, "The caller is not known", false},
	codeForbidden:             {403, "The caller may not do that", false},
	codeNotFound:              {404, "There is no such thing", false},
	codeConflict:              {409, "The run is not in a state for that", false},
	codePayloadTooLarge:       {413, "The request is too large", false},
	codeNotSupported:          {422, "This is not supported yet", false},
	codeMissingPromptVariable: {422, "A prompt uses a name that is not given", false},
	codeRateLimited:           {429, "Too many requests", true},
	codeOverloaded:            {503, "The server has too much to do", true},
	codeStorageUnavailable:    {503, "The storage is unavailable", true},
	codeUnreadableRun:         {500, "The run cannot be read", false},

	orchestration.CodePlanInvalid:         {422, "The plan is not valid", false},
	orchestration.CodePlanRefused:         {422, "The planner would not make a plan", false},
	orchestration.CodeContextTooLong:      {422, "The prompt does not fit the model", false},
	orchestration.CodeUpstreamError:       {502, "The model's provider failed", true},
	orchestration.CodeUpstreamRateLimited: {503, "The model's provider has too much to do", true},
	orchestration.CodeUpstreamTimeout:     {504, "The model did not answer in time", true},
	orchestration.CodeTruncated:           {502, "The model's answer was cut", false},
	orchestration.CodeDependencyFailed:    {424, "A dependency did not succeed", false},
	orchestration.CodeOutputTooLarge:      {502, "An output is too large", false},
	orchestration.CodeOutputInvalid:       {502, "An output is not what was asked for", false},
	orchestration.CodeSynthesisFailed:     {502, "The final output could not be made", false},
	orchestration.CodeBudgetExceeded:      {422, "The budget is spent", false},
	orchestration.CodePoisonRun:           {500, "The run cannot be carried on", false},
	orchestration.CodeTimeout:             {504, "The run took too long", false},
	orchestration.CodeCanceled:            {409, "The run was canceled", false},
	orchestration.CodeInternal:            {500, "The server failed", false},

	orchestration.CodeCheckFailed:     {422, "An output did not pass its check", false},
	orchestration.CodePolicyViolation: {422, "An output did not pass the policy", false},
	orchestration.CodeRejected:        {409, "A person rejected it", false},
	orchestration.CodeToolFailed:      {502, "A tool failed", false},
}

// problem returns the problem of that code. It is an error, so that a handler
// can return it; [server.fail] says where and to whom it happened.
func problem(code orchestration.Code, detail string, faults ...Fault) *Problem {
	k, ok := kinds[code]
	if !ok {
		code, k = orchestration.CodeInternal, kinds[orchestration.CodeInternal]
	}
	return &Problem{
		Type: "urn:tutti:problem:" + string(code), Title: k.title, Status: k.status,
		Detail: detail, Code: code, Retryable: k.retryable, Errors: faults,
	}
}

// notSupported refuses what the contract describes and this server is not set up
// for.
func notSupported(detail string) *Problem {
	return problem(codeNotSupported, detail, Fault{Code: string(codeNotSupported), Detail: detail})
}

// with gives the problem another status than its code's own.
func (p *Problem) with(status int) *Problem {
	p.Status = status
	return p
}

// Error makes a problem an error.
func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// invalid returns the problem of a request with those faults.
func invalid(faults []Fault) *Problem {
	return problem(codeInvalidRequest, summary(faults), faults...)
}

// summary tells the faults in one line, the first few of them. Where there are as many
// as are looked for, nobody knows how many more there are.
func summary(faults []Fault) string {
	const most = 5
	var parts []string
	for _, f := range faults[:min(len(faults), most)] {
		parts = append(parts, strings.TrimPrefix(f.Pointer+": ", ": ")+f.Detail)
	}
	switch {
	case len(faults) >= maxFaults:
		parts = append(parts, "and more")
	case len(faults) > most:
		parts = append(parts, strconv.Itoa(len(faults)-most)+" more")
	}
	return strings.Join(parts, "; ")
}

// asProblem says what an error is to the caller. What is none of the caller's
// business is internal, and shows nothing of itself.
func asProblem(err error) *Problem {
	var p *Problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &tooLarge):
		return problem(codePayloadTooLarge, "The body is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes.")
	case errors.Is(err, orchestration.ErrNotFound):
		return problem(codeNotFound, "There is no such run.")
	case errors.Is(err, orchestration.ErrNewer):
		return problem(codeUnreadableRun, "A newer version of the server wrote this run, and this one cannot read it. "+
			"It can be had from that version, as soon as it is started again; or delete it, for good.")
	case errors.Is(err, orchestration.ErrUnreadable):
		return problem(codeUnreadableRun, "What is kept of this run cannot be read: it will not go on, and cannot be canceled. "+
			"Delete it; or have the operator go back to a copy of the journal, or to the version of the server that could read it.")
	case errors.Is(err, orchestration.ErrConflict):
		return problem(codeConflict, "The run has not ended.")
	case errors.Is(err, orchestration.ErrNotWaiting):
		return problem(codeConflict, "It does not wait for a decision, or not any more.")
	case errors.Is(err, orchestration.ErrOverloaded):
		return problem(codeOverloaded, "As many runs as the server takes are waiting or at work; try again.")
	case errors.Is(err, orchestration.ErrTooManyRuns):
		return problem(codeRateLimited, "As many of your runs as you may have are waiting or at work; try again when one has ended.")
	case errors.Is(err, orchestration.ErrUnavailable):
		return problem(codeStorageUnavailable, "The storage cannot be reached; try again.")
	}
	return problem(orchestration.CodeInternal, "Something went wrong in the server. The log knows more under the request's id.")
}

// fail answers with the problem that err is.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		x.gone = true // nobody reads an answer
		return
	}
	if answer, ok := w.(middleware.WrapResponseWriter); ok && answer.Status() != 0 {
		s.log.Debug("answer cut short", zap.String("request_id", x.requestID), zap.Error(err))
		return
	}
	p := *asProblem(err)
	if p.Status >= 500 && p.Code != codeOverloaded && (x.operation == nil || !x.operation.open) { // probes are answered so for as long as it takes
		s.log.Error("request failed", zap.String("request_id", x.requestID), zap.String("code", string(p.Code)), zap.Error(err))
	}
	if s.stops() && errors.Is(err, orchestration.ErrOverloaded) {
		p.Detail = "This server is about to stop; try again, for another one to hear it."
	}
	p.RequestId = x.requestID
	if p.Instance == "" {
		p.Instance = r.URL.EscapedPath()
	}
	h := w.Header()
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="tutti"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	if err := writeJSON(w, p.Status, "application/problem+json", p); err != nil {
		s.log.Debug("answer not written", zap.String("request_id", x.requestID), zap.Error(err))
	}
}
