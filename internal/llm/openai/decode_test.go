package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	api "github.com/sashabaranov/go-openai"
	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/llm"
)

// Of whatever go-openai can read, we read the same, in whatever pieces it comes.
func TestAnswersAreReadAsGoOpenAIReadsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		answer := drawAnswer(t)
		body, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		var want api.ChatCompletionResponse
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatal(err)
		}
		var from io.Reader = bytes.NewReader(body)
		switch rapid.IntRange(0, 2).Draw(t, "pieces") {
		case 0:
			from = iotest.OneByteReader(from)
		case 1:
			from = iotest.HalfReader(from)
		}
		var got completion
		if err := decode(from, &got); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if len(got.Choices) != len(want.Choices) || bool(got.ID) != (want.ID != "") || !bool(got.Object) || got.Usage.usage() != readBilling(want.Usage) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		for i := range want.Choices {
			ours, theirs := &got.Choices[i], &want.Choices[i]
			text := theirs.Message.Content
			for _, part := range theirs.Message.MultiContent {
				text += part.Text
			}
			calls := make([]toolCall, len(theirs.Message.ToolCalls))
			for k, c := range theirs.Message.ToolCalls {
				calls[k].ID, calls[k].Function.Name, calls[k].Function.Arguments = c.ID, c.Function.Name, arguments(c.Function.Arguments)
			}
			if string(ours.Message.Content) != text || ours.Message.Refusal != theirs.Message.Refusal || ours.FinishReason != theirs.FinishReason ||
				fmt.Sprint(ours.Message.ToolCalls) != fmt.Sprint(calls) {
				t.Fatalf("got %+v, want %+v", ours, theirs)
			}
		}
	})
}

// readBilling is go-openai's reading of what was billed.
func readBilling(u api.Usage) llm.Usage {
	b := billing{Prompt: number(u.PromptTokens), Completion: number(u.CompletionTokens), Total: number(u.TotalTokens)}
	if u.PromptTokensDetails != nil {
		b.OfPrompt.Cached = number(u.PromptTokensDetails.CachedTokens)
	}
	if u.CompletionTokensDetails != nil {
		b.OfAnswer.Reasoning = number(u.CompletionTokensDetails.ReasoningTokens)
	}
	return b.usage()
}

func drawAnswer(t *rapid.T) api.ChatCompletionResponse {
	answer := api.ChatCompletionResponse{
		ID: anyText().Draw(t, "id"), Object: "chat.completion", Created: 1700000000, Model: "m", SystemFingerprint: "fp",
		Usage: api.Usage{PromptTokens: rapid.Int().Draw(t, "prompt"), TotalTokens: 5},
	}
	if rapid.Bool().Draw(t, "details") {
		answer.Usage.PromptTokensDetails = &api.PromptTokensDetails{CachedTokens: 3}
		answer.Usage.CompletionTokensDetails = &api.CompletionTokensDetails{ReasoningTokens: 2}
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "choices") {
		choice := api.ChatCompletionChoice{Index: i, FinishReason: api.FinishReasonStop}
		choice.Message = api.ChatCompletionMessage{Role: "assistant", ReasoningContent: "hm", Refusal: anyText().Draw(t, "refusal")}
		if rapid.Bool().Draw(t, "in parts") {
			for range 2 {
				choice.Message.MultiContent = append(choice.Message.MultiContent, api.ChatMessagePart{Type: "text", Text: anyText().Draw(t, "part")})
			}
		} else {
			choice.Message.Content = anyText().Draw(t, "text")
		}
		for range rapid.IntRange(0, 2).Draw(t, "calls") {
			choice.Message.ToolCalls = append(choice.Message.ToolCalls, api.ToolCall{ID: "c", Type: "function", Function: api.FunctionCall{Name: "f", Arguments: anyText().Draw(t, "arguments")}})
		}
		answer.Choices = append(answer.Choices, choice)
	}
	return answer
}

// What endpoints write beside the standard.
func TestLenientReading(t *testing.T) {
	for name, test := range map[string]struct{ body, text string }{
		"a name twice":             {`{"id":"a","id":"b","choices":[{"message":{"content":"a","content":"b"}}]}`, "b"},
		"no UTF-8":                 {"{\"choices\":[{\"message\":{\"content\":\"a\xffb\"}}]}", "a\ufffdb"},
		"half a surrogate":         {`{"choices":[{"message":{"content":"a\ud800b"}}]}`, "a\ufffdb"},
		"something after it":       {whole("a") + "\n}garbage", "a"},
		"nulls":                    {`{"id":null,"choices":[{"message":{"content":"a","refusal":null,"tool_calls":null},"finish_reason":null}],"usage":null}`, "a"},
		"members of another shape": {`{"created":1.5,"model":{},"choices":[{"index":"0","message":{"content":"a","role":7},"logprobs":[[]]}]}`, "a"},
		"an id that is a number":   {`{"id":7,"object":1,"choices":[{"message":{"content":"a"}}]}`, "a"},
		"parts without a text":     {`{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{}]},{"text":"a"},{"text":null},null]}}]}`, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{replies: []reply{{body: test.body}}}
			if resp, err := dial(t, s.ServeHTTP).Chat(t.Context(), asks("m")); err != nil || resp.Text != test.text {
				t.Errorf("got %+v, %v", resp, err)
			}
		})
	}
}

// An answer is there when its JSON is, whether or not the endpoint ends it.
func TestAnswerThatIsNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := dialPipe(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, whole("a"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		start := time.Now()
		resp, err := client.Chat(t.Context(), asks("m"))
		if took := time.Since(start); err != nil || resp.Text != "a" || took > time.Second {
			t.Errorf("got %+v, %v after %v", resp, err, took)
		}
	})
}

// A model thinks as well when its thoughts come letter by letter.
func TestSomething(t *testing.T) {
	for value, want := range map[string]something{
		`null`: false, `""`: false, `[]`: false, `{}`: false,
		`"I"`: true, `"am"`: true, `" "`: true, `"thinking"`: true, `[{"text":"so"}]`: true,
	} {
		var c chunk
		if err := jsonv2.Unmarshal([]byte(`{"choices":[{"delta":{"reasoning_content":`+value+`}}]}`), &c, lenient); err != nil || c.Choices[0].Delta.Thought != want {
			t.Errorf("%s: %v, %v", value, c.Choices[0].Delta.Thought, err)
		}
	}
}

// A buffer that took a large answer, or the part of one, is not kept for small ones.
func TestNoLargeBufferIsKept(t *testing.T) {
	for _, answer := range []string{
		`{"choices":[{"message":{"content":"` + strings.Repeat("x", 1<<20),
		whole(strings.Repeat("x", 1<<20)),
	} {
		var said completion
		_ = decode(strings.NewReader(answer), &said)
		for range 10 { // whichever there are
			if n := cap(decoders.Get().(*jsontext.Decoder).UnreadBuffer()); n > 2*keptBuffer {
				t.Errorf("%d bytes are kept of an answer that begins with %.40q", n, answer)
			}
		}
	}
}

// Some programs have no integers: what counts choices and calls is written as what was
// billed is.
func TestNumbersOfAStream(t *testing.T) {
	s := &script{replies: []reply{{body: sse(
		`{"id":7,"choices":[{"index":0.0,"delta":{"content":"a"}},{"index":1.0,"delta":{"content":"no"}},{"index":-1,"delta":{"content":"no"}}]}`,
		`{"choices":[{"index":0e0,"delta":{"tool_calls":[{"index":0.0,"id":"c","function":{"name":"f","arguments":"{"}},{"index":1.0,"id":"d","function":{"name":"g","arguments":"{\"q\":"}}]}}]}`,
		`{"choices":[{"index":null,"delta":{"tool_calls":[{"index":0.0,"function":{"arguments":"}"}},{"index":1.0,"function":{"arguments":"1}"}}]}}]}`,
		stop, "[DONE]",
	)}}}
	resp, err := dial(t, s.ServeHTTP).Chat(t.Context(), streamed())
	want := []llm.ToolCall{{ID: "c", Name: "f", Arguments: "{}"}, {ID: "d", Name: "g", Arguments: `{"q":1}`}}
	if err != nil || resp.Text != "a" || !slices.Equal(resp.ToolCalls, want) {
		t.Errorf("got %+v, %v", resp, err)
	}
}

// Nothing of one answer is seen in the next, though buffers are used again.
func TestAnswersAreApart(t *testing.T) {
	for i := range 100 {
		var got completion
		if err := decode(strings.NewReader(whole(strings.Repeat("x", i*7%50))), &got); err != nil || len(got.Choices[0].Message.Content) != i*7%50 {
			t.Fatalf("got %+v, %v", got, err)
		}
		if err := decode(strings.NewReader(`{"choices":[{"mess`), &got); err == nil {
			t.Fatal("half an answer was read")
		}
	}
}

// The chunks of a stream share memory; none shows through the next.
func TestChunksAreApart(t *testing.T) {
	body := sse(
		`{"choices":[{"index":0,"delta":{"content":"a","refusal":"","tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"q\":"}}]}}],"usage":{"prompt_tokens":7}}`,
		`{"id":"c"}`, `{"choices":[{}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`, "[DONE]",
	)
	s := &script{replies: []reply{{body: body}}}
	req := asks("m")
	req.Stream = true
	resp, err := dial(t, s.ServeHTTP).Chat(t.Context(), req)
	if err != nil || resp.Text != "a" || len(resp.ToolCalls) != 1 || resp.ToolCalls[0] != (llm.ToolCall{ID: "c", Name: "f", Arguments: `{"q":1}`}) ||
		resp.Calls[0].Usage.Prompt != 7 {
		t.Errorf("got %+v, %v", resp, err)
	}
}

// Whatever comes is an answer, or an Error, and as large as what came.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		whole("Hello"), sse(role, delta("Hel"), delta("lo"), stop, billed, "[DONE]"), "{}", "null", "data:", "data: {}\n", sse(`{"error":"x"}`),
		`{"choices":[{"message":{"content":[{"text":"a"}],"tool_calls":[{"id":1,"function":{"name":"f","arguments":{"q":[1]}}}]}}]}`,
		sse(`{"choices":[{"delta":{"content":[{"text":"a"},null],"reasoning":{}}}]}`, `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{"}}]}}]}`, stop),
		"{\"choices\":[{\"message\":{\"content\":\"\xff\\ud800\"}}],\"choices\":null}", strings.Repeat(`{"choices":[`, 50), `{"usage":{"total_tokens":1e5}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		client, err := New(Options{BaseURL: "http://endpoint.test/v1", Transport: canned(body)})
		if err != nil {
			t.Fatal(err)
		}
		for _, stream := range []bool{false, true} {
			req := asks("m")
			var pieces strings.Builder
			req.Stream, req.OnText = stream, func(text string) { pieces.WriteString(text) }
			resp, err := client.Chat(t.Context(), req)
			if err != nil {
				if failed := failure(t, err); len(failed.Calls) != 1 || failed.Outcome == llm.OK {
					t.Errorf("got %+v", failed)
				}
				continue
			}
			if strings.TrimSpace(resp.Text) == "" && len(resp.ToolCalls) == 0 || len(resp.Text) > 3*len(body) || len(resp.ToolCalls) > maxToolCalls {
				t.Errorf("got %+v", resp)
			}
			if stream && pieces.String() != resp.Text {
				t.Errorf("pieces %q of %q", pieces.String(), resp.Text)
			}
		}
	})
}
