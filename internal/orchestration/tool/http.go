package tool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// A request is a tool that is one HTTP request.
type request struct {
	Config
	target *target
	client *http.Client
	censor *strings.Replacer
}

// maxRedirects are followed.
const maxRedirects = 5

// errRedirect is why a redirect is not followed.
var errRedirect = errors.New("redirected to where the tool may not go")

// newRequest returns the tool of a Config that was checked and has its defaults.
func newRequest(c Config) (*request, error) {
	t, err := parseTarget(c.HTTP.URL)
	if err != nil {
		return nil, err
	}
	r := &request{Config: c, target: t, censor: newCensor(c.secrets())}
	r.client = &http.Client{Transport: newTransport(newGuard(c.AllowPrivate)), CheckRedirect: r.redirected}
	return r, nil
}

// redirected lets a GET go on to the hosts that are allowed, without what was
// meant for the first one.
func (r *request) redirected(next *http.Request, via []*http.Request) error {
	if len(r.HTTP.AllowedHosts) == 0 || via[0].Method != http.MethodGet {
		return http.ErrUseLastResponse
	}
	first := via[0].URL
	safe := next.URL.Scheme == "https" || next.URL.Scheme == first.Scheme
	if len(via) > maxRedirects || !safe || next.URL.User != nil || !slices.Contains(hosts(r.HTTP.AllowedHosts), hostOf(next.URL.Hostname())) {
		return errRedirect
	}
	for name := range r.HTTP.Headers {
		next.Header.Del(name)
	}
	next.Header.Del(r.HTTP.IdempotencyHeader)
	next.Header.Del("Referer") // the first address, arguments and all
	return nil
}

// call makes the request. The arguments were checked.
func (r *request) call(ctx context.Context, arguments map[string]json.RawMessage, key string) ending {
	patient := ctx
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	q, err := r.request(ctx, arguments, key)
	if err != nil {
		return invalid("the arguments do not suit the tool: %v", err)
	}
	answer, err := r.client.Do(q)
	if err != nil {
		return broke(patient, err, r.Timeout)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode < 200 || answer.StatusCode >= 300 {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, maxFaultBody))
		return refused(answer.StatusCode, answer.Header, words(r.censor.Replace(string(said))))
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, int64(r.MaxBytes)+1))
	switch {
	case err != nil:
		return broke(patient, err, r.Timeout)
	case len(text) > r.MaxBytes:
		return tooLarge(r.MaxBytes)
	case !utf8.Valid(text):
		return failed(Unreadable, false, "the tool answered with what is no text in UTF-8")
	}
	return ending{outcome: OK, text: r.censor.Replace(string(text))}
}

func (r *request) request(ctx context.Context, arguments map[string]json.RawMessage, key string) (*http.Request, error) {
	u, rest, err := r.target.fill(arguments)
	if err != nil {
		return nil, err
	}
	var body io.Reader = http.NoBody
	if r.HTTP.Body == BodyJSON {
		text, err := json.Marshal(rest)
		if err != nil {
			return nil, argumentFault{"", "they are no JSON"}
		}
		body = bytes.NewReader(text)
	} else if err := r.target.addQuery(u, rest); err != nil {
		return nil, err
	}
	q, err := http.NewRequestWithContext(ctx, r.HTTP.Method, u.String(), body)
	if err != nil {
		return nil, argumentFault{"", "they make no address"}
	}
	q.Header.Set("Accept", "application/json, text/*;q=0.9, */*;q=0.1")
	q.Header.Set("User-Agent", "tutti")
	if r.HTTP.Body == BodyJSON {
		q.Header.Set("Content-Type", "application/json")
	}
	if name := r.HTTP.IdempotencyHeader; name != "" && key != "" {
		q.Header.Set(name, keyOf(key))
	}
	for name, v := range r.HTTP.Headers {
		q.Header.Set(name, v.text())
	}
	return q, nil
}

func (r *request) close() { r.client.CloseIdleConnections() }

// keyOf returns a key as it may stand in a header.
func keyOf(key string) string {
	if len(key) <= 255 && !strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
