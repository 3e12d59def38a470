package openai

import (
	"encoding/json"
	"fmt"
	"strings"

	api "github.com/sashabaranov/go-openai"

	"github.com/tutti-run/tutti/internal/llm"
)

// Bounds of the calls of tools in one answer.
const (
	maxToolCalls     = 32
	maxToolCallBytes = 64 << 10 // of each, its id and name included
)

var errTooManyCalls = fmt.Errorf("the answer has more than %d calls of tools, or one of more than %d bytes", maxToolCalls, maxToolCallBytes)

// tools writes the tools that a model may ask for.
func tools(list []llm.Tool) []api.Tool {
	var wire []api.Tool
	for _, t := range list {
		schema := t.Schema
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		wire = append(wire, api.Tool{
			Type:     api.ToolTypeFunction,
			Function: &api.FunctionDefinition{Name: t.Name, Description: t.Description, Parameters: schema},
		})
	}
	return wire
}

// asked writes the calls that the model has asked for before. Several endpoints
// read the arguments, and refuse the whole conversation for ones that are no
// object.
func asked(calls []llm.ToolCall) []api.ToolCall {
	var wire []api.ToolCall
	for _, c := range calls {
		arguments := c.Arguments
		if object := map[string]json.RawMessage(nil); json.Unmarshal([]byte(arguments), &object) != nil || object == nil {
			arguments = "{}"
		}
		wire = append(wire, api.ToolCall{
			ID: c.ID, Type: api.ToolTypeFunction,
			Function: api.FunctionCall{Name: c.Name, Arguments: arguments},
		})
	}
	return wire
}

// A toolCall is a call of a tool as endpoints send it: whole, or a piece of one.
type toolCall struct {
	Index    *number `json:"index"` // Gemini leaves it out, or has 0 for all
	ID       string  `json:"id"`
	Function struct {
		Name      string    `json:"name"`
		Arguments arguments `json:"arguments"`
	} `json:"function"`
}

// toolCalls are put together from what comes.
type toolCalls struct {
	list []*partCall
	at   map[number]*partCall // the latest of each index
}

type partCall struct {
	id, name  string
	arguments strings.Builder
}

// add takes in a piece of a streamed answer.
func (t *toolCalls) add(piece *toolCall) error {
	c := t.meant(piece)
	if c == nil {
		var err error
		if c, err = t.open(); err != nil {
			return err
		}
	}
	if piece.Index != nil {
		if t.at == nil {
			t.at = make(map[number]*partCall)
		}
		t.at[*piece.Index] = c
	}
	return c.grow(piece.ID, piece.Function.Name, string(piece.Function.Arguments))
}

// meant returns the call that a piece goes on with, nil where it begins another.
func (t *toolCalls) meant(piece *toolCall) *partCall {
	var c *partCall
	switch {
	case piece.Index != nil:
		c = t.at[*piece.Index]
	case piece.ID != "":
		for _, known := range t.list {
			if known.id == piece.ID {
				return known
			}
		}
		return nil
	case len(t.list) > 0:
		c = t.list[len(t.list)-1]
	}
	if c == nil || piece.ID != "" && c.id != "" && piece.ID != c.id {
		return nil
	}
	if piece.ID == "" && piece.Function.Name != "" && c.whole() {
		return nil
	}
	return c
}

func (t *toolCalls) open() (*partCall, error) {
	if len(t.list) == maxToolCalls {
		return nil, errTooManyCalls
	}
	c := new(partCall)
	t.list = append(t.list, c)
	return c, nil
}

func (c *partCall) grow(id, name, arguments string) error {
	if c.id == "" {
		c.id = id
	}
	if c.name != name { // else it is only repeated
		c.name += name
	}
	if len(c.id)+len(c.name)+c.arguments.Len()+len(arguments) > maxToolCallBytes {
		return errTooManyCalls
	}
	c.arguments.WriteString(arguments)
	return nil
}

// whole reports whether the arguments are all there.
func (c *partCall) whole() bool {
	said := c.arguments.String()
	return strings.HasSuffix(said, "}") && json.Valid([]byte(said))
}

// calls returns what was put together. A call of nothing is none.
func (t *toolCalls) calls() []llm.ToolCall {
	var calls []llm.ToolCall
	for _, c := range t.list {
		if strings.TrimSpace(c.name) == "" {
			continue
		}
		arguments := c.arguments.String()
		if strings.TrimSpace(arguments) == "" {
			arguments = "{}"
		}
		calls = append(calls, llm.ToolCall{ID: c.id, Name: c.name, Arguments: arguments})
	}
	return calls
}

// identify gives an id to each call that has none, or another one's, as vLLM
// and Gemini may leave it out: one that the conversation has not had yet, and
// of nine letters and digits, since Mistral's models take no others.
func identify(calls []llm.ToolCall, conversation []llm.Message) {
	before := 0
	for _, m := range conversation {
		before += len(m.ToolCalls)
	}
	seen := make(map[string]bool, len(calls))
	for i := range calls {
		for n := before + i + 1; calls[i].ID == "" || seen[calls[i].ID]; n++ {
			calls[i].ID = fmt.Sprintf("call%05d", n)
		}
		seen[calls[i].ID] = true
	}
}
