package simulator

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// fail answers with an error of OpenAI's.
func (c *call) fail(e *apiError) {
	if after := c.sim.opts.RetryAfter; after > 0 && (e.status == http.StatusTooManyRequests || e.status == http.StatusServiceUnavailable) {
		c.w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	c.status(e.status)
	e.write(c.w)
}

func (c *call) status(code int) {
	c.sim.ledger.edit(func() { c.record.Status = code })
}

func (e *apiError) write(w http.ResponseWriter) {
	body := e.append(nil)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.status)
	_, _ = w.Write(body) // a caller that has gone needs no answer
}

func (e *apiError) append(b []byte) []byte {
	b = append(b, `{"error":{"message":`...)
	b = quote(b, e.message)
	b = append(b, `,"type":`...)
	b = quote(b, e.kind)
	b = append(b, `,"param":`...)
	b = quoteOrNull(b, e.param)
	b = append(b, `,"code":`...)
	b = quoteOrNull(b, e.code)
	return append(b, "}}"...)
}

// quote appends s as a JSON string; bytes that are no UTF-8 are replaced.
func quote(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // its error is about such bytes alone
	return b
}

func quoteOrNull(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return quote(b, s)
}

// answered notes that an answer was sent to its end.
func (c *call) answered() {
	c.sim.ledger.edit(func() { c.record.Answered = c.fault != Cut })
}

func (c *call) sendHTML() {
	if !c.wait(c.total()) {
		return
	}
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.status(http.StatusOK)
	_, _ = io.WriteString(c.w, htmlPage)
}

// total is the time that the whole answer takes.
func (c *call) total() time.Duration {
	more := max(0, tokens(c.answer.size())-1)
	return c.pace.latency + c.pace.first + time.Duration(more)*c.pace.interval
}

// sendWhole sends the answer as one JSON object.
func (c *call) sendWhole() {
	if !c.wait(c.total()) {
		return
	}
	body := c.appendWhole(make([]byte, 0, c.answer.size()+c.answer.size()/8+800))
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Request-Id", "req_"+c.id())
	size := len(body) // that is announced
	switch c.fault {
	case Cut:
		body = body[:len(body)/2]
		size = len(body)
	case Reset:
		body = body[:len(body)/2]
	}
	h.Set("Content-Length", strconv.Itoa(size))
	c.status(http.StatusOK)
	c.sent()
	_, _ = c.w.Write(body)
	if c.fault == Reset {
		c.abort()
	}
	c.answered()
}

// abort breaks the connection, after what was written has gone out.
func (c *call) abort() {
	_ = http.NewResponseController(c.w).Flush()
	panic(http.ErrAbortHandler)
}

func (c *call) id() string { return strconv.FormatUint(c.digest.sum, 16) }

// appendHead appends what whole answers and pieces of streams begin with, up
// to the choices.
func (c *call) appendHead(b []byte, object string) []byte {
	b = append(b, `{"id":"chatcmpl-`...)
	b = append(b, c.id()...)
	b = append(b, `","object":"`...)
	b = append(b, object...)
	b = append(b, `","created":`...)
	b = strconv.AppendInt(b, time.Now().Unix(), 10)
	b = append(b, `,"model":`...)
	b = quote(b, c.Model)
	return append(b, `,"service_tier":"default","system_fingerprint":"fp_simulator","choices":[`...)
}

func (c *call) appendWhole(b []byte) []byte {
	b = c.appendHead(b, "chat.completion")
	b = append(b, `{"index":0,"message":{"role":"assistant","content":`...)
	if c.answer.refusal != "" || len(c.answer.calls) > 0 && c.answer.text == "" {
		b = append(b, "null"...)
	} else {
		b = quote(b, c.answer.text)
	}
	for i, asked := range c.answer.calls {
		if i == 0 {
			b = append(b, `,"tool_calls":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, '{')
		b = asked.append(b, asked.Arguments)
		b = append(b, '}')
	}
	if len(c.answer.calls) > 0 {
		b = append(b, ']')
	}
	b = append(b, `,"refusal":`...)
	b = quoteOrNull(b, c.answer.refusal)
	b = append(b, `,"annotations":[]},"logprobs":null,"finish_reason":`...)
	b = quote(b, c.answer.finish)
	b = append(b, `}],"usage":`...)
	b = c.answer.usage.append(b)
	return append(b, "}\n"...)
}

// append appends the members of a call, with these arguments.
func (t ToolCall) append(b []byte, arguments string) []byte {
	b = append(b, `"id":`...)
	b = quote(b, t.ID)
	b = append(b, `,"type":"function","function":{"name":`...)
	b = quote(b, t.Name)
	b = append(b, `,"arguments":`...)
	b = quote(b, arguments)
	return append(b, '}')
}

func (u Usage) append(b []byte) []byte {
	field := func(name string, n int) {
		b = append(b, name...)
		b = strconv.AppendInt(b, int64(n), 10)
	}
	field(`{"prompt_tokens":`, u.Prompt)
	field(`,"completion_tokens":`, u.Completion)
	field(`,"total_tokens":`, u.Prompt+u.Completion)
	field(`,"prompt_tokens_details":{"cached_tokens":`, u.Cached)
	field(`,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":`, u.Reasoning)
	return append(b, `,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`...)
}
