package openai

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
)

// TestFailures goes through what endpoints really say, by provider.
func TestFailures(t *testing.T) {
	retryAfter := func(v string) http.Header { return http.Header{"Retry-After": {v}} }
	tests := []struct {
		name   string
		reply  reply
		want   llm.Outcome
		window int
		after  time.Duration
		detail string // a part of it
	}{
		{name: "OpenAI rate limit", want: llm.RateLimited, after: 20 * time.Second, detail: "Rate limit reached", reply: reply{
			429, retryAfter("20"),
			`{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`,
		}},
		{name: "OpenAI rate limit in milliseconds", want: llm.RateLimited, after: 1250 * time.Millisecond, reply: reply{
			429, http.Header{"Retry-After-Ms": {"1250"}, "Retry-After": {"2"}}, `{"error":{"message":"slow down"}}`,
		}},
		{name: "OpenAI account without credit", want: llm.Auth, detail: "no credit", reply: reply{
			429, nil,
			`{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`,
		}},
		{name: "DeepSeek account without credit", want: llm.Auth, detail: "no credit", reply: reply{
			402, nil, `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`,
		}},
		{name: "OpenAI wrong key", want: llm.Auth, detail: "refused the key", reply: reply{
			401, nil, `{"error":{"message":"Incorrect API key provided: ` + testKey + `.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`,
		}},
		{name: "Azure forbidden", want: llm.Auth, reply: reply{403, nil, `{"error":{"code":"AccessDenied","message":"Public access is disabled."}}`}},
		{name: "OpenAI overloaded", want: llm.Overloaded, after: time.Hour, reply: reply{
			503, retryAfter("3600"), `{"error":{"message":"The server is overloaded or not ready yet.","type":"server_error","param":null,"code":null}}`,
		}},
		{name: "Anthropic overloaded", want: llm.Overloaded, detail: "Overloaded", reply: reply{
			529, nil, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}`,
		}},
		{name: "Anthropic overloaded in a 200", want: llm.Overloaded, reply: reply{
			200, nil, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`,
		}},
		{name: "OpenAI broken", want: llm.Unavailable, reply: reply{500, nil, `{"error":{"message":"The server had an error","type":"server_error"}}`}},
		{name: "TGI, broken at its work", want: llm.Unavailable, detail: "out of bounds", reply: reply{
			424, nil, `{"error":"Request failed during generation: Server error: index 1 is out of bounds for dimension 0 with size 1","error_type":"generation"}`,
		}},
		{name: "Gemini, canceled by its own side", want: llm.Unavailable, reply: reply{
			499, nil, `[{"error":{"code":499,"message":"x","errors":[{"message":"x","domain":"global","reason":"backendError"}]}}]`,
		}},
		{name: "a gateway's page", want: llm.Unavailable, detail: "the endpoint answered with status 502 and gave no reason", reply: reply{502, nil, "<html><title>502 Bad Gateway</title></html>"}},
		{name: "a gateway's words", want: llm.Unavailable, detail: "upstream connect error", reply: reply{504, nil, "upstream connect error\nor disconnect"}},
		{name: "OpenRouter error in a 200", want: llm.Unavailable, detail: "Provider returned error", reply: reply{
			200, nil, `{"id":"gen-1","error":{"message":"Provider returned error","metadata":{}}}`,
		}},
		{name: "OpenRouter rate limit in a 200", want: llm.RateLimited, reply: reply{200, nil, `{"error":{"message":"Rate limit exceeded","code":429}}`}},
		{name: "a string as the error", want: llm.Unavailable, detail: "model is loading", reply: reply{200, nil, `{"error":"model is loading"}`}},
		{name: "a 200 that is no JSON", want: llm.Unavailable, detail: "not a chat completion", reply: reply{200, nil, "<html>hello</html>"}},
		{name: "a 200 of another shape", want: llm.Unavailable, detail: "not a chat completion", reply: reply{200, nil, `{"choices":"no"}`}},
		{name: "an object that is none", want: llm.Unavailable, detail: "not a chat completion", reply: reply{200, nil, `{}`}},
		{name: "nothing at all", want: llm.Unavailable, reply: reply{204, nil, ""}},
		{name: "a redirect", want: llm.InvalidRequest, reply: reply{307, http.Header{"Location": {"http://elsewhere.test/"}}, ""}},
		{name: "OpenAI unknown model", want: llm.InvalidRequest, detail: "does not exist", reply: reply{
			404, nil, "{\"error\":{\"message\":\"The model `gpt-9` does not exist or you do not have access to it.\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"model_not_found\"}}",
		}},
		{name: "Ollama unknown model", want: llm.InvalidRequest, detail: "try pulling it first", reply: reply{
			404, nil, `{"error":{"message":"model \"llama9\" not found, try pulling it first","type":"api_error","param":null,"code":null}}`,
		}},
		{name: "FastAPI validation", want: llm.InvalidRequest, detail: "field required", reply: reply{
			422, nil, `{"detail":[{"loc":["body","messages"],"msg":"field required","type":"value_error.missing"}]}`,
		}},
		{name: "a request that took too long", want: llm.Timeout, reply: reply{408, nil, `{"error":{"message":"Timed out"}}`}},
		{name: "Azure content filter", want: llm.Refused, detail: "content management policy", reply: reply{
			400, nil,
			`{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}`,
		}},
		{name: "Gemini rate limit", want: llm.RateLimited, after: 34 * time.Second, detail: "Resource has been exhausted", reply: reply{
			429, nil,
			`[{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}]`,
		}},

		{name: "OpenAI context", want: llm.ContextTooLong, window: 8192, reply: reply{
			400, nil,
			`{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 10021 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`,
		}},
		{name: "OpenAI context without its length", want: llm.ContextTooLong, reply: reply{
			400, nil, `{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`,
		}},
		{name: "context, and another number", want: llm.ContextTooLong, reply: reply{
			400, nil, `{"error":{"message":"This exceeds the context window of the model (error 12345)."}}`,
		}},
		{name: "vLLM context", want: llm.ContextTooLong, window: 6048, reply: reply{
			400, nil,
			`{"object":"error","message":"This model's maximum context length is 6048 tokens. However, you requested 6616 tokens (568 in the messages, 6048 in the completion). Please reduce the length of the messages or completion.","type":"BadRequestError","param":null,"code":400}`,
		}},
		{name: "vLLM context by max_tokens", want: llm.ContextTooLong, window: 8192, reply: reply{
			400, nil,
			`{"error":{"message":"'max_tokens' or 'max_completion_tokens' is too large: 6000. This model's maximum context length is 8192 tokens and your request has 5000 input tokens (6000 > 8192 - 5000).","type":"BadRequestError","param":"max_tokens","code":400}}`,
		}},
		{name: "older vLLM context", want: llm.ContextTooLong, window: 32768, reply: reply{
			400, nil, `{"object":"error","message":"The prompt (total length 50000) is too long to fit into the model (context length 32768).","type":"BadRequestError","param":null,"code":400}`,
		}},
		{name: "llama.cpp context", want: llm.ContextTooLong, window: 4096, reply: reply{
			400, nil,
			`{"error":{"code":400,"message":"request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":4390,"n_ctx":4096}}`,
		}},
		{name: "older llama.cpp context", want: llm.ContextTooLong, window: 256, reply: reply{
			500, nil,
			`{"error":{"code":500,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":1407,"n_ctx":256}}`,
		}},
		{name: "llama-cpp-python context", want: llm.ContextTooLong, window: 2048, reply: reply{
			500, nil, `{"error":{"message":"Requested tokens (2285) exceed context window of 2048","type":"internal_server_error","param":null,"code":null}}`,
		}},
		{name: "Ollama context", want: llm.ContextTooLong, reply: reply{
			400, nil, `{"error":{"message":"the input length exceeds the context length","type":"invalid_request_error","param":null,"code":null}}`,
		}},
		{name: "Anthropic context", want: llm.ContextTooLong, window: 200000, reply: reply{
			400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"},"request_id":"req_1"}`,
		}},
		{name: "Anthropic context by max_tokens", want: llm.ContextTooLong, window: 200000, reply: reply{
			400, nil, "{\"error\":{\"code\":\"invalid_request_error\",\"message\":\"input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again\",\"type\":\"invalid_request_error\",\"param\":null}}",
		}},
		{name: "OpenAI, more than a minute's tokens", want: llm.ContextTooLong, window: 30000, detail: "must be reduced", reply: reply{
			429, nil,
			`{"error":{"message":"Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 32532. The input or output tokens must be reduced in order to run successfully. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`,
		}},
		{name: "Groq, more than a minute's tokens", want: llm.ContextTooLong, window: 6000, reply: reply{
			413, nil,
			"{\"error\":{\"message\":\"Request too large for model `llama-3.1-8b-instant` in organization `org_x` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 7012, please reduce your message size and try again.\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}",
		}},
		{name: "Anthropic request size", want: llm.ContextTooLong, reply: reply{
			413, nil, `{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}`,
		}},
		{name: "what was sent speaks of a context", want: llm.InvalidRequest, detail: "Input should be a valid string", reply: reply{
			422, nil, `{"detail":[{"type":"string_type","loc":["body","messages",1,"content"],"msg":"Input should be a valid string","input":[{"type":"text","text":"Explain: 'loc': This model's maximum context length is 10 tokens"}]}]}`,
		}},
		{name: "what was sent speaks of a context, within vLLM's words", want: llm.InvalidRequest, reply: reply{
			400, nil, `{"object":"error","message":"[{'type': 'string_type', 'loc': ('body', 'messages', 1, 'content'), 'msg': 'Input should be a valid string', 'input': [{'type': 'text', 'text': \"This model's maximum context length is 10 tokens\"}]}]","type":"BadRequestError","param":null,"code":400}`,
		}},
		{name: "Gemini context", want: llm.ContextTooLong, window: 1048576, reply: reply{
			400, nil,
			`[{"error":{"code":400,"message":"The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).","errors":[{"message":"x","domain":"global","reason":"badRequest"}],"status":"INVALID_ARGUMENT"}}]`,
		}},
		{name: "Mistral context", want: llm.ContextTooLong, window: 32768, reply: reply{
			400, nil, `{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_prompt","param":null,"code":"3051"}`,
		}},
		{name: "xAI context", want: llm.ContextTooLong, window: 131072, reply: reply{
			400, nil, `{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 200000 tokens."}`,
		}},
		{name: "SGLang context", want: llm.ContextTooLong, window: 4096, reply: reply{
			400, nil, `{"object":"error","message":"The input (5000 tokens) is longer than the model's context length (4096 tokens).","type":"BadRequestError","param":null,"code":400}`,
		}},
		{name: "a proxy that passes on what it was told", want: llm.ContextTooLong, window: 200000, reply: reply{
			400, nil, `{"error":{"message":"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 208310 tokens > 200000 maximum\"}}","type":"None","param":"None","code":"400"}}`,
		}},

		{name: "the model refuses", want: llm.Refused, detail: "cannot help", reply: reply{
			200, nil, `{"id":"c","choices":[{"message":{"role":"assistant","content":null,"refusal":"I cannot help with that."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16}}`,
		}},
		{name: "a filter stops the answer", want: llm.Refused, reply: reply{
			200, nil, `{"id":"c","choices":[{"message":{"role":"assistant","content":"Well"},"finish_reason":"content_filter"}]}`,
		}},
		{name: "DeepSeek, interrupted", want: llm.Overloaded, detail: "no capacity", reply: reply{
			200, nil, `{"id":"c","choices":[{"message":{"role":"assistant","content":"Well"},"finish_reason":"insufficient_system_resource"}]}`,
		}},
		{name: "OpenRouter, broken off", want: llm.Unavailable, detail: "broke off", reply: reply{
			200, nil, `{"id":"c","choices":[{"message":{"role":"assistant","content":"Well"},"finish_reason":"error","error":{"code":502,"message":"Provider returned error"}}]}`,
		}},
		{name: "only blanks", want: llm.Empty, reply: reply{200, nil, whole(" \n\t")}},
		{name: "no choice", want: llm.Empty, reply: reply{200, nil, `{"id":"c","object":"chat.completion","choices":[],"usage":{"prompt_tokens":9,"total_tokens":9}}`}},
		{name: "all tokens went into reasoning", want: llm.Truncated, reply: reply{
			200, nil, `{"id":"c","choices":[{"message":{"role":"assistant","content":"","reasoning_content":"Hmm"},"finish_reason":"length"}]}`,
		}},
		{name: "a date to wait for, long past", want: llm.RateLimited, reply: reply{429, retryAfter("Wed, 21 Oct 2015 07:28:00 GMT"), ""}},
		{name: "a date to wait for, far away", want: llm.RateLimited, after: 24 * time.Hour, reply: reply{429, retryAfter("Fri, 01 Jan 2900 00:00:00 GMT"), ""}},
		{name: "a wait below zero", want: llm.RateLimited, reply: reply{429, retryAfter("-5"), ""}},
		{name: "a wait that is no wait", want: llm.RateLimited, reply: reply{429, retryAfter("NaN"), ""}},
		{name: "a wait without end", want: llm.RateLimited, after: 24 * time.Hour, reply: reply{429, retryAfter("1e300"), ""}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &script{replies: []reply{test.reply}}
			client := dial(t, s.ServeHTTP)
			for _, stream := range []bool{false, true} {
				if stream && test.reply.status == 200 {
					continue // streams have their own tests
				}
				req := asks("m")
				req.Stream = stream
				resp, err := client.Chat(t.Context(), req)
				if err == nil {
					t.Fatalf("got an answer: %+v", resp)
				}
				failed := failure(t, err)
				if failed.Outcome != test.want || failed.Window != test.window || failed.RetryAfter != test.after {
					t.Errorf("got %s, window %d, after %v (%s); want %s, %d, %v",
						failed.Outcome, failed.Window, failed.RetryAfter, failed.Detail, test.want, test.window, test.after)
				}
				if failed.Status != test.reply.status {
					t.Errorf("status %d", failed.Status)
				}
				if !strings.Contains(failed.Detail, test.detail) || strings.Contains(err.Error(), testKey) || strings.ContainsAny(failed.Detail, "\n") {
					t.Errorf("detail %q, want in it %q", failed.Detail, test.detail)
				}
				if len(failed.Calls) != 1 || failed.Calls[0].Outcome != test.want || failed.Calls[0].Ended.Before(failed.Calls[0].Started) {
					t.Errorf("calls %+v", failed.Calls)
				}
			}
		})
	}
}

func TestRetryAfterADate(t *testing.T) {
	s := &script{replies: []reply{{429, http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}, ""}}}
	_, err := dial(t, s.ServeHTTP).Chat(t.Context(), asks("m"))
	if after := failure(t, err).RetryAfter; after < 50*time.Minute || after > time.Hour {
		t.Errorf("after %v", after)
	}
}

func TestDetailIsShortAndWithoutTheKey(t *testing.T) {
	s := &script{replies: []reply{{400, nil, `{"error":{"message":"no\n\u0007 ` + testKey + ` ` + strings.Repeat("é", 1000) + `"}}`}}}
	_, err := dial(t, s.ServeHTTP).Chat(t.Context(), asks("m"))
	detail := failure(t, err).Detail
	if n := len([]rune(detail)); n != 300 || !strings.HasPrefix(detail, "no [key] éé") || !strings.HasSuffix(detail, "…") {
		t.Errorf("%d runes: %q", n, detail)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	small := func(o *Options) { o.MaxAnswerBytes = 1000 }
	t.Run("whole", func(t *testing.T) {
		s := &script{replies: []reply{{body: whole(strings.Repeat("x", 2000))}}}
		_, err := dial(t, s.ServeHTTP, small).Chat(t.Context(), asks("m"))
		if failed := failure(t, err); failed.Outcome != llm.TooLarge || len(failed.Calls) != 1 {
			t.Errorf("got %v", failed)
		}
	})
	t.Run("whole, just fits", func(t *testing.T) {
		s := &script{replies: []reply{{body: whole("x")}}}
		fits := func(o *Options) { o.MaxAnswerBytes = int64(len(whole("x"))) }
		if _, err := dial(t, s.ServeHTTP, fits).Chat(t.Context(), asks("m")); err != nil {
			t.Error(err)
		}
	})
	t.Run("stream without end", func(t *testing.T) {
		endless := func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, sse(delta("more")))
			}
		}
		req := asks("m")
		req.Stream = true
		_, err := dial(t, endless, small).Chat(t.Context(), req)
		if failed := failure(t, err); failed.Outcome != llm.TooLarge {
			t.Errorf("got %v", failed)
		}
	})
	t.Run("one long line", func(t *testing.T) {
		s := &script{replies: []reply{{body: sse(delta(strings.Repeat("x", maxLine)), stop, "[DONE]")}}}
		req := asks("m")
		req.Stream = true
		_, err := dial(t, s.ServeHTTP).Chat(t.Context(), req)
		if failed := failure(t, err); failed.Outcome != llm.TooLarge {
			t.Errorf("got %v", failed)
		}
	})
	t.Run("line without end", func(t *testing.T) {
		endless := func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "data: ")
			for line := strings.Repeat("x", 64<<10); r.Context().Err() == nil; {
				_, _ = io.WriteString(w, line)
			}
		}
		req := asks("m")
		req.Stream = true
		_, err := dial(t, endless).Chat(t.Context(), req)
		if failed := failure(t, err); failed.Outcome != llm.TooLarge {
			t.Errorf("got %v", failed)
		}
	})
	t.Run("error without end", func(t *testing.T) {
		endless := func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			for line := strings.Repeat("x", 64<<10); r.Context().Err() == nil; {
				if _, err := io.WriteString(w, line); err != nil {
					return
				}
			}
		}
		_, err := dial(t, endless).Chat(t.Context(), asks("m"))
		if failed := failure(t, err); failed.Outcome != llm.Unavailable {
			t.Errorf("got %v", failed)
		}
	})
}

func TestNoConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	_ = listener.Close()
	client, err := New(Options{BaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range []*llm.Request{asks("m"), streamed()} {
		_, err = client.Chat(t.Context(), req)
		failed := failure(t, err)
		if failed.Outcome != llm.Unavailable || failed.Status != 0 || failed.Detail != "no connection to the endpoint: connection refused" {
			t.Errorf("got %v", failed)
		}
		wantSpared(t, failed, true)
	}
}

// wantSpared checks whether a failure, of one call, says that nobody was asked.
func wantSpared(t *testing.T, failed *llm.Error, want bool) {
	t.Helper()
	if len(failed.Calls) != 1 || failed.Spared != want || failed.Calls[0].Unsent != want || failed.Calls[0].Outcome != failed.Outcome {
		t.Errorf("%v: spared %v, calls %+v", failed, failed.Spared, failed.Calls)
	}
}

// Only where there was no connection at all is it certain that nobody was asked.
func TestWhoWasNotAsked(t *testing.T) {
	op := func(name string, err error) error { return &net.OpError{Op: name, Net: "tcp", Err: err} }
	nowhere := &net.DNSError{Err: "no such host", Name: "endpoint.test", IsNotFound: true}
	for name, test := range map[string]struct {
		err    error
		spared bool
	}{
		"no route":                {op("dial", syscall.EHOSTUNREACH), true},
		"no connection in time":   {op("dial", os.ErrDeadlineExceeded), true},
		"no such host":            {op("dial", nowhere), true},
		"no such host, unwrapped": {nowhere, true},
		"reset at reading":        {op("read", syscall.ECONNRESET), false},
		"broken at writing":       {op("write", syscall.EPIPE), false},
		"refused by TLS":          {op("remote error", errors.New("tls: handshake failure")), false},
		"not to be trusted":       {x509.UnknownAuthorityError{}, false},
		"hung up":                 {io.EOF, false},
	} {
		t.Run(name, func(t *testing.T) {
			transport := rounds(func(*http.Request) (*http.Response, error) { return nil, test.err })
			client, err := New(Options{BaseURL: "http://endpoint.test/v1", Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Chat(t.Context(), asks("m"))
			failed := failure(t, err)
			if failed.Outcome != llm.Unavailable {
				t.Errorf("got %v", failed)
			}
			wantSpared(t, failed, test.spared)
		})
	}
	t.Run("our time was up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		transport := rounds(func(*http.Request) (*http.Response, error) {
			cancel()
			return nil, op("dial", context.Canceled)
		})
		client, err := New(Options{BaseURL: "http://endpoint.test/v1", Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Chat(ctx, asks("m"))
		wantSpared(t, failure(t, err), false)
	})
}

// An endpoint that goes away is not there for those who had a connection to it either.
func TestAnEndpointGoesAway(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, whole("x")) }))
	client, err := New(Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Chat(t.Context(), asks("m")); err != nil {
		t.Fatal(err)
	}
	server.Close()
	client.Close() // as the transport does when it sees the connection's end, which may take it a moment
	_, err = client.Chat(t.Context(), asks("m"))
	wantSpared(t, failure(t, err), true)
}

// A kept connection on which the endpoint hangs up must not make net/http send
// the request again behind our back: every call is counted.
func TestNothingIsSentTwice(t *testing.T) {
	var hits atomic.Int32
	client := dial(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if hits.Add(1) == 1 {
			_, _ = io.WriteString(w, whole("hi"))
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	req := asks("m")
	req.IdempotencyKey = "k"
	if _, err := client.Chat(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	_, err := client.Chat(t.Context(), req)
	failed := failure(t, err)
	if failed.Outcome != llm.Unavailable {
		t.Errorf("got %v", failed)
	}
	wantSpared(t, failed, false)
	if n := hits.Load(); n != 2 {
		t.Errorf("%d requests for 2 calls", n)
	}
}
