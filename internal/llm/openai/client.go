// Package openai is the llm.Client of any endpoint that speaks the OpenAI chat
// API: OpenAI, Azure OpenAI, vLLM, Ollama, llama.cpp, and the compatible faces
// of Gemini, Anthropic, Mistral, OpenRouter and others.
//
// go-openai judges, addresses and sends the requests. What it leaves open is
// closed here: sizes are bounded, headers kept, failures told apart, and silence
// is limited in time. Prompts and answers pass it by, as bytes that are written
// and read here: it would spend more on them than on all the rest of a call, and
// its reader of streams bounds neither lines nor what it gathers.
//
// Endpoints differ in what they take. What a refusal teaches about a model is
// kept in memory, and the request is made once more without what it named.
package openai

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	api "github.com/sashabaranov/go-openai"

	"github.com/tutti-run/tutti/internal/llm"
)

// Options describe one endpoint. Zero values stand for the defaults.
type Options struct {
	// BaseURL ends before "/chat/completions"; the default is OpenAI's. One on
	// *.openai.azure.com, or with an api-version in its query, is spoken to in
	// Azure's way: the key in an api-key header and, unless the path ends in
	// /v1, the model as the deployment in the path. It may also name one
	// deployment: https://NAME.openai.azure.com/openai/deployments/D.
	BaseURL string
	APIKey  string // empty sends none

	FirstTokenTimeout time.Duration // of a streamed answer; 2 minutes
	IdleTimeout       time.Duration // between two chunks after the first token; 1 minute
	CallTimeout       time.Duration // of the whole call; 10 minutes

	MaxAnswerBytes int64 // of an answer as it comes over the wire; 16 MB

	Transport http.RoundTripper // nil: one of its own
}

// A Client of one endpoint. It is safe for concurrent use.
type Client struct {
	api       *api.Client
	transport http.RoundTripper
	key       string // to keep it out of what people see
	lessons   lessons
	withTools lessons // of requests that have some: beside them less may be taken

	firstToken, idle, whole time.Duration
	maxBytes                int64
}

// New returns the Client of an endpoint. It makes no call. Its errors never
// hold the key.
func New(opts Options) (*Client, error) {
	c := &Client{
		transport:  opts.Transport,
		key:        strings.TrimSpace(opts.APIKey),
		firstToken: orDefault(opts.FirstTokenTimeout, 2*time.Minute),
		idle:       orDefault(opts.IdleTimeout, time.Minute),
		whole:      orDefault(opts.CallTimeout, 10*time.Minute),
		maxBytes:   orDefault(opts.MaxAnswerBytes, 16<<20),
	}
	if c.transport == nil {
		c.transport = newTransport()
	}
	config, modern, err := configure(opts.BaseURL, c.key)
	if err != nil {
		return nil, err
	}
	config.HTTPClient = &doer{transport: c.transport, maxBytes: c.maxBytes}
	c.api = api.NewClientWithConfig(config)
	c.lessons.modern, c.withTools.modern = modern, modern
	return c, nil
}

func orDefault[N ~int64](n, byDefault N) N {
	if n <= 0 {
		return byDefault
	}
	return n
}

// Close drops the connections that are idle.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Chat performs a chat completion. When the endpoint refuses a feature by
// name, it is made once more without it, and both calls are reported.
func (c *Client) Chat(ctx context.Context, req *llm.Request) (*llm.Response, error) {
	if ctx.Err() != nil {
		return nil, llm.Ended(ctx)
	}
	lessons := &c.lessons
	if len(req.Tools) > 0 {
		lessons = &c.withTools
	}
	known := lessons.of(req.Model)
	wire := known.request(req)
	resp, failed := c.call(ctx, req, wire)
	if failed == nil {
		return resp, nil
	}
	learned, changed := lessons.from(req.Model, known, wire, failed)
	if !changed || ctx.Err() != nil || !failed.Calls[0].FirstToken.IsZero() {
		return nil, failed // where text has come, it would come twice
	}
	refused := failed.Calls
	wire = learned.request(req)
	resp, failed = c.call(ctx, req, wire)
	if failed == nil {
		resp.Calls = append(refused, resp.Calls...)
		return resp, nil
	}
	lessons.from(req.Model, learned, wire, failed) // for the next attempt
	failed.Calls = append(refused, failed.Calls...)
	return nil, failed
}

// from returns the features that are left after a failure, and whether it
// changed them.
func (l *lessons) from(model string, known features, sent *request, failed *llm.Error) (features, bool) {
	told, ok := errors.AsType[*fault](failed.Err)
	if !ok || failed.Outcome != llm.InvalidRequest {
		return known, false
	}
	left := known.after(sent, told)
	if left == known || told.aboutThisSchema() {
		return left, left != known // nothing, or for this time only
	}
	return l.learn(model, sent, told), true
}

// call makes one call. What it returns holds that one Call, or none where
// nothing went out.
func (c *Client) call(parent context.Context, req *llm.Request, wire *request) (*llm.Response, *llm.Error) {
	text, err := wire.encode()
	if err != nil {
		return nil, c.unsent(err)
	}
	ctx, abort := context.WithCancelCause(parent)
	defer abort(nil)
	slow := time.AfterFunc(c.whole, func() { abort(errSlow) })
	defer slow.Stop()
	x := &exchange{request: text, idempotencyKey: req.IdempotencyKey, abort: abort}
	ctx = context.WithValue(ctx, exchangeKey{}, x)

	call := llm.Call{Started: time.Now(), Outcome: llm.OK}
	var got answer
	if wire.Stream {
		got, err = c.stream(ctx, x, wire, req.OnText)
	} else {
		got, err = c.complete(ctx, x, wire)
	}
	call.Ended = time.Now()
	call.FirstToken, call.Usage = got.firstToken, got.usage.usage()

	var failed *llm.Error
	switch {
	case err != nil && !x.sent:
		return nil, c.unsent(err) // go-openai would not have it
	case err != nil:
		failed = c.explain(parent, ctx, x, err)
	default:
		failed = c.judge(got)
	}
	if failed != nil {
		call.Outcome, call.Unsent = failed.Outcome, failed.Spared
		failed.Calls = []llm.Call{call}
		return nil, failed
	}
	identify(got.calls, req.Messages)
	if req.Stream && got.whole && req.OnText != nil && got.text != "" {
		req.OnText(got.text) // the model, or its endpoint, cannot stream: one piece
	}
	return &llm.Response{
		Text: got.text, ToolCalls: got.calls,
		Truncated: got.cut(), Calls: []llm.Call{call},
	}, nil
}
