package openai

import (
	"context"
	"io"
	"net/http"

	"github.com/tutti-run/tutti/internal/llm"
)

// complete asks for a whole answer.
func (c *Client) complete(ctx context.Context, x *exchange, wire *request) (answer, error) {
	if _, err := c.api.CreateChatCompletion(ctx, wire.bare()); err != nil {
		return answer{}, err
	}
	defer func() { _ = x.body.Close() }()
	return readWhole(x, x.body)
}

// readWhole reads a whole answer.
func readWhole(x *exchange, from io.Reader) (answer, error) {
	var said completion
	if err := decode(from, &said); err != nil {
		return answer{}, err
	}
	got := answer{usage: said.Usage, whole: true}
	if len(said.Choices) == 0 {
		if told := readFault(http.StatusOK, nil, x.body.start); told != nil {
			return got, told
		}
		if !said.Object && !said.ID && said.Usage.Total == 0 {
			return got, errNoAnswer
		}
		return got, nil // an answer without a choice is an empty one
	}
	choice := &said.Choices[0]
	got.text, got.refusal, got.finish = string(choice.Message.Content), choice.Message.Refusal, choice.FinishReason
	var err error
	got.calls, err = wholeCalls(choice.Message.ToolCalls)
	return got, err
}

// wholeCalls reads the calls of a whole answer.
func wholeCalls(list []toolCall) ([]llm.ToolCall, error) {
	var t toolCalls
	for i := range list {
		c, err := t.open()
		if err != nil {
			return nil, err
		}
		said := &list[i].Function
		if err := c.grow(list[i].ID, said.Name, string(said.Arguments)); err != nil {
			return nil, err
		}
	}
	return t.calls(), nil
}
