package orchestration

import "time"

// A Call is the record of one request that went out to a model, refused ones
// too. One that could not be sent, as there was no connection, is none. It holds no
// text.
type Call struct {
	Role       string    `json:"role"`
	Worker     string    `json:"worker,omitempty"` // the configured worker, if one
	Model      string    `json:"model"`
	Attempt    int       `json:"attempt"`
	Queued     time.Time `json:"queued"`
	Started    time.Time `json:"started"`
	FirstToken time.Time `json:"first_token,omitzero"`
	Ended      time.Time `json:"ended"`
	Outcome    string    `json:"outcome"` // "ok", or the kind of failure
	Usage      Usage     `json:"usage"`
	CostUSD    float64   `json:"cost_usd,omitempty"`
	Hedged     bool      `json:"hedged,omitempty"`
}

// Usage counts tokens as the provider billed them. Cached ones are part of the
// prompt's, reasoning ones part of the completion's.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CachedTokens     int `json:"cached_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	ReasoningTokens  int `json:"reasoning_tokens"`
}

// Totals add up calls to models.
type Totals struct {
	LLMCalls int `json:"llm_calls"` // that went out, refused ones too
	Usage
	CostUSD float64 `json:"cost_usd"`
}

func (t *Totals) add(calls []Call) {
	for i := range calls {
		c := &calls[i]
		t.LLMCalls++
		t.PromptTokens += c.Usage.PromptTokens
		t.CachedTokens += c.Usage.CachedTokens
		t.CompletionTokens += c.Usage.CompletionTokens
		t.ReasoningTokens += c.Usage.ReasoningTokens
		t.CostUSD += c.CostUSD
	}
}
