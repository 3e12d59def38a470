package openai

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
)

// say writes a piece and waits, and reports whether there is anybody left to
// hear more.
func say(w http.ResponseWriter, r *http.Request, piece string, wait time.Duration) bool {
	if _, err := io.WriteString(w, piece); err != nil {
		return false
	}
	_ = http.NewResponseController(w).Flush()
	if wait == 0 {
		return r.Context().Err() == nil
	}
	select {
	case <-time.After(wait):
		return true
	case <-r.Context().Done():
		return false
	}
}

// drip says the pieces again and again.
func drip(wait time.Duration, pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		heard := true
		for i := 0; heard; i++ {
			heard = say(w, r, pieces[i%len(pieces)], wait)
		}
	}
}

// dripBytes says a text byte by byte, then again.
func dripBytes(wait time.Duration, text string) http.HandlerFunc {
	return drip(wait, strings.Split(text, "")...)
}

// once says a text, and then goes on as next.
func once(text string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if say(w, r, text, 0) {
			next(w, r)
		}
	}
}

func status(code int, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(code)
		next(w, r)
	}
}

// raw writes past HTTP: the text, and then the endless one until nobody reads.
func raw(text, endless string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		for _, err = io.WriteString(conn, text); err == nil && endless != ""; {
			_, err = io.WriteString(conn, endless)
		}
	}
}

func silence(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func nothing(http.ResponseWriter, *http.Request) {}

// zipped answers with a text, compressed though nobody asked for it.
func zipped(text string) http.HandlerFunc {
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(small.Bytes())
	}
}

// Whatever an endpoint does, a call to it ends in time, as what it was, having
// read no more than it may. The times are those of the defaults: 2 minutes to
// the first token, 1 between two of them, 10 in all.
func TestTorture(t *testing.T) {
	const (
		firstToken = 2 * time.Minute
		idle       = time.Minute
		all        = 10 * time.Minute
		atOnce     = time.Second
	)
	const mb = 1 << 20
	long := strings.Repeat("x", 64<<10)
	type end struct {
		outcome llm.Outcome
		within  time.Duration // in virtual time
	}
	tests := []struct {
		name     string
		endpoint http.HandlerFunc
		streamed end
		whole    end
	}{
		{"no answer at all", silence, end{llm.Timeout, firstToken}, end{llm.Timeout, all}},
		{"headers, then silence", status(200, once("", silence)), end{llm.Timeout, firstToken}, end{llm.Timeout, all}},
		{"a header without end", raw("HTTP/1.1 200 OK\r\n", "X-More: "+long+"\r\n"), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"early hints without end", raw("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"no HTTP", raw("220 mail.test ESMTP\r\n", ""), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"hangs up", raw("", ""), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},

		{"a blank a second", dripBytes(time.Second, " "), end{llm.Timeout, firstToken}, end{llm.Timeout, all}},
		{"a byte of a stream a second", dripBytes(time.Second, sse(delta("x"))), end{llm.Timeout, firstToken + 2*idle}, end{llm.Unavailable, atOnce}},
		{"a byte of an answer a second", dripBytes(time.Second, `{"id":"`+strings.Repeat("x", 1000)), end{llm.Timeout, firstToken}, end{llm.Timeout, all}},
		{"a token in 59 seconds", drip(59*time.Second, sse(delta("x"))), end{llm.Timeout, all}, end{llm.Unavailable, atOnce}},
		{"keep-alives without end", drip(time.Second, ": ping\n\n"), end{llm.Timeout, firstToken}, end{llm.Unavailable, atOnce}},
		{"keep-alives after a token", once(sse(delta("x")), drip(time.Second, ": ping\n\n")), end{llm.Timeout, idle + atOnce}, end{llm.Unavailable, atOnce}},
		{"thoughts without end", drip(time.Second, sse(`{"choices":[{"index":0,"delta":{"reasoning":"hm"}}]}`)), end{llm.Timeout, all}, end{llm.Unavailable, atOnce}},

		{"reset before any text", once("", reset), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"reset midway", once(sse(delta("x")), reset), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"reset within a whole answer", once(whole("x")[:60], reset), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"ends within a whole answer", once(whole("x")[:60], nothing), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"a chunk of a wrong size", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ""), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"an empty 200", nothing, end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"a null", once("null", nothing), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"deep JSON", once(strings.Repeat("[", 100_000), nothing), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"deep JSON in a stream", once("data: "+strings.Repeat(`{"usage":`, 100_000)+"\n\n", nothing), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},

		{"50 MB of an answer", once(`{"id":"`, drip(0, long)), end{llm.TooLarge, atOnce}, end{llm.TooLarge, atOnce}},
		{"50 MB of tokens", drip(0, sse(delta(long))), end{llm.TooLarge, atOnce}, end{llm.Unavailable, atOnce}},
		{"50 MB of keep-alives", drip(0, ": "+long+"\n\n"), end{llm.TooLarge, atOnce}, end{llm.Unavailable, atOnce}},
		{"50 MB of an error", status(500, drip(0, long)), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},
		{"a gzip bomb", zipped(whole(strings.Repeat("x", 50*mb))), end{llm.Unavailable, atOnce}, end{llm.Unavailable, atOnce}},

		{"an error a byte a second", status(503, dripBytes(time.Second, "busy ")), end{llm.Overloaded, 10 * time.Second}, end{llm.Overloaded, 10 * time.Second}},
		{"an error that never comes", status(429, once("", silence)), end{llm.RateLimited, 10 * time.Second}, end{llm.RateLimited, 10 * time.Second}},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, end{llm.InvalidRequest, atOnce}, end{llm.InvalidRequest, atOnce}},
	}
	for _, test := range tests {
		for name, want := range map[string]end{"streamed": test.streamed, "whole": test.whole} {
			t.Run(test.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var requests, written atomic.Int64
					client := dialPipe(t, func(w http.ResponseWriter, r *http.Request) {
						requests.Add(1)
						_, _ = io.Copy(io.Discard, r.Body) // until then, net/http does not notice that a client has gone
						if r.Header.Get("Accept-Encoding") != "" {
							t.Errorf("it asks for %s", r.Header.Get("Accept-Encoding"))
						}
						test.endpoint(&counted{w, &written}, r)
					})
					req := asks("m")
					req.Stream = name == "streamed"
					start := time.Now()
					_, err := client.Chat(t.Context(), req)
					failed := failure(t, err)
					if took := time.Since(start); failed.Outcome != want.outcome || took > want.within {
						t.Errorf("got %v after %v, want %s within %v", failed, took, want.outcome, want.within)
					}
					if len(failed.Calls) != 1 || failed.Calls[0].Outcome != want.outcome || requests.Load() != 1 {
						t.Errorf("%d requests, calls %+v", requests.Load(), failed.Calls)
					}
					if len(failed.Detail) > 4*maxDetail {
						t.Errorf("a detail of %d bytes", len(failed.Detail))
					}
					synctest.Wait()
					if n := written.Load(); n > 17*mb {
						t.Errorf("%d MB were read", n/mb)
					}
				})
			})
		}
	}
}

// counted counts the bytes of an answer that were taken.
type counted struct {
	http.ResponseWriter
	written *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.written.Add(int64(n))
	return n, err
}

func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// What an endpoint says that it billed may be anything. The answer is good, and
// the numbers stay such that sums of them are sums.
func TestTortureOfUsage(t *testing.T) {
	for told, want := range map[string]llm.Usage{
		`null`: {}, `{}`: {}, `"none"`: {}, `[]`: {}, `7`: {}, `[{"prompt_tokens":1}]`: {},
		`{"prompt_tokens":-5,"completion_tokens":-1,"total_tokens":-6}`:                                                                                               {},
		`{"prompt_tokens":9223372036854775807,"completion_tokens":9223372036854775807,"total_tokens":9223372036854775807}`:                                            {Prompt: maxTokens, Completion: maxTokens},
		`{"prompt_tokens":1,"completion_tokens":1,"total_tokens":1,"prompt_tokens_details":{"cached_tokens":99},"completion_tokens_details":{"reasoning_tokens":-9}}`: {Prompt: 1, Cached: 1, Completion: 1},
		`{"prompt_tokens":1,"prompt_tokens_details":null,"completion_tokens_details":null}`:                                                                           {Prompt: 1},

		`{"prompt_tokens":12.0,"completion_tokens":1.2e1,"total_tokens":24.0,"prompt_tokens_details":{"cached_tokens":3.0},"completion_tokens_details":{"reasoning_tokens":2E0}}`: {Prompt: 12, Cached: 3, Completion: 12, Reasoning: 2},
		`{"prompt_tokens":12.5,"completion_tokens":7}`:                                                                                 {Completion: 7},
		`{"prompt_tokens":1e99,"completion_tokens":1e999,"total_tokens":99999999999999999999}`:                                         {Prompt: maxTokens},
		`{"prompt_tokens":"12","completion_tokens":[7],"total_tokens":{"n":true}}`:                                                     {},
		`{"prompt_tokens":12,"prompt_tokens_details":[],"completion_tokens_details":"none","completion_tokens":null}`:                  {Prompt: 12},
		`{"prompt_tokens":12,"prompt_tokens_details":{"cached_tokens":null,"audio_tokens":0.5},"cost":0.0012,"completion_tokens":7.0}`: {Prompt: 12, Completion: 7},
	} {
		for _, stream := range []bool{false, true} {
			body := `{"id":"c","choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],"usage":` + told + `}`
			if stream {
				body = sse(delta("x"), stop, `{"choices":[],"usage":`+told+`}`, "[DONE]")
			}
			s := &script{replies: []reply{{body: body}}}
			req := asks("m")
			req.Stream = stream
			resp, err := dial(t, s.ServeHTTP).Chat(t.Context(), req)
			if err != nil || resp.Text != "x" {
				t.Errorf("%s: got %+v, %v", told, resp, err)
				continue
			}
			if u := resp.Calls[0].Usage; u != want {
				t.Errorf("%s: read as %+v", told, u)
			}
		}
	}
}
