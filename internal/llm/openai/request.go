package openai

import (
	"errors"
	"math"

	api "github.com/sashabaranov/go-openai"

	"github.com/tutti-run/tutti/internal/llm"
)

// A request is what an endpoint is asked for. The part that go-openai knows has
// no messages: their texts are long, and it writes them dearly (see encode.go).
type request struct {
	api.ChatCompletionRequest
	messages []llm.Message
	cacheKey string
}

// bare returns as much of a request as go-openai needs, to judge and to address it.
func (r *request) bare() api.ChatCompletionRequest {
	known := r.ChatCompletionRequest
	known.ResponseFormat, known.Tools = nil, make([]api.Tool, len(r.Tools))
	return known
}

// request returns a request with the features that the model takes.
func (f features) request(req *llm.Request) *request {
	wire := &request{messages: req.Messages}
	wire.Model = req.Model
	wire.Stream = req.Stream && !f.wholeOnly
	if !f.noCacheKey {
		wire.cacheKey = req.CacheKey
	}
	if f.completionTokens {
		wire.MaxCompletionTokens = req.MaxTokens
	} else {
		wire.MaxTokens = req.MaxTokens //nolint:staticcheck // what all but OpenAI's own endpoints know
	}
	if req.Temperature != nil && !f.noTemperature {
		wire.Temperature = float32(*req.Temperature)
		if wire.Temperature == 0 {
			wire.Temperature = math.SmallestNonzeroFloat32 // a plain 0 would be left out
		}
	}
	if req.ReasoningEffort != "" && !f.refusesEffort(req.ReasoningEffort) {
		wire.ReasoningEffort = req.ReasoningEffort
		if err := api.NewReasoningValidator().Validate(wire.ChatCompletionRequest); errors.Is(err, api.ErrReasoningEffortUnsupported) {
			wire.ReasoningEffort = "" // go-openai would refuse to send it
		}
	}
	if wire.Stream && !f.noStreamUsage {
		wire.StreamOptions = &api.StreamOptions{IncludeUsage: true}
	}
	wire.Tools = tools(req.Tools)
	if req.Schema != nil {
		wire.ResponseFormat = f.format.of(req.Schema)
	}
	return wire
}

// A format is how an answer's shape is asked for, the best way first.
type format uint8

const (
	byJSONSchema format = iota
	asJSONObject
	inWordsAlone
)

// below returns the next best format to one that was refused.
func below(refused *api.ChatCompletionResponseFormat) format {
	if refused.Type == api.ChatCompletionResponseFormatTypeJSONSchema {
		return asJSONObject
	}
	return inWordsAlone
}

func (f format) of(s *llm.Schema) *api.ChatCompletionResponseFormat {
	switch f {
	case byJSONSchema:
		return &api.ChatCompletionResponseFormat{
			Type: api.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &api.ChatCompletionResponseFormatJSONSchema{
				Name: s.Name, Schema: s.JSON, Strict: strict(s.JSON),
			},
		}
	case asJSONObject:
		return &api.ChatCompletionResponseFormat{Type: api.ChatCompletionResponseFormatTypeJSONObject}
	default:
		return nil
	}
}
