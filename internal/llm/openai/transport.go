package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	api "github.com/sashabaranov/go-openai"
)

// newTransport returns the transport of an endpoint: TLS and HTTP/2 where it
// offers them, connections kept for a whole pool of calls, and no proxy, not
// even one that the environment names.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: math.MaxInt, // as many as there were calls at once, which the pool's slots bound
		IdleConnTimeout:     90 * time.Second,
		WriteBufferSize:     32 << 10, // most prompts go out in one piece, for 2 MB at 64 slots; only HTTP/1 has such buffers
		TLSHandshakeTimeout: 10 * time.Second,
		DisableCompression:  true, // answers are short, and a stream must not be held back
		// One dead HTTP/2 connection would take all the calls on it along.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// azureVersion is the version of Azure's API where the base URL names none.
const azureVersion = "2024-10-21"

// configure reads a base URL, and reports also whether the endpoint is OpenAI's
// own, so that it knows max_completion_tokens.
func configure(base, key string) (config api.ClientConfig, modern bool, err error) {
	if base == "" {
		base = "https://api.openai.com/v1"
	}
	u, err := url.Parse(base)
	if err != nil || u.User != nil || u.Host == "" || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http") {
		return config, false, errors.New("the base URL must be like https://host/v1, without a user, a password or a fragment")
	}
	path := strings.TrimRight(u.Path, "/")
	if strings.HasSuffix(path, "/chat/completions") {
		return config, false, errors.New("the base URL ends before /chat/completions")
	}
	query := u.Query()
	version := query.Get("api-version")
	query.Del("api-version")
	if len(query) > 0 {
		return config, false, errors.New("the base URL may have no query but api-version")
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return config, false, errors.New("the API key holds a blank or a control character")
	}
	host := u.Hostname()
	azure := version != "" || strings.HasSuffix(host, ".openai.azure.com")
	root := u.Scheme + "://" + u.Host

	config = api.DefaultConfig(key)
	switch {
	case !azure:
		config.BaseURL = root + path
	case strings.HasSuffix(path, "/v1"):
		config.APIType = api.APITypeCloudflareAzure // the key as Azure wants it, the path as OpenAI's
		config.BaseURL = root + path
		config.APIVersion = version
	default:
		path, deployment, _ := strings.Cut(path, "/openai/deployments/")
		config.APIType = api.APITypeAzure
		config.BaseURL = root + strings.TrimSuffix(path, "/openai")
		config.APIVersion = azureVersion
		if version != "" {
			config.APIVersion = version
		}
		config.AzureModelMapperFunc = func(model string) string {
			if deployment != "" {
				model = deployment
			}
			return url.PathEscape(model)
		}
	}
	return config, azure || host == "api.openai.com" || strings.HasSuffix(host, ".api.openai.com"), nil
}

// An exchange is what one call and the doer tell each other past go-openai:
// texts, which it would copy, and headers, which it neither takes nor hands back.
type exchange struct {
	request        []byte // the body
	idempotencyKey string
	abort          context.CancelCauseFunc // ends the call

	sent   bool
	status int   // of the answer, 0 if none came
	body   *body // of the answer
}

type exchangeKey struct{}

// idempotencyHeader is spelled so that net/http does not know it: it sends a
// POST that bears "Idempotency-Key" again by itself when a kept connection
// breaks, and every call must be counted.
var idempotencyHeader = "idempotency-key"

// A doer sends go-openai's requests, with the body that the exchange has. It puts
// good answers into the exchange, with their size bounded, and shows go-openai an
// empty object; every other one it returns as a *fault.
type doer struct {
	transport http.RoundTripper
	maxBytes  int64
}

// These bound what is read of an answer that is none. Its status has said the
// most of it, and the call holds a slot.
const (
	maxFault  = 64 << 10
	faultTime = 5 * time.Second
)

// Do sends one request of go-openai's.
func (d *doer) Do(req *http.Request) (*http.Response, error) {
	x, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, fmt.Errorf("openai: %s is no chat completion", req.URL.Path)
	}
	req.Header.Set("User-Agent", "tutti")
	if x.idempotencyKey != "" {
		req.Header[idempotencyHeader] = []string{x.idempotencyKey}
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(x.request)), nil }
	req.Body, _ = req.GetBody()
	req.ContentLength = int64(len(x.request))
	x.sent = true
	// The transport is asked directly, so that no redirect takes the key along.
	resp, err := d.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	x.status = resp.StatusCode
	x.body = &body{ReadCloser: resp.Body, left: d.maxBytes, reusable: resp.ProtoMajor == 1, abort: x.abort}
	if resp.StatusCode/100 == 2 {
		resp.Body = io.NopCloser(strings.NewReader("{}"))
		return resp, nil
	}
	defer func() { _ = x.body.Close() }()
	timer := time.AfterFunc(faultTime, func() { x.abort(nil) })
	text, _ := io.ReadAll(io.LimitReader(x.body, maxFault)) // what came is better than nothing
	timer.Stop()
	return nil, readFault(resp.StatusCode, resp.Header, text)
}

// A body is an answer as it comes in.
type body struct {
	io.ReadCloser
	left     int64  // bytes that may still come
	start    []byte // the first startBytes, to tell what an answer is that is none
	ended    bool
	reusable bool // by the next call, if this answer is read to its end
	abort    context.CancelCauseFunc
}

const (
	startBytes = 1 << 10
	drainBytes = 4 << 10
	drainTime  = 50 * time.Millisecond
)

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if room := startBytes - len(b.start); room > 0 {
		b.start = append(b.start, p[:min(n, room)]...)
	}
	b.left -= int64(n)
	if b.left < 0 {
		b.ended = true
		return 0, errTooLarge
	}
	if err != nil {
		b.ended = true
	}
	return n, err
}

// Close reads the little that may be left, within a short time, because a
// connection is kept only when its answer was read to the end.
func (b *body) Close() error {
	if !b.ended && b.reusable {
		timer := time.AfterFunc(drainTime, func() { b.abort(nil) })
		_, _ = io.CopyN(io.Discard, b.ReadCloser, drainBytes)
		timer.Stop()
	}
	return b.ReadCloser.Close()
}
