package openai

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tutti-run/tutti/internal/llm"
)

// maxTokens bounds what an endpoint may say that it billed for one call, so
// that sums of it stay sums.
const maxTokens = 1_000_000_000

// A billing is what an endpoint says that a call took. Answers are paid for, so
// none is lost for what it says of that: what cannot be read is not known.
type billing struct {
	Prompt     tokens  `json:"prompt_tokens"`
	Completion tokens  `json:"completion_tokens"`
	Total      tokens  `json:"total_tokens"`
	OfPrompt   details `json:"prompt_tokens_details"`
	OfAnswer   details `json:"completion_tokens_details"`
}

// details are parts of a billing's tokens.
type details struct {
	Cached    tokens `json:"cached_tokens"`
	Reasoning tokens `json:"reasoning_tokens"`
}

// tokens are a number of them, from 0 to maxTokens.
type tokens int

func (b *billing) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '{' {
		return d.SkipValue()
	}
	type members billing
	return json.UnmarshalDecode(d, (*members)(b))
}

func (t *details) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '{' {
		return d.SkipValue()
	}
	type members details
	return json.UnmarshalDecode(d, (*members)(t))
}

// UnmarshalJSONFrom reads a whole number, which some programs write as 12.0.
func (t *tokens) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	if err != nil || value.Kind() != '0' {
		return err
	}
	if n, err := strconv.ParseFloat(string(value), 64); err == nil && n == math.Trunc(n) {
		*t = tokens(max(0, min(n, maxTokens)))
	}
	return nil
}

// usage returns what was billed. Gemini and xAI leave the tokens of reasoning out
// of the completion's, but not out of the total.
func (b *billing) usage() llm.Usage {
	answer := max(b.Completion, b.Total-b.Prompt)
	return llm.Usage{
		Prompt: int(b.Prompt), Cached: int(min(b.OfPrompt.Cached, b.Prompt)),
		Completion: int(answer), Reasoning: int(min(b.OfAnswer.Reasoning, answer)),
	}
}
