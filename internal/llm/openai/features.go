package openai

import (
	"strings"
	"sync"

	api "github.com/sashabaranov/go-openai"
)

// features are what a model of the endpoint takes, as far as is known.
type features struct {
	completionTokens bool // the limit is called max_completion_tokens, not max_tokens
	noTemperature    bool
	noStreamUsage    bool   // refuses stream_options
	noCacheKey       bool   // refuses prompt_cache_key
	wholeOnly        bool   // cannot be streamed
	refusedEfforts   string // values of reasoning_effort, each between commas
	format           format
}

func (f features) refusesEffort(value string) bool {
	return strings.Contains(f.refusedEfforts, ","+value+",")
}

// after returns the features that are left when the endpoint has refused what
// was sent: all those that it named. It may be told the same twice.
//
// Tools are not among the features, and never left out: a model that was to
// look something up would make it up instead, and nobody would know. An
// endpoint that takes none has refused the request.
func (f features) after(sent *request, told *fault) features {
	known := f
	named := strings.ToLower(strings.Join([]string{told.param, told.code, withoutEcho(told.message)}, " "))
	names := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(named, word) {
				return true
			}
		}
		return false
	}
	tools := len(sent.Tools) > 0 && names("tool", "function")
	switch asked := names("response_format", "response format", "response mime type", "json_schema", "json_object",
		"structured", "grammar", "schema", "guided", "json mode"); {
	case sent.ResponseFormat == nil || !asked:
	case tools && names("for function", "parameters"):
		// It is the schema of a tool that is refused.
	case tools:
		f.format = inWordsAlone // no other format will be taken beside tools either
	default:
		f.format = max(f.format, below(sent.ResponseFormat))
	}
	if sent.StreamOptions != nil && names("stream_options", "include_usage") {
		f.noStreamUsage = true
	}
	if sent.cacheKey != "" && names("prompt_cache_key") {
		f.noCacheKey = true
	}
	if sent.Stream && (told.param == "stream" || names("streaming is not supported", "does not support streaming", "tools with stream")) {
		f.wholeOnly = true
	}
	if sent.ReasoningEffort != "" && !f.refusesEffort(sent.ReasoningEffort) && len(f.refusedEfforts) < maxName &&
		names("reasoning_effort", "reasoning effort", "reasoning.effort", "thinking") {
		f.refusedEfforts += "," + sent.ReasoningEffort + ","
	}
	if names(" > ", "too large", "too big", "too high", "must be", "at least", "at most", "greater than", "less than", "between", "range") {
		return f // the value is wrong, and would be under any other name
	}
	if sent.Temperature != 0 && names("temperature") {
		f.noTemperature = true
	}
	//nolint:staticcheck // max_tokens is what all but OpenAI's own endpoints know
	if sent.MaxTokens > 0 && names("max_tokens") || sent.MaxCompletionTokens > 0 && names("max_completion_tokens") {
		f.completionTokens = sent.MaxTokens > 0
	}
	if f == known && sent.cacheKey != "" && names("additional propert", "extra input", "extra field", "unknown field") {
		f.noCacheKey = true // it is not named, but the one thing that nobody asked for
	}
	return f
}

// lessons are the features that refusals taught, by model.
type lessons struct {
	modern bool // the endpoint knows max_completion_tokens: it is OpenAI's own

	mu      sync.RWMutex
	learned map[string]features
}

// Bounds of what is remembered, as callers may name any model and any effort:
// models, and bytes of a model's name or of its refused efforts.
const (
	maxLessons = 1000
	maxName    = 256
)

func (l *lessons) of(model string) features {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.known(model)
}

func (l *lessons) known(model string) features {
	if f, ok := l.learned[model]; ok {
		return f
	}
	// go-openai refuses max_tokens for the models that reason before they
	// answer, by itself, so that the endpoint is never asked and nothing could
	// be learned. These models take no temperature either.
	//nolint:staticcheck // it is deprecated for just these models
	reasons := api.NewReasoningValidator().Validate(api.ChatCompletionRequest{Model: model, MaxTokens: 1}) != nil
	return features{completionTokens: reasons || l.modern, noTemperature: reasons}
}

// learn keeps what a refusal teaches on top of what is known by now, as others
// may have learned meanwhile, and returns the features that are left.
func (l *lessons) learn(model string, sent *request, told *fault) features {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.known(model)
	left := before.after(sent, told)
	if left == before || len(model) > maxName {
		return left
	}
	if l.learned == nil {
		l.learned = make(map[string]features)
	}
	if _, ok := l.learned[model]; !ok && len(l.learned) >= maxLessons {
		for forgotten := range l.learned { // any one: it is learned again when needed
			delete(l.learned, forgotten)
			break
		}
	}
	l.learned[model] = left
	return left
}
