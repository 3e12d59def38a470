package openai

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/llm"
)

var plan = &llm.Schema{Name: "plan", JSON: json.RawMessage(
	`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`,
)}

// everything asks for every feature that an endpoint may refuse.
func everything() *llm.Request {
	temperature := 0.2
	req := streamed()
	req.MaxTokens, req.Temperature, req.ReasoningEffort, req.Schema, req.CacheKey = 100, &temperature, "low", plan, "run_1"
	return req
}

// features of a body that was sent.
func sentFeatures(body map[string]any) []string {
	var has []string
	for _, name := range []string{"max_tokens", "max_completion_tokens", "temperature", "reasoning_effort", "stream_options", "prompt_cache_key"} {
		if body[name] != nil {
			has = append(has, name)
		}
	}
	if format, ok := body["response_format"].(map[string]any); ok {
		has = append(has, format["type"].(string))
	}
	if stream, _ := body["stream"].(bool); stream {
		has = append(has, "stream")
	}
	return has
}

func without(list []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(names, s) })
}

// TestRefusedFeatures: what the 400s of real endpoints teach.
func TestRefusedFeatures(t *testing.T) {
	all := []string{"max_tokens", "temperature", "reasoning_effort", "stream_options", "prompt_cache_key", "json_schema", "stream"}
	tests := []struct {
		name   string
		status int
		body   string
		then   []string
	}{
		{
			"OpenAI max_tokens", 400,
			`{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}`,
			append([]string{"max_completion_tokens"}, all[1:]...),
		},
		{
			"OpenAI temperature", 400,
			`{"error":{"message":"Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}`,
			without(all, "temperature"),
		},
		{
			"Kimi temperature", 400, `{"error":{"message":"invalid temperature: only 1 is allowed for this model","type":"invalid_request_error"}}`,
			without(all, "temperature"),
		},
		{
			"OpenAI reasoning_effort", 400, `{"error":{"message":"Unrecognized request argument supplied: reasoning_effort","type":"invalid_request_error","param":null,"code":null}}`,
			without(all, "reasoning_effort"),
		},
		{
			"Ollama thinking", 400, `{"error":{"message":"\"llama3.1:8b\" does not support thinking","type":"invalid_request_error","param":null,"code":null}}`,
			without(all, "reasoning_effort"),
		},
		{
			"Azure stream_options", 400, `{"error":{"message":"Validation error at #/stream_options: Extra inputs are not permitted","code":"BadRequest"}}`,
			without(all, "stream_options"),
		},
		{
			"Azure catalog stream_options", 400, `{"detail":"Extra parameters ['stream_options'] are not allowed when extra-parameters is not set or set to be 'error'."}`,
			without(all, "stream_options"),
		},
		{
			"OpenAI unverified organization", 400,
			`{"error":{"message":"Your organization must be verified to stream this model.","type":"invalid_request_error","param":"stream","code":"unsupported_value"}}`,
			without(all, "stream", "stream_options"),
		},
		{
			"DeepSeek json_schema", 400, `{"error":{"message":"This response_format type is unavailable now","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`,
			append(without(all, "json_schema", "stream"), "json_object", "stream"),
		},
		{
			"older DeepSeek json_schema", 422, "Failed to deserialize the JSON body into the target type: response_format: response_format.type `json_schema` is unavailable now at line 1 column 1193",
			append(without(all, "json_schema", "stream"), "json_object", "stream"),
		},
		{
			"vLLM grammar", 400, `{"object":"error","message":"Failed to convert the grammar from EBNF","type":"BadRequestError","param":null,"code":400}`,
			append(without(all, "json_schema", "stream"), "json_object", "stream"),
		},
		{
			"Azure cache key", 400, `{"error":{"message":"Unrecognized request argument supplied: prompt_cache_key","type":"invalid_request_error","param":null,"code":null}}`,
			without(all, "prompt_cache_key"),
		},
		{
			"two at once, with what was sent", 422, `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{"include_usage":true}},` +
				`{"type":"extra_forbidden","loc":["body","prompt_cache_key"],"msg":"Extra inputs are not permitted","input":"temperature"}]}`,
			without(all, "stream_options", "prompt_cache_key"),
		},
		{
			"Mistral cache key", 422, `{"detail":[{"type":"extra_forbidden","loc":["body","prompt_cache_key"],"msg":"Extra inputs are not permitted","input":"run_1"}]}`,
			without(all, "prompt_cache_key"),
		},
		{
			"Gemini cache key", 400, `[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"prompt_cache_key\": Cannot find field.","status":"INVALID_ARGUMENT"}}]`,
			without(all, "prompt_cache_key"),
		},
		{
			"a checker that names nothing", 400, `{"error":{"message":"body must NOT have additional properties"}}`,
			without(all, "prompt_cache_key"),
		},
		{
			"several at once", 400, `{"error":{"message":"Unknown parameters: temperature, reasoning_effort"}}`,
			without(all, "temperature", "reasoning_effort"),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			good := reply{body: sse(delta("{}"), stop, "[DONE]")}
			if !slices.Contains(test.then, "stream") {
				good.body = whole("{}")
			}
			s := &script{replies: []reply{{test.status, nil, test.body}, good}}
			client := dial(t, s.ServeHTTP)
			req := everything()
			before := *req
			pieces := 0
			req.OnText = func(string) { pieces++ }
			resp, err := client.Chat(t.Context(), req)
			if err != nil || resp.Text != "{}" || pieces != 1 {
				t.Fatalf("got %+v, %v, %d pieces", resp, err, pieces)
			}
			if len(resp.Calls) != 2 || resp.Calls[0].Outcome != llm.InvalidRequest || resp.Calls[1].Outcome != llm.OK {
				t.Errorf("calls %+v", resp.Calls)
			}
			if got := sentFeatures(s.bodies[0]); !slices.Equal(got, all) {
				t.Errorf("first asked with %v", got)
			}
			if got := sentFeatures(s.bodies[1]); !slices.Equal(got, test.then) {
				t.Errorf("then asked with %v, want %v", got, test.then)
			}
			// It is learned, for this model alone, and the request is as it was.
			if resp, err := client.Chat(t.Context(), req); err != nil || len(resp.Calls) != 1 {
				t.Errorf("asked again: %+v, %v", resp, err)
			}
			if got := sentFeatures(s.bodies[2]); !slices.Equal(got, test.then) {
				t.Errorf("asked again with %v, want %v", got, test.then)
			}
			req.Model = "another"
			_, _ = client.Chat(t.Context(), req)
			if got := sentFeatures(s.bodies[3]); !slices.Equal(got, all) {
				t.Errorf("another model was asked with %v", got)
			}
			req.Model, req.OnText = before.Model, nil
			if !reflect.DeepEqual(*req, before) {
				t.Error("the request was changed")
			}
		})
	}
}

func TestFaultsThatAreNoRefusal(t *testing.T) {
	for name, r := range map[string]reply{
		"OpenAI max_tokens too large": {400, nil, `{"error":{"message":"max_tokens is too large: 6000. This model supports at most 4096 completion tokens, whereas you provided 6000.","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}`},
		"Anthropic max_tokens":        {400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: 10000 > 4096, which is the maximum allowed number of output tokens for claude-3-5-sonnet-20240620"}}`},
		"DeepSeek max_tokens":         {400, nil, `{"error":{"message":"Invalid max_tokens value, the valid range of max_tokens is [1, 8192]","type":"invalid_request_error"}}`},
		"temperature":                 {400, nil, `{"error":{"message":"temperature must be between 0 and 2"}}`},
		"a model":                     {404, nil, `{"error":{"message":"Unrecognized model: m"}}`},
		"another fault":               {400, nil, `{"error":{"message":"messages: roles must alternate"}}`},
		"context":                     {400, nil, `{"error":{"message":"'max_tokens' is too large. This model's maximum context length is 8192 tokens"}}`},
		"vLLM, with what was sent":    {400, nil, `{"error":{"message":"[{'type': 'value_error', 'loc': ('body',), 'msg': 'Value error, bad image', 'input': {'model': 'm', 'messages': [], 'temperature': 0.5, 'stream_options': {}, 'response_format': {'type': 'json_schema'}}}]","type":"BadRequestError","param":null,"code":400}}`},
		"FastAPI, with what was sent": {422, nil, `{"detail":[{"type":"value_error","loc":["body"],"msg":"bad image","input":{"model":"m","temperature":0.5,"stream_options":{},"response_format":{"type":"json_schema"}}}]}`},
		"not a refusal":               {500, nil, `{"error":{"message":"max_tokens is not supported"}}`},
		"midway in a stream":          {200, nil, sse(delta("x"), `{"error":{"message":"temperature is not supported","code":400}}`)},
		"the key":                     {401, nil, `{"error":{"message":"temperature"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{replies: []reply{r}}
			req := everything()
			if _, err := dial(t, s.ServeHTTP).Chat(t.Context(), req); len(failure(t, err).Calls) != 1 {
				t.Error("it was made again")
			}
		})
	}
}

// A second refusal is the end of the request, but what it teaches is kept.
func TestTwoRefusals(t *testing.T) {
	refuse := func(param string) reply {
		return reply{400, nil, `{"error":{"message":"Unsupported parameter: '` + param + `'","param":"` + param + `","code":"unsupported_parameter"}}`}
	}
	s := &script{replies: []reply{refuse("temperature"), refuse("max_tokens"), {body: sse(delta("x"), "[DONE]")}}}
	client := dial(t, s.ServeHTTP)
	_, err := client.Chat(t.Context(), everything())
	failed := failure(t, err)
	if failed.Outcome != llm.InvalidRequest || len(failed.Calls) != 2 || len(s.bodies) != 2 {
		t.Fatalf("got %v, %d calls", failed, len(failed.Calls))
	}
	resp, err := client.Chat(t.Context(), everything())
	if err != nil || len(resp.Calls) != 1 {
		t.Errorf("the next attempt: %+v, %v", resp, err)
	}
	if got, want := sentFeatures(s.bodies[2]), []string{"max_completion_tokens", "reasoning_effort", "stream_options", "prompt_cache_key", "json_schema", "stream"}; !slices.Equal(got, want) {
		t.Errorf("the next attempt has %v, want %v", got, want)
	}
}

func TestFormatsGoDownToWords(t *testing.T) {
	refusal := reply{400, nil, `{"error":{"message":"response_format is not supported"}}`}
	s := &script{replies: []reply{refusal, refusal, {body: whole("{}")}}}
	client := dial(t, s.ServeHTTP)
	req := asks("m")
	req.Schema = plan
	_, err := client.Chat(t.Context(), req)
	if failed := failure(t, err); len(failed.Calls) != 2 {
		t.Fatalf("got %v", failed)
	}
	if _, err := client.Chat(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	formats := make([]any, 0, len(s.bodies))
	for _, body := range s.bodies {
		format, _ := body["response_format"].(map[string]any)
		formats = append(formats, format["type"])
	}
	if want := []any{"json_schema", "json_object", nil}; !slices.Equal(formats, want) {
		t.Errorf("asked by %v, want %v", formats, want)
	}
}

// A schema of a caller's that an endpoint finds fault with must not cost the
// others theirs.
func TestABadSchemaTeachesNothing(t *testing.T) {
	bad := reply{400, nil, `{"error":{"message":"Invalid schema for response_format 'plan': In context=(), 'required' is required to be supplied.","type":"invalid_request_error","param":"response_format","code":null}}`}
	s := &script{replies: []reply{bad, {body: whole("{}")}}}
	client := dial(t, s.ServeHTTP)
	req := asks("m")
	req.Schema = plan
	for range 2 {
		if _, err := client.Chat(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.bodies[2]["response_format"].(map[string]any)["type"]; len(s.bodies) != 3 || got != "json_schema" {
		t.Errorf("%d requests, the last by %v", len(s.bodies), got)
	}
}

// A refused effort is a lesson about that value only.
func TestAnotherEffortIsStillAsked(t *testing.T) {
	s := &script{replies: []reply{
		{400, nil, `{"error":{"message":"Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values are: 'low', 'medium', and 'high'.","param":"reasoning_effort","code":"unsupported_value"}}`},
		{body: whole("x")},
	}}
	client := dial(t, s.ServeHTTP)
	for _, effort := range []string{"minimal", "high", "minimal"} {
		req := asks("m")
		req.ReasoningEffort = effort
		if _, err := client.Chat(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	sent := make([]any, 0, len(s.bodies))
	for _, body := range s.bodies {
		sent = append(sent, body["reasoning_effort"])
	}
	if want := []any{"minimal", nil, "high", nil}; !slices.Equal(sent, want) {
		t.Errorf("sent %v, want %v", sent, want)
	}
}

// go-openai refuses some of what we could send without asking the endpoint.
func TestModelsThatReason(t *testing.T) {
	for _, model := range []string{"gpt-5-mini", "o1", "o3-mini", "o4-mini", "gpt-6-astra", "gpt-6-sol"} {
		t.Run(model, func(t *testing.T) {
			s := &script{replies: []reply{{body: whole("x")}}}
			client := dial(t, s.ServeHTTP)
			for _, effort := range []string{"", "minimal", "high", "none"} {
				temperature := 0.5
				req := asks(model)
				req.MaxTokens, req.Temperature, req.ReasoningEffort = 50, &temperature, effort
				if resp, err := client.Chat(t.Context(), req); err != nil || len(resp.Calls) != 1 {
					t.Errorf("effort %q: %+v, %v", effort, resp, err)
				}
			}
			for _, body := range s.bodies {
				if body["max_tokens"] != nil || body["temperature"] != nil || body["max_completion_tokens"] != 50.0 {
					t.Errorf("sent %v", body)
				}
			}
		})
	}
}

func TestTemperatureZeroIsSent(t *testing.T) {
	for _, test := range []struct{ in, out float64 }{{0, math.SmallestNonzeroFloat32}, {1e-60, math.SmallestNonzeroFloat32}, {0.25, 0.25}, {1, 1}} {
		s := &script{replies: []reply{{body: whole("x")}}}
		req := asks("m")
		req.Temperature = &test.in
		_, _ = dial(t, s.ServeHTTP).Chat(t.Context(), req)
		got, ok := s.bodies[0]["temperature"].(float64)
		if !ok || float32(got) != float32(test.out) {
			t.Errorf("%v was sent as %v", test.in, s.bodies[0]["temperature"])
		}
	}
}

func TestLessonsAreBounded(t *testing.T) {
	var l lessons
	temperature := 0.5
	sent := features{}.request(&llm.Request{Temperature: &temperature})
	for i := range 3 * maxLessons {
		l.learn(fmt.Sprint(i), sent, &fault{message: "temperature is not supported"})
	}
	l.learn(strings.Repeat("x", 1<<20), sent, &fault{message: "temperature is not supported"})
	for i := range 10 * maxName {
		sent.ReasoningEffort = fmt.Sprint("effort", i)
		l.learn("efforts", sent, &fault{message: "reasoning_effort is not supported"})
	}
	if n := len(l.of("efforts").refusedEfforts); n > 2*maxName {
		t.Errorf("%d bytes of efforts", n)
	}
	if len(l.learned) != maxLessons || !l.of("efforts").refusesEffort("effort0") {
		t.Errorf("%d lessons", len(l.learned))
	}
}

// Whatever the order in which the refusals of calls under way together come
// back, and however often, all that they teach is kept.
func TestLessonsAddUp(t *testing.T) {
	known := features{}
	sent := known.request(everything())
	told := []string{"temperature", "max_tokens", "response_format", "reasoning_effort", "stream_options", "prompt_cache_key"}
	rapid.Check(t, func(t *rapid.T) {
		var l lessons
		order := append(rapid.SliceOf(rapid.SampledFrom(told)).Draw(t, "again"), rapid.Permutation(told).Draw(t, "order")...)
		for _, name := range rapid.Permutation(order).Draw(t, "mixed") {
			l.learn("m", sent, &fault{status: 400, message: "Unsupported parameter: " + name})
		}
		want := features{completionTokens: true, noTemperature: true, noStreamUsage: true, noCacheKey: true, refusedEfforts: ",low,", format: asJSONObject}
		if got := l.of("m"); got != want {
			t.Fatalf("learned %+v, want %+v", got, want)
		}
	})
}

func TestLearningFromMany(t *testing.T) {
	s := &script{replies: []reply{{400, nil, `{"error":{"message":"temperature is not supported"}}`}, {body: whole("x")}}}
	client := dial(t, s.ServeHTTP)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			temperature := 0.5
			req := asks("m")
			req.Temperature = &temperature
			if _, err := client.Chat(t.Context(), req); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestMessages(t *testing.T) {
	s := &script{replies: []reply{{body: whole("x")}}}
	client := dial(t, s.ServeHTTP)
	_, err := client.Chat(t.Context(), &llm.Request{Model: "m", Messages: []llm.Message{
		{Author: llm.System, Text: "Be <brief>."},
		{Author: llm.User, Text: "What is it?", Images: []llm.Image{{MediaType: "image/png", Data: []byte("png")}}},
		{Author: llm.User, Images: []llm.Image{{MediaType: "image/jpeg", Data: []byte{0xff}}}},
		{Author: llm.Assistant, Text: "A ball."},
	}})
	if err != nil {
		t.Fatal(err)
	}
	image := func(url string) any {
		return map[string]any{"type": "image_url", "image_url": map[string]any{"url": url}}
	}
	want := []any{
		map[string]any{"role": "system", "content": "Be <brief>."},
		map[string]any{"role": "user", "content": []any{map[string]any{"type": "text", "text": "What is it?"}, image("data:image/png;base64,cG5n")}},
		map[string]any{"role": "user", "content": []any{image("data:image/jpeg;base64,/w==")}},
		map[string]any{"role": "assistant", "content": "A ball."},
	}
	if got := s.bodies[0]["messages"]; !reflect.DeepEqual(got, want) {
		t.Errorf("sent %v", got)
	}
	for _, absent := range []string{"max_tokens", "max_completion_tokens", "temperature", "reasoning_effort", "response_format", "stream_options", "prompt_cache_key"} {
		if _, ok := s.bodies[0][absent]; ok {
			t.Errorf("sent %s unasked", absent)
		}
	}
}

func TestWholeAnswers(t *testing.T) {
	tests := []struct {
		name, body, text string
		truncated        bool
		usage            llm.Usage
	}{
		{"plain", whole(" Hello\n"), " Hello\n", false, llm.Usage{Prompt: 3, Completion: 2}},
		{"cut", `{"choices":[{"message":{"content":"Hel"},"finish_reason":"length"}]}`, "Hel", true, llm.Usage{}},
		{"in parts", `{"choices":[{"message":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"Hel"},{"type":"text","text":"lo"}]}}]}`, "Hello", false, llm.Usage{}},
		{
			"all of usage", `{"choices":[{"message":{"content":"x","reasoning_content":"hmm"}}],"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}}}`,
			"x", false,
			llm.Usage{Prompt: 10, Cached: 4, Completion: 7, Reasoning: 5},
		},
		{
			"xAI, reasoning on top", `{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":112,"completion_tokens_details":{"reasoning_tokens":100}}}`,
			"x", false,
			llm.Usage{Prompt: 10, Completion: 102, Reasoning: 100},
		},
		{
			"SGLang and Moonshot, flat", `{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":18,"cached_tokens":9,"completion_tokens":225,"total_tokens":243,"prompt_tokens_details":null,"reasoning_tokens":162}}`,
			"x", false,
			llm.Usage{Prompt: 18, Cached: 9, Completion: 225, Reasoning: 162},
		},
		{
			"DeepSeek, hits of its cache", `{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":18,"completion_tokens":2,"total_tokens":20,"prompt_cache_hit_tokens":16,"prompt_cache_miss_tokens":2}}`,
			"x", false,
			llm.Usage{Prompt: 18, Cached: 16, Completion: 2},
		},
		{
			"usage out of its mind", `{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":-5,"completion_tokens":9000000000000000000,"total_tokens":-1,"prompt_tokens_details":{"cached_tokens":7}}}`,
			"x", false,
			llm.Usage{Completion: maxTokens},
		},
		{"blank lines first", "\n\n  " + whole("x"), "x", false, llm.Usage{Prompt: 3, Completion: 2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &script{replies: []reply{{body: test.body}}}
			resp, err := dial(t, s.ServeHTTP).Chat(t.Context(), asks("m"))
			if err != nil || resp.Text != test.text || resp.Truncated != test.truncated || resp.Calls[0].Usage != test.usage {
				t.Errorf("got %+v, %v", resp, err)
			}
		})
	}
}

func TestSchemaThatIsNoJSON(t *testing.T) {
	s := &script{replies: []reply{{body: whole("x")}}}
	req := asks("m")
	req.Schema = &llm.Schema{Name: "x", JSON: json.RawMessage(`{"type":`)}
	_, err := dial(t, s.ServeHTTP).Chat(t.Context(), req)
	if failed := failure(t, err); failed.Outcome != llm.InvalidRequest || len(failed.Calls) != 0 || len(s.bodies) != 0 {
		t.Errorf("got %v, %d calls", failed, len(failed.Calls))
	}
}

func TestStrict(t *testing.T) {
	tests := []struct {
		schema string
		want   bool
	}{
		{string(plan.JSON), true},
		{`{"type":"object","properties":{},"additionalProperties":false}`, true},
		{`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, false},
		{`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":true}`, false},
		{`{"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false}`, false},
		{`{"type":"object","properties":{"a":{"description":"anything"}},"required":["a"],"additionalProperties":false}`, false},
		{`{"type":"object","properties":{"a":{"type":"string","minLength":1}},"required":["a"],"additionalProperties":false}`, false},
		{`{"type":"object","properties":{"a":{"type":["object","null"]}},"required":["a"],"additionalProperties":false}`, false},
		{`{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x",null]}},"required":["a"],"additionalProperties":false}`, true},
		{`{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},"required":["a"],"additionalProperties":false}`, false},
		{`{"type":"object","properties":{"a":{"type":"array","items":{"$ref":"#/$defs/b"},"minItems":1}},"required":["a"],"additionalProperties":false,"$defs":{"b":{"type":"object","properties":{"c":{"anyOf":[{"type":"string"},{"type":"null"}]}},"required":["c"],"additionalProperties":false}}}`, true},
		{`{"type":"object","properties":{"a":{"anyOf":[{"type":"object"}]}},"required":["a"],"additionalProperties":false}`, false},
		{`{"type":"array","items":{"type":"string"}}`, false},
		{`{"anyOf":[{"type":"string"}]}`, false},
		{`{"type":"object","properties":5,"additionalProperties":false}`, false},
		{`{`, false},
		{``, false},
	}
	for _, test := range tests {
		if got := strict(json.RawMessage(test.schema)); got != test.want {
			t.Errorf("strict(%s) = %v", test.schema, got)
		}
	}
}

func TestSchemaIsSentAsItIs(t *testing.T) {
	s := &script{replies: []reply{{body: whole("{}")}}}
	req := asks("m")
	req.Schema = &llm.Schema{Name: "loose", JSON: json.RawMessage(`{"type":"object","x-order":["b","a"]}`)}
	if _, err := dial(t, s.ServeHTTP).Chat(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"type": "json_schema", "json_schema": map[string]any{
		"name": "loose", "strict": false, "schema": map[string]any{"type": "object", "x-order": []any{"b", "a"}},
	}}
	if got := s.bodies[0]["response_format"]; !reflect.DeepEqual(got, want) {
		t.Errorf("sent %v", got)
	}
}
