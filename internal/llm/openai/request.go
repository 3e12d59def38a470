package openai

import (
	"encoding/base64"
	"errors"
	"math"

	api "github.com/sashabaranov/go-openai"

	"github.com/tutti-run/tutti/internal/llm"
)

// request writes a request with the features that the model takes.
func (f features) request(req *llm.Request) api.ChatCompletionRequest {
	wire := api.ChatCompletionRequest{
		Model:    req.Model,
		Messages: make([]api.ChatCompletionMessage, len(req.Messages)),
		Stream:   req.Stream && !f.wholeOnly,
	}
	for i, m := range req.Messages {
		wire.Messages[i] = message(m)
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
		if err := api.NewReasoningValidator().Validate(wire); errors.Is(err, api.ErrReasoningEffortUnsupported) {
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

// noResult stands for a tool's empty result.
const noResult = "(nothing)"

// message writes a message: as a plain string, which every endpoint takes, and
// in parts only where there are images.
func message(m llm.Message) api.ChatCompletionMessage {
	wire := api.ChatCompletionMessage{Role: string(m.Author), ToolCalls: asked(m.ToolCalls), ToolCallID: m.Answers}
	if len(m.Images) == 0 {
		wire.Content = m.Text
		if m.Author == llm.ToolResult && m.Text == "" {
			wire.Content = noResult // an empty one would be left out, and the message refused
		}
		return wire
	}
	if m.Text != "" {
		wire.MultiContent = append(wire.MultiContent, api.ChatMessagePart{Type: api.ChatMessagePartTypeText, Text: m.Text})
	}
	for _, image := range m.Images {
		wire.MultiContent = append(wire.MultiContent, api.ChatMessagePart{
			Type: api.ChatMessagePartTypeImageURL,
			ImageURL: &api.ChatMessageImageURL{
				URL: "data:" + image.MediaType + ";base64," + base64.StdEncoding.EncodeToString(image.Data),
			},
		})
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
