package simulator

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	openai "github.com/sashabaranov/go-openai"
)

func always(f Fault) Options {
	return Options{Faults: map[Fault]float64{f: 1}, RetryAfter: 1500 * time.Millisecond}
}

func TestFaultsWithAStatus(t *testing.T) {
	for f, want := range map[Fault]int{Unauthorized: 401, RateLimited: 429, ServerError: 500, Overloaded: 503, StreamError: 500} {
		_, c := serve(t, always(f))
		_, err := c.CreateChatCompletion(context.Background(), ask("hello"))
		var api *openai.APIError
		if !errors.As(err, &api) || api.HTTPStatusCode != want || api.Message == "" || api.Type == "" {
			t.Errorf("fault %d: %v", f, err)
		}
		got := post(t, New(always(f)), `{"model":"m","messages":[{"role":"user","content":"x"}]}`)
		if after, due := got.header.Get("Retry-After"), want == 429 || want == 503; (after == "2") != due {
			t.Errorf("fault %d: Retry-After %q", f, after)
		}
	}
}

func TestFaultsOfWholeAnswers(t *testing.T) {
	for f, want := range map[Fault]struct{ finish, text, refusal string }{
		Empty:     {"stop", "", ""},
		Truncated: {"length", "[simulated] On “he", ""},
		Filtered:  {"content_filter", "[simulated] On “he", ""},
		Refusal:   {"stop", "", refusalText},
		NotStream: {"stop", "[simulated] On “he", ""},
	} {
		_, c := serve(t, always(f))
		choice := whole(t, c, ask("hello")).Choices[0]
		if m := choice.Message; string(choice.FinishReason) != want.finish || m.Refusal != want.refusal ||
			!strings.HasPrefix(m.Content, want.text) || (want.text == "") != (m.Content == "") {
			t.Errorf("fault %d: %+v", f, choice)
		}
	}
	for _, f := range []Fault{Reset, Cut, NotJSON} {
		_, c := serve(t, always(f))
		if _, err := c.CreateChatCompletion(context.Background(), ask("hello")); err == nil {
			t.Errorf("fault %d: no error", f)
		}
	}
}

func TestFaultsOfStreams(t *testing.T) {
	full := text(t, second(serve(t, Options{})), ask("hello"))
	for f, finish := range map[Fault]string{Empty: "stop", Truncated: "length", Filtered: "content_filter", Refusal: "stop", Cut: ""} {
		got, err := readStream(second(serve(t, always(f))), ask("hello"))
		if err != nil || got.finish != finish || got.text == full || !strings.HasPrefix(full, got.text) || (got.refusal != "") != (f == Refusal) {
			t.Errorf("fault %d: %+v, %v", f, got, err)
		}
	}
	got, err := readStream(second(serve(t, always(Reset))), ask("hello"))
	if !errors.Is(err, io.ErrUnexpectedEOF) || got.text == "" {
		t.Errorf("reset: %+v, %v", got, err)
	}
	var api *openai.APIError
	if got, err = readStream(second(serve(t, always(StreamError))), ask("hello")); !errors.As(err, &api) || got.text == "" {
		t.Errorf("error event: %+v, %v", got, err)
	}
	body := `{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}`
	for f, kind := range map[Fault]string{NotStream: "application/json", NotJSON: "text/html; charset=utf-8", NoFault: "text/event-stream; charset=utf-8"} {
		if got := post(t, New(always(f)), body); got.header.Get("Content-Type") != kind || strings.Contains(got.body, "data: ") != (f == NoFault) {
			t.Errorf("fault %d: %q %s", f, got.header.Get("Content-Type"), got.body)
		}
	}
}

func second(_ *Server, c *openai.Client) *openai.Client { return c }

func TestHangLastsUntilTheCallerLeaves(t *testing.T) {
	arrived := make(chan struct{})
	s, c := serve(t, Options{Ledger: 1, Fail: func(Request) Fault { close(arrived); return Hang }})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-arrived; cancel() }()
	if _, err := c.CreateChatCompletion(ctx, ask("hello")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if rec := s.Requests()[0]; rec.Status != 0 || rec.Fault != Hang {
		t.Errorf("record %+v", rec)
	}
}

func TestCloseWaitsForTheCallsThatItEnds(t *testing.T) {
	arrived := make(chan struct{})
	var ended atomic.Bool
	s, c := serve(t, Options{Answer: func(r Request) (Reply, bool) {
		close(arrived)
		<-r.Context().Done()
		for range 1000 {
			runtime.Gosched() // a Close that does not wait would be faster
		}
		ended.Store(true)
		return Reply{}, false
	}})
	failed := make(chan error)
	go func() {
		_, err := c.CreateChatCompletion(context.Background(), ask("hello"))
		failed <- err
	}()
	<-arrived
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !ended.Load() || s.Counts().InFlight != 0 {
		t.Error("Close returned before the call had ended")
	}
	if err := <-failed; err == nil {
		t.Error("no error")
	}
}

func TestRatesFollowSeedAndIndex(t *testing.T) {
	statuses := func(seed uint64) (out []int) {
		s := New(Options{Seed: seed, Faults: map[Fault]float64{RateLimited: 0.2, ServerError: 0.1}})
		for range 200 {
			out = append(out, post(t, s, `{"model":"m","messages":[{"role":"user","content":"x"}]}`).status)
		}
		return out
	}
	count := map[int]int{}
	first, again, other := statuses(1), statuses(1), statuses(2)
	same := 0
	for i, status := range first {
		count[status]++
		if again[i] != status {
			t.Fatalf("call %d: %d, then %d", i, status, again[i])
		}
		if other[i] == status {
			same++
		}
	}
	if count[429] < 20 || count[429] > 60 || count[500] < 8 || count[500] > 35 || same == 200 {
		t.Errorf("statuses %v, %d the same with another seed", count, same)
	}
}

func TestCapacity(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	s, c := serve(t, Options{Capacity: 1, Answer: func(r Request) (Reply, bool) {
		if r.Index == 0 {
			close(inside)
			<-leave
		}
		return Reply{Text: "done"}, true
	}})
	first := make(chan error)
	go func() {
		_, err := c.CreateChatCompletion(context.Background(), ask("first"))
		first <- err
	}()
	<-inside
	_, err := c.CreateChatCompletion(context.Background(), ask("second"))
	var api *openai.APIError
	if !errors.As(err, &api) || api.HTTPStatusCode != http.StatusTooManyRequests {
		t.Error(err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if n := s.Counts(); n.Peak != 2 || n.Calls != 2 {
		t.Errorf("counts %+v", n)
	}
}

func TestContextWindow(t *testing.T) {
	_, c := serve(t, Options{ContextWindow: 100})
	text(t, c, ask(strings.Repeat("a", 384))) // 4 tokens come with each message
	_, err := c.CreateChatCompletion(context.Background(), ask(strings.Repeat("a", 385)))
	var api *openai.APIError
	if !errors.As(err, &api) || api.HTTPStatusCode != 400 || api.Code != "context_length_exceeded" ||
		!strings.HasPrefix(api.Message, "This model's maximum context length is 100 tokens.") {
		t.Error(err)
	}
}

func TestUnsupportedFeatures(t *testing.T) {
	const messages = `"model":"m","messages":[{"role":"user","content":"JSON"}]`
	for f, tc := range map[Feature]struct{ refused, taken, param string }{
		JSONSchema:    {`"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{}}}`, `"response_format":{"type":"json_object"}`, "response_format"},
		JSONObject:    {`"response_format":{"type":"json_object"}`, `"response_format":{"type":"text"}`, "response_format"},
		Temperature:   {`"temperature":0`, `"temperature":1`, "temperature"},
		MaxTokens:     {`"max_tokens":5`, `"max_completion_tokens":5`, "max_tokens"},
		StreamOptions: {`"stream":true,"stream_options":{"include_usage":true}`, `"stream":true`, "stream_options"},
	} {
		s := New(Options{Unsupported: []Feature{f}})
		got := post(t, s, "{"+messages+","+tc.refused+"}")
		if e := got.errorBody(t); got.status != 400 || e.param() != tc.param || !strings.Contains(e.Message, string(f)) {
			t.Errorf("%s: %d %s", f, got.status, got.body)
		}
		if got := post(t, s, "{"+messages+","+tc.taken+"}"); got.status != 200 {
			t.Errorf("%s: without it: %d %s", f, got.status, got.body)
		}
		if got := post(t, New(Options{}), "{"+messages+","+tc.refused+"}"); got.status != 200 {
			t.Errorf("%s: supported: %d %s", f, got.status, got.body)
		}
	}
}

func TestTokenLimit(t *testing.T) {
	_, c := serve(t, Options{ReasoningTokens: 3})
	for limit, want := range map[int]int{2: 0, 3: 0, 5: 8, 10_000: -1} {
		req := ask("hello")
		req.MaxCompletionTokens = limit
		resp := whole(t, c, req)
		choice := resp.Choices[0]
		cut := choice.FinishReason == openai.FinishReasonLength
		if cut != (want >= 0) || cut && (len(choice.Message.Content) != want || resp.Usage.CompletionTokens > limit) {
			t.Errorf("limit %d: %+v, usage %+v", limit, choice, resp.Usage)
		}
	}
}

func TestTruncatedAnswersCanBeContinued(t *testing.T) {
	for _, prompt := range []string{"hello", ownPrompt, "<results><result id=\"T1\">One</result></results>"} {
		full := text(t, second(serve(t, Options{})), ask(prompt))
		_, c := serve(t, Options{Fail: func(r Request) Fault {
			if r.Index == 0 {
				return Truncated
			}
			return NoFault
		}})
		req := ask(prompt)
		start := text(t, c, req)
		req.Messages = append(
			req.Messages,
			openai.ChatCompletionMessage{Role: "assistant", Content: start},
			openai.ChatCompletionMessage{Role: "user", Content: "Continue it exactly where it stopped."},
		)
		if got := start + text(t, c, req); start == full || got != full {
			t.Errorf("got %q, not %q", got, full)
		}
	}
}
