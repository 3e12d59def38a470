package openai

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	api "github.com/sashabaranov/go-openai"
	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/llm"
)

// What is sent is, as JSON values, what go-openai would send, and the cache key.
func TestRequestsAreGoOpenAIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req, known := drawRequest(t), drawFeatures(t)
		wire := known.request(req)
		ours, err := wire.encode()
		if err != nil {
			t.Fatal(err)
		}
		full := wire.ChatCompletionRequest
		full.Messages = make([]api.ChatCompletionMessage, len(req.Messages))
		for i, m := range req.Messages {
			full.Messages[i] = theirs(m)
		}
		text, err := json.Marshal(full)
		if err != nil {
			t.Fatal(err)
		}
		want := value(t, text)
		if req.CacheKey != "" && !known.noCacheKey {
			want["prompt_cache_key"] = string([]rune(req.CacheKey)) // what is no UTF-8 becomes U+FFFD
		}
		if diff := cmp.Diff(want, value(t, ours)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func value(t *rapid.T, text []byte) map[string]any {
	var v map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil || d.More() {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// theirs is a message in go-openai's words.
func theirs(m llm.Message) api.ChatCompletionMessage {
	wire := api.ChatCompletionMessage{Role: string(m.Author), ToolCallID: m.Answers, Content: m.Text}
	for _, c := range m.ToolCalls {
		arguments := c.Arguments
		if !strings.HasPrefix(arguments, "{") {
			arguments = "{}"
		}
		wire.ToolCalls = append(wire.ToolCalls, api.ToolCall{ID: c.ID, Type: api.ToolTypeFunction, Function: api.FunctionCall{Name: c.Name, Arguments: arguments}})
	}
	if m.Author == llm.ToolResult && m.Text == "" {
		wire.Content = "(nothing)"
	}
	if len(m.Images) == 0 {
		return wire
	}
	wire.Content = ""
	if m.Text != "" {
		wire.MultiContent = append(wire.MultiContent, api.ChatMessagePart{Type: api.ChatMessagePartTypeText, Text: m.Text})
	}
	for _, image := range m.Images {
		wire.MultiContent = append(wire.MultiContent, api.ChatMessagePart{
			Type:     api.ChatMessagePartTypeImageURL,
			ImageURL: &api.ChatMessageImageURL{URL: "data:" + image.MediaType + ";base64," + base64.StdEncoding.EncodeToString(image.Data)},
		})
	}
	return wire
}

// anyText is also long, of any script, and no UTF-8.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringOf(rapid.RuneFrom([]rune("\"\\/<>&\n\r\t\b\f\x00\x1f\x7f\u2028\u2029é日🙂 a"))),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.Map(rapid.IntRange(0, 3000), lines),
	)
}

func drawRequest(t *rapid.T) *llm.Request {
	schema := rapid.SampledFrom([]string{`{"type":"object"}`, ` { "type" : "object", "properties":{"a\u0062":{"enum":["<",1.50]}} }`, string(plan.JSON)})
	req := &llm.Request{
		Model:           rapid.SampledFrom([]string{"m", "gpt-5-mini", "o3", `a"b`}).Draw(t, "model"),
		MaxTokens:       rapid.IntRange(0, 3).Draw(t, "max tokens"),
		ReasoningEffort: rapid.SampledFrom([]string{"", "low", "high", "mañana"}).Draw(t, "effort"),
		Stream:          rapid.Bool().Draw(t, "stream"),
		CacheKey:        anyText().Draw(t, "cache key"),
		Messages:        rapid.SliceOfN(rapid.Custom(drawMessage), 0, 5).Draw(t, "messages"),
	}
	if rapid.Bool().Draw(t, "with temperature") {
		temperature := rapid.Float64Range(-2, 2).Draw(t, "temperature")
		req.Temperature = &temperature
	}
	if rapid.Bool().Draw(t, "with schema") {
		req.Schema = &llm.Schema{Name: "plan", JSON: json.RawMessage(schema.Draw(t, "schema"))}
	}
	for range rapid.IntRange(0, 2).Draw(t, "tools") {
		req.Tools = append(req.Tools, llm.Tool{Name: "t", Description: anyText().Draw(t, "tool"), Schema: json.RawMessage(schema.Draw(t, "arguments"))})
	}
	return req
}

func drawMessage(t *rapid.T) llm.Message {
	m := llm.Message{
		Author:  rapid.SampledFrom([]llm.Author{llm.System, llm.User, llm.Assistant, llm.ToolResult}).Draw(t, "author"),
		Text:    anyText().Draw(t, "text"),
		Answers: rapid.SampledFrom([]string{"", "call_1"}).Draw(t, "answers"),
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "images") {
		m.Images = append(m.Images, llm.Image{
			MediaType: rapid.SampledFrom([]string{"image/png", `image/"x"`}).Draw(t, "type"),
			Data:      rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
		})
	}
	for range rapid.SampledFrom([]int{0, 0, 2}).Draw(t, "calls") {
		m.ToolCalls = append(m.ToolCalls, llm.ToolCall{ID: "c", Name: "t", Arguments: rapid.SampledFrom([]string{"", "[1]", "null", `{"q":"\u00e9<"}`}).Draw(t, "arguments")})
	}
	return m
}

func drawFeatures(t *rapid.T) features {
	return features{
		completionTokens: rapid.Bool().Draw(t, "completion tokens"),
		noTemperature:    rapid.Bool().Draw(t, "no temperature"),
		noStreamUsage:    rapid.Bool().Draw(t, "no usage"),
		noCacheKey:       rapid.Bool().Draw(t, "no cache key"),
		wholeOnly:        rapid.Bool().Draw(t, "whole only"),
		refusedEfforts:   rapid.SampledFrom([]string{"", ",low,"}).Draw(t, "efforts"),
		format:           format(rapid.IntRange(0, 2).Draw(t, "format")),
	}
}

// What JSON cannot say is an error, as it is with go-openai.
func TestWhatIsNoJSONIsNotSent(t *testing.T) {
	for name, change := range map[string]func(*llm.Request){
		"no number": func(r *llm.Request) { nan := math.NaN(); r.Temperature = &nan },
		"a schema":  func(r *llm.Request) { r.Schema = &llm.Schema{Name: "x", JSON: json.RawMessage(`{`)} },
		"a tool's schema": func(r *llm.Request) {
			r.Tools = []llm.Tool{{Name: "t", Schema: json.RawMessage(`{"type":}`)}}
		},
	} {
		s := &script{replies: []reply{{body: whole("x")}}}
		req := asks("m")
		change(req)
		_, err := dial(t, s.ServeHTTP).Chat(t.Context(), req)
		if failed := failure(t, err); failed.Outcome != llm.InvalidRequest || len(failed.Calls) != 0 || len(s.bodies) != 0 {
			t.Errorf("%s: got %v, %d calls", name, failed, len(failed.Calls))
		}
	}
}
