package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
)

// A fault is what an endpoint said instead of an answer, in whichever of the
// many shapes of such a thing.
type fault struct {
	http       int // the status line
	status     int // what the fault amounts to: told in the body where http is 200; 0 unknown
	kind       string
	code       string
	param      string
	message    string
	window     int // in tokens
	retryAfter time.Duration
}

// Error has none of the endpoint's words, as it may end up in a log.
func (f *fault) Error() string { return "the endpoint answered with status " + strconv.Itoa(f.http) }

// words are the shapes of a fault: OpenAI's {"error": {…}}, the same flat
// (vLLM), as a list of one (Gemini), with a string as the error (Ollama), or
// {"detail": …} (FastAPI).
type words struct {
	Error   json.RawMessage `json:"error"`
	Message json.RawMessage `json:"message"`
	Detail  json.RawMessage `json:"detail"`
	Type    json.RawMessage `json:"type"`
	Code    json.RawMessage `json:"code"`
	Param   json.RawMessage `json:"param"`
	Window  json.RawMessage `json:"n_ctx"` // llama.cpp
	Inner   struct {
		Code json.RawMessage `json:"code"`
	} `json:"innererror"` // Azure
}

// readFault reads a fault. Where the status is 200 it returns nil unless the
// body tells of an error.
func readFault(status int, header http.Header, body []byte) *fault {
	f := &fault{http: status, status: status, retryAfter: retryAfter(header, body)}
	body = bytes.TrimSpace(body)
	if list := []json.RawMessage(nil); json.Unmarshal(body, &list) == nil && len(list) > 0 {
		body = list[0]
	}
	var said words
	_ = json.Unmarshal(body, &said) // what can be read of it
	inner := said.Error
	told := len(inner) > 0 && string(inner) != "null"
	if said.Error = nil; told && inner[0] == '{' {
		_ = json.Unmarshal(inner, &said)
	} else if told {
		said.Message = inner
	}
	f.kind, f.code, f.param = text(said.Type), text(said.Code), text(said.Param)
	if code := text(said.Inner.Code); code != "" {
		f.code += " " + code
	}
	f.window, _ = strconv.Atoi(text(said.Window))
	f.message = text(said.Message)
	if f.message == "" {
		f.message = faultsFound(said.Detail)
	}
	if f.message == "" && !bytes.HasPrefix(body, []byte("<")) {
		f.message = string(body) // plain text, or a shape not known; but no page of HTML
	}
	if len(f.message) > maxMessage {
		f.message = f.message[:maxMessage]
	}
	if status == http.StatusOK {
		if !told {
			return nil
		}
		f.status = statusInside(f.kind, f.code)
	}
	return f
}

// maxMessage bounds what is looked at of a message.
const maxMessage = 8 << 10

// text returns a JSON string's content, any other value as it is written.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil || string(raw) == "null" {
		return s
	}
	return string(raw)
}

// statusInside is what an error within a 200 amounts to, 0 if that is not told.
func statusInside(kind, code string) int {
	if n, err := strconv.Atoi(code); err == nil && n >= 400 && n < 600 {
		return n
	}
	switch kind {
	case "overloaded_error":
		return 529
	case "rate_limit_error":
		return http.StatusTooManyRequests
	case "authentication_error", "permission_error":
		return http.StatusUnauthorized
	case "invalid_request_error":
		return http.StatusBadRequest
	}
	return 0
}

// blame returns the Error that a fault amounts to.
func (c *Client) blame(f *fault) *llm.Error {
	failed := &llm.Error{Outcome: llm.Unavailable, Status: f.http, RetryAfter: f.retryAfter, Detail: c.clean(f.message), Err: f}
	if failed.Detail == "" {
		failed.Detail = fmt.Sprintf("the endpoint answered with status %d and gave no reason", f.http)
	}
	said := withoutEcho(f.message)
	window, tooLong := f.tooLong()
	switch {
	case f.noCredit():
		// It stays refused until somebody pays: nothing that waiting mends.
		failed.Outcome, failed.Detail = llm.Auth, "the endpoint's account has no credit left"
	case f.status == http.StatusUnauthorized, f.status == http.StatusForbidden:
		failed.Outcome, failed.Detail = llm.Auth, "the endpoint refused the key, or what it may do" // its words may echo the key
	case f.status == http.StatusTooManyRequests && !neverTaken.MatchString(said):
		failed.Outcome = llm.RateLimited
	case tooLong:
		failed.Outcome, failed.Window = llm.ContextTooLong, window
	case f.filtered():
		failed.Outcome = llm.Refused
	case toolWords.MatchString(said):
		failed.Outcome = llm.InvalidRequest
	case f.status == http.StatusRequestTimeout:
		failed.Outcome = llm.Timeout
	case f.status == http.StatusServiceUnavailable, f.status == 529, f.status == 498:
		failed.Outcome = llm.Overloaded
	case slices.Contains(passing, f.status):
		failed.Outcome = llm.Unavailable
	case f.status >= 300 && f.status < 500:
		failed.Outcome = llm.InvalidRequest
	}
	return failed
}

// passing are statuses of a client's fault that are none: TGI's model broke (424), or
// Gemini gave up by itself (499).
var passing = []int{http.StatusConflict, http.StatusFailedDependency, http.StatusTooEarly, 499}

// noCredit tells a spent account (OpenAI's insufficient_quota, a 402) from a
// rate limit. Gemini calls its rate limits a quota too, but only in words.
func (f *fault) noCredit() bool {
	return f.status == http.StatusPaymentRequired || f.code == "insufficient_quota" || f.kind == "insufficient_quota"
}

func (f *fault) filtered() bool {
	return strings.Contains(f.code, "content_filter") || strings.Contains(f.code, "content_policy") ||
		strings.Contains(f.code, "ResponsibleAIPolicyViolation")
}

// aboutThisSchema reports whether a fault concerns the schema that was sent,
// and not the model: another one may pass.
func (f *fault) aboutThisSchema() bool {
	return f.code == "invalid_json_schema" || schemaWords.MatchString(withoutEcho(f.message))
}

// schemaWords are how OpenAI, vLLM and llama.cpp find fault with a schema.
var schemaWords = regexp.MustCompile(`(?i)invalid schema|provided json schema|schema conversion failed`)

// toolWords are how llama.cpp says that it was not started for tools, under a
// status that sounds as if it could be tried again.
var toolWords = regexp.MustCompile(`(?i)tools param requires|cannot use tools`)

// neverTaken are OpenAI's and Groq's words for a request that has more tokens than they
// take in a minute. Its status is that of a limit that others may still keep within, but
// waiting does not help it, and holding back the others does not either.
var neverTaken = regexp.MustCompile(`(?is)request too large .*: limit ([\d,]+), requested`)

// tooLongWords are how endpoints say that a prompt does not fit, with the
// model's window where they name it.
var tooLongWords = []*regexp.Regexp{
	neverTaken,
	regexp.MustCompile(`(?i)maximum (?:context|prompt|model) length (?:is|of) ([\d,]+)`),                           // OpenAI, vLLM, xAI, OpenRouter
	regexp.MustCompile(`(?i)([\d,]+) maximum context length`),                                                      // Mistral
	regexp.MustCompile(`(?i)exceeds? (?:the )?(?:available )?context size(?: \(([\d,]+) tokens\))?`),               // llama.cpp
	regexp.MustCompile(`(?i)too long: [\d,]+ tokens > ([\d,]+) maximum`),                                           // Anthropic
	regexp.MustCompile(`(?i)maximum number of tokens allowed \(([\d,]+)\)`),                                        // Gemini
	regexp.MustCompile(`(?i)exceeds? (?:the )?context (?:window|limit|length)[^\d]{0,8}(?:[\d, +]+ > )?([\d,]+)?`), // Ollama, Anthropic, llama-cpp-python
	regexp.MustCompile(`(?i)model's context length \(([\d,]+) tokens\)`),                                           // SGLang
	regexp.MustCompile(`(?i)\(context length ([\d,]+)\)`),                                                          // older vLLM
	regexp.MustCompile(`(?i)(?:must have less than|max_new_tokens. must be <=) ([\d,]+)`),                          // TGI
	regexp.MustCompile(`(?i)context_length_exceeded|exceed_context_size|context size has been exceeded|(?:prompt|input) is too long|request too large`),
}

// tooLong reports whether the prompt does not fit, and the model's window, 0
// when that is not told.
func (f *fault) tooLong() (window int, yes bool) {
	said := f.code + " " + f.kind + " " + withoutEcho(f.message)
	for _, words := range tooLongWords {
		found := words.FindStringSubmatch(said)
		if found == nil {
			continue
		}
		if len(found) > 1 {
			window, _ = strconv.Atoi(strings.ReplaceAll(found[1], ",", ""))
		}
		yes = true
		if window > 0 {
			break
		}
	}
	if window == 0 {
		window = f.window
	}
	if window > maxTokens || window < 0 {
		window = 0
	}
	return window, yes || f.status == http.StatusRequestEntityTooLarge
}

// maxRetryAfter bounds what an endpoint may ask for.
const maxRetryAfter = 24 * time.Hour

// inBody is how Gemini says when to try again.
var inBody = regexp.MustCompile(`"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"`)

// retryAfter returns when to try again, 0 if that is not told.
func retryAfter(header http.Header, body []byte) time.Duration {
	for _, told := range []struct {
		number string
		unit   time.Duration
	}{
		{header.Get("Retry-After-Ms"), time.Millisecond},
		{header.Get("Retry-After"), time.Second},
	} {
		if n, err := strconv.ParseFloat(told.number, 64); err == nil {
			return wait(n * float64(told.unit))
		}
	}
	if at, err := http.ParseTime(header.Get("Retry-After")); err == nil {
		return wait(float64(time.Until(at)))
	}
	if found := inBody.FindSubmatch(body); found != nil {
		n, _ := strconv.ParseFloat(string(found[1]), 64)
		return wait(n * float64(time.Second))
	}
	return 0
}

func wait(ns float64) time.Duration {
	if !(ns > 0) { // also what is not a number
		return 0
	}
	return time.Duration(min(ns, float64(maxRetryAfter)))
}
