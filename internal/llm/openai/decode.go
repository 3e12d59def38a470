package openai

import (
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	api "github.com/sashabaranov/go-openai"
)

// A completion is a whole answer: only what is read of it, as is a chunk.
type completion struct {
	ID      something `json:"id"`
	Object  something `json:"object"`
	Choices []struct {
		Message struct {
			Content   prose      `json:"content"`
			Refusal   string     `json:"refusal"`
			ToolCalls []toolCall `json:"tool_calls"`
		} `json:"message"`
		FinishReason api.FinishReason `json:"finish_reason"`
	} `json:"choices"`
	Usage billing `json:"usage"`
}

// A chunk is a piece of a streamed answer.
type chunk struct {
	Choices []struct {
		Index number `json:"index"`
		Delta struct {
			Content   prose      `json:"content"`
			Refusal   string     `json:"refusal"`
			ToolCalls []toolCall `json:"tool_calls"`
			Reasoning something  `json:"reasoning"`         // vLLM, OpenRouter
			Thought   something  `json:"reasoning_content"` // DeepSeek, older vLLM
		} `json:"delta"`
		FinishReason api.FinishReason `json:"finish_reason"`
	} `json:"choices"`
	Usage billing        `json:"usage"`
	Error jsontext.Value `json:"error"`
}

// lenient takes a name twice and what is no UTF-8, as most programs do that
// endpoints were tried with. Names are those of the API, letter for letter.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// keptBuffer bounds the buffer that a decoder keeps for the next answer, in
// bytes of an answer that fits into it.
const keptBuffer = 64 << 10

// decode reads the JSON value that a text begins with, and not what follows.
func decode(from io.Reader, into any) error {
	d := decoders.Get().(*jsontext.Decoder)
	d.Reset(from, lenient)
	err := json.UnmarshalDecode(d, into)
	if err == nil && d.InputOffset() <= keptBuffer { // where it broke off, it may hold far more than it has read
		d.Reset(http.NoBody) // it would hold on to the answer
		decoders.Put(d)
	}
	return err
}

// prose is a text as endpoints send it: a string, but a list of parts from
// Mistral's models that reason.
type prose string

func (p *prose) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '[' {
		return json.UnmarshalDecode(d, (*string)(p))
	}
	var parts []struct {
		Text string `json:"text"`
	}
	err := json.UnmarshalDecode(d, &parts)
	var all strings.Builder
	for i := range parts {
		all.WriteString(parts[i].Text)
	}
	*p = prose(all.String())
	return err
}

// arguments are those of a call of a tool: JSON in a string, but plain JSON
// from Ollama.
type arguments string

func (a *arguments) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if kind := d.PeekKind(); kind == '"' || kind == 'n' {
		return json.UnmarshalDecode(d, (*string)(a))
	}
	value, err := d.ReadValue()
	*a = arguments(value)
	return err
}

// A number is a whole one, which programs without integers write as 12.0. What is none
// counts as 0: no answer is lost for it.
type number int64

func (n *number) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	if err != nil || value.Kind() != '0' {
		return err
	}
	const most = 1 << 53 // beyond it some are missing
	if told, err := strconv.ParseFloat(string(value), 64); err == nil && told == math.Trunc(told) {
		*n = number(max(-most, min(told, most)))
	}
	return nil
}

// something says that a value is there that is neither null nor empty.
type something bool

func (s *something) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	*s = value.Kind() != 'n' && len(value) > len(`""`)
	return err
}
