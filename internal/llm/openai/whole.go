package openai

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	api "github.com/sashabaranov/go-openai"

	"github.com/tutti-run/tutti/internal/llm"
)

// complete asks for a whole answer.
func (c *Client) complete(ctx context.Context, x *exchange, wire api.ChatCompletionRequest) (answer, error) {
	resp, err := c.api.CreateChatCompletion(ctx, wire)
	if err != nil && x.keep > startBytes && x.body != nil {
		resp, err = readWhole(x.body.start, err)
	}
	if err != nil {
		return answer{}, err
	}
	got := answer{usage: resp.Usage}
	if len(resp.Choices) == 0 {
		if told := readFault(http.StatusOK, nil, x.body.start); told != nil {
			return got, told
		}
		if resp.Object == "" && resp.ID == "" && resp.Usage.TotalTokens == 0 {
			return got, errNoAnswer
		}
		return got, nil // an answer without a choice is an empty one
	}
	choice := &resp.Choices[0]
	got.text, got.refusal, got.finish = choice.Message.Content, choice.Message.Refusal, choice.FinishReason
	for _, part := range choice.Message.MultiContent {
		got.text += part.Text
	}
	got.calls, err = wholeCalls(choice.Message.ToolCalls)
	return got, err
}

// wholeCalls reads the calls of a whole answer.
func wholeCalls(list []api.ToolCall) ([]llm.ToolCall, error) {
	var t toolCalls
	for _, said := range list {
		c, err := t.open()
		if err != nil {
			return nil, err
		}
		if err := c.grow(said.ID, said.Function.Name, said.Function.Arguments); err != nil {
			return nil, err
		}
	}
	return t.calls(), nil
}

// readWhole mends what go-openai could not read of a whole answer: arguments
// that are an object. It returns the cause again where it could not.
func readWhole(body []byte, cause error) (api.ChatCompletionResponse, error) {
	var resp api.ChatCompletionResponse
	if _, ok := errors.AsType[*json.UnmarshalTypeError](cause); !ok {
		return resp, cause
	}
	var loose struct {
		Choices []struct {
			Message struct {
				Content   string     `json:"content"`
				Refusal   string     `json:"refusal"`
				ToolCalls []toolCall `json:"tool_calls"`
			} `json:"message"`
			FinishReason api.FinishReason `json:"finish_reason"`
		} `json:"choices"`
		Usage api.Usage `json:"usage"`
	}
	if json.Unmarshal(body, &loose) != nil || len(loose.Choices) == 0 {
		return resp, cause
	}
	said := &loose.Choices[0]
	message := api.ChatCompletionMessage{Content: said.Message.Content, Refusal: said.Message.Refusal}
	for _, c := range said.Message.ToolCalls {
		message.ToolCalls = append(message.ToolCalls, api.ToolCall{
			ID:       c.ID,
			Function: api.FunctionCall{Name: c.Function.Name, Arguments: text(c.Function.Arguments)},
		})
	}
	resp.Usage = loose.Usage
	resp.Choices = []api.ChatCompletionChoice{{Message: message, FinishReason: said.FinishReason}}
	return resp, nil
}
