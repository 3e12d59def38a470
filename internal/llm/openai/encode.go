package openai

import (
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/quote"
)

// encode writes a request as JSON, as go-openai would, but for the cache key,
// which it does not know. Texts are escaped once, straight into the body; go-openai
// copies and checks them four times over.
func (r *request) encode() ([]byte, error) {
	w := writer{text: make([]byte, 0, r.size())}
	w.text = quote.Append(append(w.text, `{"model":`...), r.Model)
	w.text = strconv.AppendBool(append(w.text, `,"stream":`...), r.Stream)
	w.text = append(w.text, `,"messages":[`...)
	for i := range r.messages {
		if i > 0 {
			w.text = append(w.text, ',')
		}
		w.message(&r.messages[i])
	}
	w.text = append(w.text, ']')
	if r.cacheKey != "" {
		w.text = quote.Append(append(w.text, `,"prompt_cache_key":`...), r.cacheKey)
	}
	if r.MaxTokens > 0 { //nolint:staticcheck // what all but OpenAI's own endpoints know
		w.member("max_tokens", r.MaxTokens) //nolint:staticcheck // the same
	}
	if r.MaxCompletionTokens > 0 {
		w.member("max_completion_tokens", r.MaxCompletionTokens)
	}
	if r.Temperature != 0 {
		w.member("temperature", r.Temperature)
	}
	if r.ReasoningEffort != "" {
		w.member("reasoning_effort", r.ReasoningEffort)
	}
	if r.StreamOptions != nil {
		w.member("stream_options", r.StreamOptions)
	}
	if len(r.Tools) > 0 {
		w.member("tools", r.Tools)
	}
	if r.ResponseFormat != nil {
		w.member("response_format", r.ResponseFormat)
	}
	w.text = append(w.text, '}')
	return w.text, w.err
}

// size is about what a request takes, rather more: a body that must grow is
// copied.
func (r *request) size() int {
	n := 1 << 10
	for i := range r.messages {
		m := &r.messages[i]
		n += 64 + len(m.Text) + len(m.Text)/16
		for k := range m.Images {
			n += 128 + base64.StdEncoding.EncodedLen(len(m.Images[k].Data))
		}
	}
	return n
}

// A writer writes JSON, and keeps the first thing that went wrong.
type writer struct {
	text []byte
	err  error
}

// member goes on with a member of an object that is begun. It is for what is short
// or rare, as it costs an allocation or two.
func (w *writer) member(name string, value any) {
	text, err := json.Marshal(value)
	if w.err == nil {
		w.err = err
	}
	w.text = append(w.text, `,"`...)
	w.text = append(w.text, name...)
	w.text = append(w.text, `":`...)
	w.text = append(w.text, text...)
}

// noResult stands for a tool's empty result.
const noResult = "(nothing)"

// message writes a message: as a plain string, which every endpoint takes, and
// in parts only where there are images.
func (w *writer) message(m *llm.Message) {
	w.text = quote.Append(append(w.text, `{"role":`...), string(m.Author))
	switch {
	case len(m.Images) > 0:
		w.parts(m)
	case m.Text != "":
		w.text = quote.Append(append(w.text, `,"content":`...), m.Text)
	case m.Author == llm.ToolResult:
		w.member("content", noResult) // without one the message would be refused
	}
	if len(m.ToolCalls) > 0 {
		w.member("tool_calls", asked(m.ToolCalls))
	}
	if m.Answers != "" {
		w.member("tool_call_id", m.Answers)
	}
	w.text = append(w.text, '}')
}

// parts writes the content of a message that has images.
func (w *writer) parts(m *llm.Message) {
	w.text = append(w.text, `,"content":[`...)
	if m.Text != "" {
		w.text = quote.Append(append(w.text, `{"type":"text","text":`...), m.Text)
		w.text = append(w.text, `},`...)
	}
	for i := range m.Images {
		if i > 0 {
			w.text = append(w.text, ',')
		}
		w.text = quote.Append(append(w.text, `{"type":"image_url","image_url":{"url":`...), "data:"+m.Images[i].MediaType+";base64,")
		w.text = w.text[:len(w.text)-1] // the quote: the string goes on
		w.text = base64.StdEncoding.AppendEncode(w.text, m.Images[i].Data)
		w.text = append(w.text, `"}}`...)
	}
	w.text = append(w.text, ']')
}
