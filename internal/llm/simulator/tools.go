package simulator

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A chatTool is a tool on offer.
type chatTool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Parameters  jsontext.Value `json:"parameters"`
	} `json:"function"`
}

type chatToolCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

func toolCallsOf(list []chatToolCall) []ToolCall {
	var calls []ToolCall
	for _, c := range list {
		calls = append(calls, ToolCall{c.ID, c.Function.Name, c.Function.Arguments})
	}
	return calls
}

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// checkTools refuses what OpenAI's API refuses of tools: names and schemas that
// are none, and a conversation in which calls and results do not match.
func (r *chatRequest) checkTools() *apiError {
	for i, t := range r.Tools {
		at := fmt.Sprintf("tools[%d].function", i)
		switch {
		case t.Type != "function" || !toolName.MatchString(t.Function.Name):
			return invalid("invalid_value", at+".name", fmt.Sprintf("Invalid '%s.name': it must match %s.", at, toolName))
		case len(t.Function.Parameters) > 0 && t.Function.Parameters.Kind() != '{':
			return invalid("invalid_function_parameters", at+".parameters",
				fmt.Sprintf("Invalid schema for function '%s': it is not an object.", t.Function.Name))
		}
	}
	var open []string // ids of calls without a result
	for i, m := range r.Messages {
		at := fmt.Sprintf("messages.[%d]", i)
		if m.Role == "tool" {
			k := slices.Index(open, m.ToolCallID)
			if k < 0 {
				return invalid("", at+".role", "Messages with role 'tool' must answer a preceding message with 'tool_calls'.")
			}
			open = slices.Delete(open, k, k+1)
			continue
		}
		if len(open) > 0 {
			break
		}
		for _, c := range m.ToolCalls {
			if c.ID == "" || c.Type != "function" || c.Function.Name == "" {
				return invalid("missing_required_parameter", at+".tool_calls", "Missing required parameter of a call: 'id', 'type' or 'function.name'.")
			}
			open = append(open, c.ID)
		}
	}
	if len(open) > 0 {
		return invalid("", "messages", fmt.Sprintf(
			"Each call in 'tool_calls' must be followed by a message of role 'tool' with its result; missing: %.64q.", open[0]))
	}
	return nil
}

// callsTools returns the calls that a worker's directives ask for next: of
// tools that are on offer, and a round for each one that was answered. Nil
// where it is time for the answer itself.
func (c *call) callsTools(r reading) []ToolCall {
	if c.Role != Worker || len(c.Tools) == 0 {
		return nil
	}
	had := 0
	for _, m := range c.Messages {
		if len(m.ToolCalls) > 0 {
			had++
		}
	}
	for _, round := range r.wish.rounds {
		round = slices.DeleteFunc(slices.Clone(round), func(t ToolCall) bool { return !slices.Contains(c.Tools, t.Name) })
		if len(round) == 0 {
			continue
		}
		if had--; had >= 0 {
			continue
		}
		for i := range round {
			round[i].ID = fmt.Sprintf("call_%s_%d", c.id(), i)
		}
		return round
	}
	return nil
}

// quoteTools says what tools have answered, led by a space.
func (c *composer) quoteTools() string {
	var b strings.Builder
	names := map[string]string{}
	for _, m := range c.messages {
		for _, asked := range m.ToolCalls {
			names[asked.ID] = asked.Name
		}
		if m.Author == "tool" && b.Len() < maxQuoted {
			result := cmp.Or(elementText(m.Text, "tool_result"), m.Text)
			fmt.Fprintf(&b, " The tool %s answered “%s”.", clip(names[m.Answers], 64), clip(result, 300))
		}
	}
	return b.String()
}

// maxQuoted is about how much of the tools' answers is quoted, in bytes.
const maxQuoted = 4 << 10

// size of an answer in bytes, the names of tools left out.
func (a *answer) size() int {
	n := len(a.text)
	for _, c := range a.calls {
		n += len(c.Arguments)
	}
	return n
}

// cut leaves n bytes of an answer.
func (a *answer) cut(n int) {
	n = max(0, n)
	a.text = a.text[:runeStart(a.text, n)]
	n -= len(a.text)
	var calls []ToolCall
	for _, c := range a.calls {
		if n <= 0 {
			break
		}
		c.Arguments = c.Arguments[:runeStart(c.Arguments, n)]
		n -= len(c.Arguments)
		calls = append(calls, c)
	}
	a.calls = calls
}
