package openai

import (
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
	Prompt     number  `json:"prompt_tokens"`
	Completion number  `json:"completion_tokens"`
	Total      number  `json:"total_tokens"`
	OfPrompt   details `json:"prompt_tokens_details"`
	OfAnswer   details `json:"completion_tokens_details"`

	// The same, as some have it beside the others.
	Cached    number `json:"cached_tokens"`           // Moonshot
	CacheHit  number `json:"prompt_cache_hit_tokens"` // DeepSeek
	Reasoning number `json:"reasoning_tokens"`        // SGLang
}

// details are parts of a billing's tokens.
type details struct {
	Cached    number `json:"cached_tokens"`
	Reasoning number `json:"reasoning_tokens"`
}

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

// usage returns what was billed. Gemini and xAI leave the tokens of reasoning out
// of the completion's, but not out of the total.
func (b *billing) usage() llm.Usage {
	bounded := func(n, most number) number { return max(0, min(n, most)) }
	prompt, answer := bounded(b.Prompt, maxTokens), bounded(b.Completion, maxTokens)
	answer = max(answer, bounded(b.Total, maxTokens)-prompt)
	return llm.Usage{
		Prompt: int(prompt), Cached: int(bounded(max(b.OfPrompt.Cached, b.Cached, b.CacheHit), prompt)),
		Completion: int(answer), Reasoning: int(bounded(max(b.OfAnswer.Reasoning, b.Reasoning), answer)),
	}
}
