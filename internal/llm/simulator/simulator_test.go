package simulator

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server for a test, and a client of it that keeps no connection.
func serve(t *testing.T, opts Options) (*Server, *openai.Client) {
	t.Helper()
	s, err := Listen(opts)
	if err != nil {
		t.Fatal(err)
	}
	config := openai.DefaultConfig("sk-test")
	config.BaseURL = s.URL()
	transport := &http.Transport{}
	config.HTTPClient = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, openai.NewClientWithConfig(config)
}

// ask is a request of one user's message.
func ask(prompt string) openai.ChatCompletionRequest {
	return openai.ChatCompletionRequest{
		Model:    "gpt-4o",
		Messages: []openai.ChatCompletionMessage{{Role: "user", Content: prompt}},
	}
}

func whole(t *testing.T, c *openai.Client, req openai.ChatCompletionRequest) openai.ChatCompletionResponse {
	t.Helper()
	resp, err := c.CreateChatCompletion(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func text(t *testing.T, c *openai.Client, req openai.ChatCompletionRequest) string {
	t.Helper()
	return whole(t, c, req).Choices[0].Message.Content
}

// A streamed answer, put together.
type streamed struct {
	text, refusal, finish string
	pieces                int
	usage                 *openai.Usage
}

func readStream(c *openai.Client, req openai.ChatCompletionRequest) (got streamed, err error) {
	stream, err := c.CreateChatCompletionStream(context.Background(), req)
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		if chunk.Usage != nil {
			got.usage = chunk.Usage
		}
		for _, choice := range chunk.Choices {
			got.text += choice.Delta.Content
			got.refusal += choice.Delta.Refusal
			if choice.Delta.Content != "" {
				got.pieces++
			}
			if choice.FinishReason != "" {
				got.finish = string(choice.FinishReason)
			}
		}
	}
}

func TestWholeAndStreamedAnswersAreTheSame(t *testing.T) {
	_, c := serve(t, Options{ReasoningTokens: 7})
	for _, prompt := range []string{
		"You are a worker. Überlege: 日本語の説明を書く 🎻",
		"You are the planner.\n<task>Compare three bottles</task>",
		"You are the synthesizer. <results><result id=\"T1\">One</result></results>",
		"You are the evaluator. Is this good?",
		"[[sim out=9000]] hello",
	} {
		req := ask(prompt)
		full := whole(t, c, req)
		req.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
		got, err := readStream(c, req)
		if err != nil {
			t.Fatal(err)
		}
		if got.text != full.Choices[0].Message.Content || got.finish != "stop" {
			t.Errorf("%q: streamed %q (%s), whole %q", prompt, got.text, got.finish, full.Choices[0].Message.Content)
		}
		if got.usage == nil || got.usage.TotalTokens != full.Usage.TotalTokens {
			t.Errorf("%q: streamed usage %+v, whole %+v", prompt, got.usage, full.Usage)
		}
		if n := full.Usage.CompletionTokens - full.Usage.CompletionTokensDetails.ReasoningTokens; n != tokens(len(got.text)) {
			t.Errorf("%q: %d completion tokens for %d bytes", prompt, n, len(got.text))
		}
	}
}

func TestStreamWithoutUsage(t *testing.T) {
	_, c := serve(t, Options{ChunkTokens: 1000})
	got, err := readStream(c, ask("[[sim out=10000]]"))
	if err != nil || got.usage != nil || got.pieces != 3 || len(got.text) != 10000 {
		t.Errorf("got %d pieces, %d bytes, usage %v, error %v", got.pieces, len(got.text), got.usage, err)
	}
}

func post(t *testing.T, h http.Handler, body string) *response {
	t.Helper()
	return do(t, h, http.MethodPost, "/v1/chat/completions", body)
}

func TestSameRequestSameBytes(t *testing.T) {
	body := `{"model":"m","messages":[{"role":"user","content":"You are the planner. <task>Sing</task> [[sim subtasks=20 shape=random]]"}]}`
	created := func(s string) string {
		before, rest, _ := strings.Cut(s, `"created":`)
		_, after, _ := strings.Cut(rest, ",")
		return before + after
	}
	s := New(Options{})
	first := created(post(t, s, body).body)
	for _, other := range []*Simulator{s, New(Options{})} {
		if again := created(post(t, other, body).body); again != first {
			t.Errorf("got  %s\nthen %s", first, again)
		}
	}
	if other := created(post(t, New(Options{Seed: 1}), body).body); other == first {
		t.Error("another seed gave the same answer")
	}
	if other := created(post(t, s, strings.Replace(body, "Sing", "Play", 1)).body); other == first {
		t.Error("another request got the same answer")
	}
}

func TestModelsAndUnknownPaths(t *testing.T) {
	_, c := serve(t, Options{})
	models, err := c.ListModels(context.Background())
	if err != nil || len(models.Models) < 2 {
		t.Errorf("models %v, error %v", models, err)
	}
	s := New(Options{})
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/v1/chat/completions", 405},
		{http.MethodPost, "/v1/models", 405},
		{http.MethodGet, "/", 404},
		{http.MethodPost, "/any/base/chat/completions", 400},
	} {
		if got := do(t, s, tc.method, tc.path, ""); got.status != tc.status || got.errorBody(t).Message == "" {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, got.status, got.body)
		}
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		body   string
		status int
		param  string
	}{
		"no JSON":           {`{"model":`, 400, ""},
		"duplicate key":     {`{"model":"a","model":"b"}`, 400, ""},
		"wrong type":        {`{"model":1}`, 400, ""},
		"no model":          {`{"messages":[{"role":"user","content":"x"}]}`, 400, ""},
		"no messages":       {`{"model":"m","messages":[]}`, 400, "messages"},
		"audio":             {`{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio"}]}]}`, 400, ""},
		"stray option":      {`{"model":"m","messages":[{"role":"user"}],"stream_options":{}}`, 400, "stream_options"},
		"schema is missing": {`{"model":"m","messages":[{"role":"user"}],"response_format":{"type":"json_schema"}}`, 400, "response_format.json_schema"},
		"JSON unmentioned":  {`{"model":"m","messages":[{"role":"user"}],"response_format":{"type":"json_object"}}`, 400, "messages"},
		"body too large":    {strings.Repeat(" ", maxBody+1), 413, ""},
	} {
		got := post(t, New(Options{}), tc.body)
		if e := got.errorBody(t); got.status != tc.status || e.Type != "invalid_request_error" || e.param() != tc.param {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestContentParts(t *testing.T) {
	s := New(Options{Ledger: 1})
	body := `{"model":"m","messages":[{"role":"system","content":null},{"role":"user","content":[{"type":"text","text":"You are"},` +
		`{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"text","text":"a worker"}]}]}`
	if got := post(t, s, body); got.status != 200 {
		t.Fatal(got.body)
	}
	rec := s.Requests()[0]
	if rec.Messages[1].Text != "You are\na worker" || rec.Messages[1].Images != 1 || rec.Usage.Prompt < 85 {
		t.Errorf("record %+v", rec)
	}
}

func TestLedgerTellsSameBodiesAndWholeAnswers(t *testing.T) {
	for _, stream := range []string{"false", "true"} {
		s := New(Options{Ledger: 4, Fail: func(r Request) Fault { return []Fault{NoFault, NoFault, Cut, ServerError}[r.Index] }})
		body := `{"model":"m","stream":` + stream + `,"messages":[{"role":"user","content":"x"}]}`
		for _, b := range []string{body, body, body + " ", body} {
			post(t, s, b)
		}
		recs := s.Requests()
		if recs[0].Digest != sha256.Sum256([]byte(body)) || recs[1].Digest != recs[0].Digest || recs[2].Digest == recs[0].Digest {
			t.Errorf("stream %s: digests %x, %x, %x", stream, recs[0].Digest, recs[1].Digest, recs[2].Digest)
		}
		if got, want := []bool{recs[0].Answered, recs[1].Answered, recs[2].Answered, recs[3].Answered}, []bool{true, true, false, false}; !slices.Equal(got, want) {
			t.Errorf("stream %s: answered %v, want %v", stream, got, want)
		}
	}
}

func TestLedgerAndHooks(t *testing.T) {
	s, c := serve(t, Options{
		Ledger: 2,
		Answer: func(r Request) (Reply, bool) {
			return Reply{Text: "from the hook", Usage: &Usage{Prompt: 1, Completion: 2}}, strings.Contains(r.Prompt(), "hook")
		},
		Fail: func(r Request) Fault {
			if r.Index == 2 {
				return ServerError
			}
			return NoFault
		},
	})
	text(t, c, ask("forgotten"))
	if got := whole(t, c, ask("hook")); got.Choices[0].Message.Content != "from the hook" || got.Usage.TotalTokens != 3 {
		t.Errorf("got %+v", got)
	}
	if _, err := c.CreateChatCompletion(context.Background(), ask("You are the planner")); err == nil {
		t.Error("the fault did not show")
	}
	recs := s.Requests()
	if len(recs) != 2 {
		t.Fatalf("%d records", len(recs))
	}
	first, second := recs[0], recs[1]
	if first.Index != 1 || first.Role != Worker || first.Model != "gpt-4o" || first.Prompt() != "hook" ||
		first.Status != 200 || first.Reply != "from the hook" || first.Header.Get("Authorization") != "Bearer sk-test" ||
		first.Time.IsZero() {
		t.Errorf("first: %+v", first)
	}
	if second.Role != Planner || second.Status != 500 || second.Fault != ServerError {
		t.Errorf("second: %+v", second)
	}
	if n := s.Counts(); n.Calls != 3 || n.Peak != 1 {
		t.Errorf("counts %+v", n)
	}
}
