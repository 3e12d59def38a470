package openai

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/llm"
)

var search = llm.Tool{Name: "search", Description: "Looks it up.", Schema: json.RawMessage(`{"type":"object","properties":{"q":{"type":"string"}}}`)}

// equipped asks with a tool at hand.
func equipped(stream bool) *llm.Request {
	req := asks("m")
	req.Tools, req.Stream = []llm.Tool{search, {Name: "now"}}, stream
	return req
}

// piece is a chunk with calls of tools, as they are written.
func piece(calls ...string) string {
	return `{"choices":[{"index":0,"delta":{"content":null,"tool_calls":[` + strings.Join(calls, ",") + `]},"finish_reason":null}]}`
}

// wholeAsking is a whole answer with calls of tools.
func wholeAsking(finish, content string, calls ...string) string {
	return `{"id":"c1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":` + content +
		`,"tool_calls":[` + strings.Join(calls, ",") + `]},"finish_reason":"` + finish + `"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`
}

const asking = `{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`

// TestToolCalls: how real endpoints ask for tools.
func TestToolCalls(t *testing.T) {
	two := []llm.ToolCall{{ID: "a1", Name: "search", Arguments: `{"q":"x"}`}, {ID: "b2", Name: "now", Arguments: `{}`}}
	made := []llm.ToolCall{{ID: "call00001", Name: "search", Arguments: `{"q":"x"}`}, {ID: "call00002", Name: "now", Arguments: `{}`}}
	tests := []struct {
		name   string
		body   string
		stream bool
		text   string
		want   []llm.ToolCall
	}{
		{name: "OpenAI", want: two, body: wholeAsking("tool_calls", "null",
			`{"id":"a1","type":"function","function":{"name":"search","arguments":"{\"q\":\"x\"}"}}`,
			`{"id":"b2","type":"function","function":{"name":"now","arguments":"{}"}}`)},
		{name: "text and a call", want: two[:1], text: "I look.", body: wholeAsking("tool_calls", `"I look."`,
			`{"id":"a1","type":"function","function":{"name":"search","arguments":"{\"q\":\"x\"}"}}`)},
		{name: "Ollama, arguments as objects", want: two, text: "", body: wholeAsking("stop", `""`,
			`{"id":"a1","index":0,"type":"function","function":{"name":"search","arguments":{"q":"x"}}}`,
			`{"id":"b2","index":0,"type":"function","function":{"name":"now","arguments":{}}}`)},
		{name: "vLLM, without ids", want: made, body: wholeAsking("tool_calls", "null",
			`{"type":"function","function":{"name":"search","arguments":"{\"q\":\"x\"}"}}`,
			`{"type":"function","function":{"name":"now","arguments":"{}"}}`)},
		{name: "one id for all", want: []llm.ToolCall{two[0], {ID: "call00002", Name: "now", Arguments: "{}"}}, body: wholeAsking("tool_calls", "null",
			`{"id":"a1","type":"function","function":{"name":"search","arguments":"{\"q\":\"x\"}"}}`,
			`{"id":"a1","type":"function","function":{"name":"now","arguments":"{}"}}`)},
		{name: "an id like ours", want: []llm.ToolCall{{ID: "call00002", Name: "now", Arguments: "{}"}, {ID: "call00003", Name: "now", Arguments: "{}"}}, body: wholeAsking("tool_calls", "null",
			`{"id":"call00002","type":"function","function":{"name":"now","arguments":"{}"}}`,
			`{"type":"function","function":{"name":"now","arguments":"{}"}}`)},
		{name: "no arguments, and a call of nothing", want: two[1:], body: wholeAsking("tool_calls", "null",
			`{"id":"b2","type":"function","function":{"name":"now","arguments":""}}`, `{"id":"c3","type":"function","function":{}}`)},
		{name: "arguments that are no JSON", want: []llm.ToolCall{{ID: "a1", Name: "search", Arguments: "{'q': x}"}}, body: wholeAsking("tool_calls", "null",
			`{"id":"a1","type":"function","function":{"name":"search","arguments":"{'q': x}"}}`)},

		{name: "OpenAI, streamed", stream: true, want: two, body: sse(role,
			piece(`{"index":0,"id":"a1","type":"function","function":{"name":"search","arguments":""}}`),
			piece(`{"index":0,"function":{"arguments":"{\"q\""}}`), piece(`{"index":0,"function":{"arguments":":\"x\"}"}}`),
			piece(`{"index":1,"id":"b2","type":"function","function":{"name":"now","arguments":""}}`),
			piece(`{"index":1,"function":{"arguments":"{}"}}`), asking, billed, "[DONE]")},
		{name: "mixed, in one chunk", stream: true, want: []llm.ToolCall{two[1], two[0]}, text: "So:", body: sse(delta("So:"),
			piece(`{"index":1,"id":"b2","function":{"name":"now"}}`, `{"index":0,"id":"a1","function":{"name":"search","arguments":"{\"q\":"}}`),
			piece(`{"index":0,"function":{"arguments":"\"x\"}"}}`, `{"index":1,"function":{"arguments":"{}"}}`), asking, "[DONE]")},
		{name: "llama.cpp, id and name again", stream: true, want: two[:1], body: sse(
			piece(`{"index":0,"id":"a1","type":"function","function":{"name":"search","arguments":"{"}}`),
			piece(`{"index":0,"id":"a1","type":"function","function":{"name":"search","arguments":"\"q\":\"x\"}"}}`), asking, "[DONE]")},
		{name: "vLLM, streamed without ids", stream: true, want: made, body: sse(
			piece(`{"index":0,"type":"function","function":{"name":"search"}}`), piece(`{"index":0,"function":{"arguments":"{\"q\":\"x\"}"}}`),
			piece(`{"index":1,"type":"function","function":{"name":"now"}}`), piece(`{"index":1,"function":{"arguments":"{}"}}`), asking, "[DONE]")},
		{name: "Ollama, one index and objects", stream: true, want: two, body: sse(
			piece(`{"index":0,"id":"a1","type":"function","function":{"name":"search","arguments":{"q":"x"}}}`),
			piece(`{"index":0,"id":"b2","type":"function","function":{"name":"now","arguments":{}}}`), stop, "[DONE]")},
		{name: "Gemini, no index", stream: true, want: two, body: sse(
			piece(`{"id":"a1","type":"function","function":{"name":"search","arguments":"{\"q\":\"x\"}"}}`),
			piece(`{"id":"b2","type":"function","function":{"name":"now","arguments":"{}"}}`), stop, "[DONE]")},
		{name: "Gemini, no index and no id", stream: true, want: made, body: sse(
			piece(`{"id":"","type":"function","function":{"name":"search","arguments":"{\"q\":\"x\"}"}}`,
				`{"id":"","type":"function","function":{"name":"now","arguments":"{}"}}`), asking, "[DONE]")},
		{name: "one index and no id", stream: true, want: made, body: sse(
			piece(`{"index":0,"function":{"name":"search","arguments":"{\"q\":\"x\"}"}}`),
			piece(`{"index":0,"function":{"name":"now","arguments":"{}"}}`), asking, "[DONE]")},
		{name: "pieces without an index", stream: true, want: two[:1], body: sse(
			piece(`{"id":"a1","function":{"name":"search","arguments":"{\"q\":"}}`),
			piece(`{"function":{"arguments":"\"x"}}`), piece(`{"id":"a1","function":{"arguments":"\"}"}}`), asking, "[DONE]")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &script{replies: []reply{{body: test.body}}}
			req := equipped(test.stream)
			var heard string
			req.OnText = func(text string) { heard += text }
			resp, err := dial(t, s.ServeHTTP).Chat(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, resp.ToolCalls); diff != "" {
				t.Error(diff)
			}
			if resp.Text != test.text || test.stream && heard != test.text || resp.Truncated || resp.Calls[0].Outcome != llm.OK {
				t.Errorf("got %+v, heard %q", resp, heard)
			}
			if test.stream == resp.Calls[0].FirstToken.IsZero() {
				t.Error("the first token's time is wrong")
			}
		})
	}
}

func TestToolCallsThatFail(t *testing.T) {
	call := func(arguments string) string {
		quoted, _ := json.Marshal(arguments)
		return `{"index":0,"id":"a1","function":{"name":"search","arguments":` + string(quoted) + `}}`
	}
	var many []string
	for i := range maxToolCalls + 1 {
		many = append(many, fmt.Sprintf(`{"index":%d,"id":"c%d","function":{"name":"search","arguments":"{}"}}`, i, i))
	}
	half := strings.Repeat("x", maxToolCallBytes/2)
	tests := []struct {
		name   string
		body   string
		stream bool
		want   llm.Outcome
	}{
		{"arguments cut off", wholeAsking("length", "null", call(`{"q":`)), false, llm.Truncated},
		{"cut off after some text", wholeAsking("length", `"So"`, call(`{"q":"x"}`)), false, llm.Truncated},
		{"too many", wholeAsking("tool_calls", "null", many...), false, llm.TooLarge},
		{"too large", wholeAsking("tool_calls", "null", call(half+half)), false, llm.TooLarge},
		{"filtered", wholeAsking("content_filter", "null", call("{}")), false, llm.Refused},
		{"calls of nothing", wholeAsking("tool_calls", "null", `{"id":"a","function":{}}`), false, llm.Empty},
		{"another shape", wholeAsking("tool_calls", "null", `{"id":5,"function":{}}`), false, llm.Unavailable},

		{"arguments cut off, streamed", sse(piece(call(`{"q":`)), length, "[DONE]"), true, llm.Truncated},
		{"too many, streamed", sse(piece(many[:20]...), piece(many[20:]...), asking), true, llm.TooLarge},
		{"too large, streamed", sse(piece(call(half)), piece(call(half)), asking), true, llm.TooLarge},
		{"broken off, streamed", sse(piece(call(`{"q":`))), true, llm.Unavailable},
		{"another shape, streamed", sse(`{"choices":[{"delta":{"tool_calls":{"0":{}}}}]}`, stop), true, llm.Unavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &script{replies: []reply{{body: test.body}}}
			resp, err := dial(t, s.ServeHTTP).Chat(t.Context(), equipped(test.stream))
			if err == nil {
				t.Fatalf("got %+v", resp)
			}
			if failed := failure(t, err); failed.Outcome != test.want || len(failed.Calls) != 1 {
				t.Errorf("got %v", failed)
			}
		})
	}
}

// However a call is cut into pieces, and however many come side by side, they
// are put together again.
func TestToolCallsInAnyPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []llm.ToolCall
		var left []string
		for i := range rapid.IntRange(1, 5).Draw(t, "calls") {
			quoted, _ := json.Marshal(rapid.String().Draw(t, "q"))
			arguments := `{"q":` + string(quoted) + `}`
			want = append(want, llm.ToolCall{ID: fmt.Sprint("id", i), Name: "search", Arguments: arguments})
			left = append(left, arguments)
		}
		var calls toolCalls
		add := func(i int, id, name, said string) {
			index := number(i)
			c := toolCall{Index: &index, ID: id}
			c.Function.Name, c.Function.Arguments = name, arguments(said)
			if err := calls.add(&c); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range want {
			add(i, c.ID, c.Name, "")
		}
		for slices.ContainsFunc(left, func(s string) bool { return s != "" }) {
			i := rapid.IntRange(0, len(left)-1).Draw(t, "of")
			runes := []rune(left[i]) // half of one would be no JSON
			n := rapid.IntRange(0, len(runes)).Draw(t, "n")
			add(i, "", "", string(runes[:n]))
			left[i] = string(runes[n:])
		}
		if diff := cmp.Diff(want, calls.calls()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestToolsAsTheyAreSent(t *testing.T) {
	s := &script{replies: []reply{{body: wholeAsking("tool_calls", "null", `{"function":{"name":"now","arguments":"{}"}}`)}}}
	req := equipped(false)
	req.Messages = append(req.Messages,
		llm.Message{Author: llm.Assistant, Text: "I look.", ToolCalls: []llm.ToolCall{
			{ID: "a1", Name: "search", Arguments: `{"q":"x"}`}, {ID: "b2", Name: "now", Arguments: `{"broken`}, {ID: "c3", Name: "now", Arguments: "null"},
		}},
		llm.Message{Author: llm.ToolResult, Text: "found", Answers: "a1"}, llm.Message{Author: llm.ToolResult, Answers: "b2"},
		llm.Message{Author: llm.ToolResult, Text: "12:00", Answers: "c3"},
	)
	resp, err := dial(t, s.ServeHTTP).Chat(t.Context(), req)
	if err != nil || resp.ToolCalls[0].ID != "call00004" {
		t.Fatalf("got %+v, %v", resp, err)
	}
	function := func(id, name, arguments string) any {
		return map[string]any{"id": id, "type": "function", "function": map[string]any{"name": name, "arguments": arguments}}
	}
	want := []any{
		map[string]any{"role": "user", "content": "Say hello."},
		map[string]any{"role": "assistant", "content": "I look.", "tool_calls": []any{function("a1", "search", `{"q":"x"}`), function("b2", "now", "{}"), function("c3", "now", "{}")}},
		map[string]any{"role": "tool", "content": "found", "tool_call_id": "a1"},
		map[string]any{"role": "tool", "content": "(nothing)", "tool_call_id": "b2"},
		map[string]any{"role": "tool", "content": "12:00", "tool_call_id": "c3"},
	}
	if diff := cmp.Diff(want, s.bodies[0]["messages"]); diff != "" {
		t.Error(diff)
	}
	wantTools := []any{
		map[string]any{"type": "function", "function": map[string]any{
			"name": "search", "description": "Looks it up.",
			"parameters": map[string]any{"type": "object", "properties": map[string]any{"q": map[string]any{"type": "string"}}},
		}},
		map[string]any{"type": "function", "function": map[string]any{"name": "now", "parameters": map[string]any{"type": "object", "properties": map[string]any{}}}},
	}
	if diff := cmp.Diff(wantTools, s.bodies[0]["tools"]); diff != "" {
		t.Error(diff)
	}
}

// An endpoint that takes no tools has refused the request: they are never left
// out in silence.
func TestRefusedToolsAreTheEnd(t *testing.T) {
	for name, r := range map[string]reply{
		"OpenAI":       {400, nil, `{"error":{"message":"tools is not supported in this model. For a list of supported models, refer to the docs.","type":"invalid_request_error","param":null,"code":null}}`},
		"a bad schema": {400, nil, `{"error":{"message":"Invalid schema for function 'search': schema must have type 'object'.","type":"invalid_request_error","param":"tools[0].function.parameters","code":"invalid_function_parameters"}}`},
		"Ollama":       {400, nil, `{"error":{"message":"registry.ollama.ai/library/gemma:2b does not support tools","type":"api_error","param":null,"code":null}}`},
		"vLLM":         {400, nil, `{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}`},
		"llama.cpp":    {500, nil, `{"error":{"code":500,"message":"tools param requires --jinja flag","type":"server_error"}}`},
		"OpenRouter":   {404, nil, `{"error":{"message":"No endpoints found that support tool use.","code":404}}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{replies: []reply{r}}
			client := dial(t, s.ServeHTTP)
			req := equipped(true)
			req.Schema = plan
			for range 2 {
				_, err := client.Chat(t.Context(), req)
				if failed := failure(t, err); failed.Outcome != llm.InvalidRequest || len(failed.Calls) != 1 {
					t.Errorf("got %v, %d calls", failed, len(failed.Calls))
				}
			}
			for _, body := range s.bodies {
				if body["tools"] == nil || body["response_format"] == nil {
					t.Errorf("sent %v", body)
				}
			}
		})
	}
}

// What is refused beside tools goes, and only beside them.
func TestRefusedBesideTools(t *testing.T) {
	for name, r := range map[string]reply{
		"Gemini":    {400, nil, `[{"error":{"code":400,"message":"Function calling with a response mime type: 'application/json' is unsupported","status":"INVALID_ARGUMENT"}}]`},
		"Groq":      {400, nil, `{"error":{"message":"json mode cannot be combined with tool/function calling","type":"invalid_request_error"}}`},
		"llama.cpp": {400, nil, `{"error":{"code":400,"message":"Cannot use custom grammar constraints with tools.","type":"invalid_request_error"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{replies: []reply{r, {body: whole("{}")}}}
			client := dial(t, s.ServeHTTP)
			req := equipped(false)
			req.Schema = plan
			if resp, err := client.Chat(t.Context(), req); err != nil || len(resp.Calls) != 2 {
				t.Fatalf("got %+v, %v", resp, err)
			}
			req.Tools = nil
			if _, err := client.Chat(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			first, second, third := s.bodies[0], s.bodies[1], s.bodies[2]
			if first["response_format"] == nil || second["response_format"] != nil || second["tools"] == nil || third["response_format"] == nil {
				t.Errorf("sent %v", s.bodies)
			}
		})
	}
	s := &script{replies: []reply{
		{500, nil, `{"error":{"code":500,"message":"Cannot use tools with stream","type":"server_error"}}`},
		{body: wholeAsking("tool_calls", "null", `{"id":"a1","function":{"name":"now","arguments":"{}"}}`)},
	}}
	resp, err := dial(t, s.ServeHTTP).Chat(t.Context(), equipped(true))
	if streamed, _ := s.bodies[1]["stream"].(bool); err != nil || len(resp.ToolCalls) != 1 || streamed {
		t.Errorf("got %+v, %v", resp, err)
	}
}
