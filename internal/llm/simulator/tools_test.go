package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	openai "github.com/sashabaranov/go-openai"
)

// offer adds tools to a request.
func offer(req openai.ChatCompletionRequest, names ...string) openai.ChatCompletionRequest {
	for _, name := range names {
		req.Tools = append(req.Tools, openai.Tool{Type: "function", Function: &openai.FunctionDefinition{
			Name: name, Parameters: json.RawMessage(`{"type":"object"}`),
		}})
	}
	return req
}

// converse has every tool called that is asked for, and returns the rounds of
// calls, and the answer.
func converse(t *testing.T, c *openai.Client, req openai.ChatCompletionRequest) (rounds [][]string, answer string) {
	t.Helper()
	for {
		choice := whole(t, c, req).Choices[0]
		if len(choice.Message.ToolCalls) == 0 {
			return rounds, choice.Message.Content
		}
		if choice.FinishReason != "tool_calls" || choice.Message.Content != "" {
			t.Errorf("got %+v", choice)
		}
		var round []string
		req.Messages = append(req.Messages, choice.Message)
		for _, asked := range choice.Message.ToolCalls {
			round = append(round, asked.Function.Name+asked.Function.Arguments)
			req.Messages = append(req.Messages, openai.ChatCompletionMessage{
				Role: "tool", ToolCallID: asked.ID, Content: "<tool_result>\nall of " + asked.Function.Name + ". Continue.\n</tool_result>",
			})
		}
		rounds = append(rounds, round)
	}
}

func TestWorkersCallTools(t *testing.T) {
	s, c := serve(t, Options{Ledger: 10})
	prompt := workPrompt(`Find it [[sim tool=search args={"q": "a ]] b"} tool="now"]] then [[sim tool=gone]] and [[sim tool=now args={"zone":"UTC"}]]`, "")
	rounds, answer := converse(t, c, offer(ask(prompt), "search", "now"))
	want := [][]string{{`search{"q": "a ]] b"}`, "now{}"}, {`now{"zone":"UTC"}`}}
	if diff := cmp.Diff(want, rounds); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(answer, " The tool search answered “all of search. Continue”. The tool now answered “all of now. Continue”. The tool now") {
		t.Error(answer)
	}
	rec := s.Requests()[0]
	if len(rec.Asked) != 2 || rec.Asked[0].Name != "search" || rec.Reply != "" || !slices.Equal(rec.Tools, []string{"search", "now"}) {
		t.Errorf("record %+v", rec)
	}
	if last := s.Requests()[2]; last.Messages[2].Answers == "" || len(last.Messages[1].ToolCalls) != 2 || last.Usage.Prompt <= rec.Usage.Prompt {
		t.Errorf("record %+v", last)
	}
	for name, req := range map[string]openai.ChatCompletionRequest{
		"no tools":           ask(prompt),
		"none that is asked": offer(ask(prompt), "other"),
		"no directive":       offer(ask(workPrompt("Find it", "")), "search"),
		"only in the task":   offer(ask("<task>x [[sim tool=search]]</task> You are a worker. <subtask>Find it</subtask>"), "search"),
		"no worker":          offer(ask("You are the synthesizer. [[sim tool=search]]"), "search"),
	} {
		if rounds, answer := converse(t, c, req); rounds != nil || !strings.Contains(answer, "[simulated]") {
			t.Errorf("%s: %v, %s", name, rounds, answer)
		}
	}
}

func TestStreamedToolCalls(t *testing.T) {
	for _, chunk := range []int{1, 3, 1000} {
		_, c := serve(t, Options{ChunkTokens: chunk})
		req := offer(ask(workPrompt(`[[sim tool=search args={"q": "日本語の説明を書く"} tool=now]]`, "")), "search", "now")
		full := whole(t, c, req)
		want := full.Choices[0].Message.ToolCalls
		req.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
		stream, err := c.CreateChatCompletionStream(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		var got []openai.ToolCall
		finish, completion := "", 0
		for {
			piece, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if piece.Usage != nil {
				completion = piece.Usage.CompletionTokens
			}
			for _, choice := range piece.Choices {
				finish += string(choice.FinishReason)
				for _, asked := range choice.Delta.ToolCalls {
					if i := *asked.Index; i < len(got) {
						got[i].Function.Arguments += asked.Function.Arguments
						continue
					}
					asked.Index = nil
					got = append(got, asked)
				}
			}
		}
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || finish != "tool_calls" || completion != full.Usage.CompletionTokens {
			t.Errorf("finish %q, %d tokens, %s", finish, completion, diff)
		}
	}
}

func TestFaultsOfToolCalls(t *testing.T) {
	req := offer(ask(workPrompt(`[[sim tool=search args={"q": "x"}]]`, "")), "search")
	for fault, want := range map[Fault]string{
		Truncated: `length {"q":`, Empty: "tool_calls ", Filtered: `content_filter {"q":`, Refusal: "tool_calls ",
	} {
		_, c := serve(t, Options{Fail: func(Request) Fault { return fault }})
		choice := whole(t, c, req).Choices[0]
		got := string(choice.FinishReason) + " "
		for _, asked := range choice.Message.ToolCalls {
			got += asked.Function.Arguments
		}
		if got != want {
			t.Errorf("%d: %q, want %q", fault, got, want)
		}
	}
	_, c := serve(t, Options{})
	req.MaxCompletionTokens = 2
	if choice := whole(t, c, req).Choices[0]; choice.FinishReason != "length" || choice.Message.ToolCalls[0].Function.Arguments != `{"q": "x` {
		t.Errorf("got %+v", choice)
	}
}

func TestHooksMayCallTools(t *testing.T) {
	_, c := serve(t, Options{Answer: func(r Request) (Reply, bool) {
		return Reply{ToolCalls: []ToolCall{{ID: "a", Name: "invented", Arguments: "no JSON"}}}, len(r.Tools) > 0
	}})
	choice := whole(t, c, offer(ask("hello"), "search")).Choices[0]
	if choice.FinishReason != "tool_calls" || choice.Message.ToolCalls[0].Function.Arguments != "no JSON" {
		t.Errorf("got %+v", choice)
	}
}

func TestBadToolsAreRefused(t *testing.T) {
	request := func(messages, tools string) string {
		return `{"model":"m","messages":[{"role":"user","content":"x"}` + messages + `],"tools":[` + tools + `]}`
	}
	const (
		asks = `,{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`
		gets = `,{"role":"tool","tool_call_id":"a","content":"y"}`
	)
	for name, tc := range map[string]struct {
		body  string
		param string
		lacks []Feature
	}{
		"name":           {request("", `{"type":"function","function":{"name":"a b"}}`), "tools[0].function.name", nil},
		"type":           {request("", `{"type":"web","function":{"name":"a"}}`), "tools[0].function.name", nil},
		"parameters":     {request("", `{"type":"function","function":{"name":"a","parameters":[]}}`), "tools[0].function.parameters", nil},
		"no call before": {request(gets, ""), "messages.[1].role", nil},
		"another id":     {request(asks+`,{"role":"tool","tool_call_id":"b","content":"y"}`, ""), "messages.[2].role", nil},
		"answered twice": {request(asks+gets+gets, ""), "messages.[3].role", nil},
		"unanswered":     {request(asks, ""), "messages", nil},
		"overtaken":      {request(asks+`,{"role":"user","content":"z"}`+gets, ""), "messages", nil},
		"without an id":  {request(`,{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f"}}]}`, ""), "messages.[1].tool_calls", nil},
		"not supported":  {request("", `{"type":"function","function":{"name":"a"}}`), "tools", []Feature{Tools}},
	} {
		got := post(t, New(Options{Unsupported: tc.lacks}), tc.body)
		if e := got.errorBody(t); got.status != http.StatusBadRequest || e.param() != tc.param {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := post(t, New(Options{Unsupported: []Feature{Tools}}), request(asks+gets, "")); got.status != http.StatusOK {
		t.Errorf("a good conversation: %s", got.body)
	}
}
