package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/llm"
)

// sse writes server-sent events.
func sse(data ...string) string {
	var b strings.Builder
	for _, d := range data {
		b.WriteString("data: " + d + "\n\n")
	}
	return b.String()
}

func delta(text string) string {
	quoted, _ := json.Marshal(text)
	return `{"choices":[{"index":0,"delta":{"content":` + string(quoted) + `},"finish_reason":null}]}`
}

const (
	role   = `{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`
	stop   = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	length = `{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}`
	billed = `{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}}}`
)

func streamed() *llm.Request {
	req := asks("m")
	req.Stream = true
	return req
}

func TestStreams(t *testing.T) {
	usage := llm.Usage{Prompt: 10, Cached: 4, Completion: 7, Reasoning: 5}
	tests := []struct {
		name      string
		body      string
		text      string
		whole     bool // not streamed, though it was asked for
		pieces    int
		truncated bool
		usage     llm.Usage
		want      llm.Outcome
		detail    string
	}{
		{name: "OpenAI", body: sse(role, delta("Hel"), delta("lo"), stop, billed, "[DONE]"), text: "Hello", pieces: 2, usage: usage},
		{name: "Azure, its filter first", body: sse(`{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}`, role, delta("Hello"), stop, "[DONE]"), text: "Hello", pieces: 1},
		{name: "Gemini, usage in every chunk", body: sse(
			`{"choices":[{"delta":{"content":"Hel","role":"assistant"},"index":0}],"usage":{"prompt_tokens":4,"completion_tokens":0,"total_tokens":4}}`,
			`{"choices":[{"delta":{"content":"lo"},"finish_reason":"stop","index":0}],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":9}}`, "[DONE]",
		), text: "Hello", pieces: 2, usage: llm.Usage{Prompt: 4, Completion: 5}},
		{name: "DeepSeek, reasoning apart", body: sse(
			`{"choices":[{"index":0,"delta":{"content":null,"reasoning_content":"Hmm"},"finish_reason":null}]}`, delta("Hello"), stop, "[DONE]",
		), text: "Hello", pieces: 1},
		{name: "Mistral, content in parts", body: sse(
			`{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hmm"}]}]}}]}`,
			`{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"Hel"}]}}]}`, delta("lo"), stop, "[DONE]",
		), text: "Hello", pieces: 2},
		{name: "a think block is left", body: sse(delta("<think>Hmm</think>Hi"), stop, "[DONE]"), text: "<think>Hmm</think>Hi", pieces: 1},
		{name: "OpenRouter, 1000 keep-alives", body: strings.Repeat(": OPENROUTER PROCESSING\n\n", 1000) + sse(delta("Hello"), stop, "[DONE]"), text: "Hello", pieces: 1},
		{name: "lines that say nothing", body: sse("", "null", delta("Hel"), `""`, "ping", "[]", delta("lo"), stop, "", "[DONE]"), text: "Hello", pieces: 2},
		{name: "nothing but lines that say nothing", body: sse("", "null", "ping"), want: llm.Unavailable, detail: "not a chat completion"},
		{name: "carriage returns, no blanks, names", body: "event: message\r\ndata:" + delta("Hello") + "\r\n\r\ndata:" + stop + "\r\n\r\ndata:[DONE]\r\n\r\n", text: "Hello", pieces: 1},
		{name: "no blank lines", body: "data: " + delta("Hel") + "\ndata: " + delta("lo") + "\ndata: [DONE]\n", text: "Hello", pieces: 2},
		{name: "no end mark", body: sse(delta("Hello"), stop), text: "Hello", pieces: 1},
		{name: "no finish", body: sse(delta("Hello"), "[DONE]"), text: "Hello", pieces: 1},
		{name: "another choice", body: sse(delta("Hello"), `{"choices":[{"index":1,"delta":{"content":"no"}}]}`, stop, "[DONE]"), text: "Hello", pieces: 1},
		{name: "truncated", body: sse(delta("Hello"), length, billed, "[DONE]"), text: "Hello", pieces: 1, truncated: true, usage: usage},

		{name: "truncated before any text", body: sse(role, length, billed, "[DONE]"), want: llm.Truncated, usage: usage},
		{name: "empty", body: sse(role, stop, billed, "[DONE]"), want: llm.Empty, usage: usage},
		{name: "only an end mark", body: sse("[DONE]"), want: llm.Empty},
		{name: "refused", body: sse(`{"choices":[{"index":0,"delta":{"refusal":"I "}}]}`, `{"choices":[{"index":0,"delta":{"refusal":"won't"}}]}`, stop, "[DONE]"), want: llm.Refused, detail: "I won't"},
		{name: "filtered", body: sse(delta("He"), `{"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}`, "[DONE]"), want: llm.Refused, pieces: 1},
		{name: "broken off", body: sse(delta("Hel"), delta("lo")), want: llm.Unavailable, pieces: 2, detail: "broke off"},
		{name: "broken off in a line", body: sse(delta("Hel")) + "data: {\"choices\":[{", want: llm.Unavailable, pieces: 1},
		{name: "nothing", body: "", want: llm.Unavailable, detail: "not a chat completion"},
		{name: "a page", body: "<html>\nhello\n</html>", want: llm.Unavailable, detail: "not a chat completion"},
		{name: "not JSON", body: sse("hello"), want: llm.Unavailable},
		{name: "another shape", body: sse(`{"choices":[{"delta":{"content":5}}]}`), want: llm.Unavailable},
		{name: "a whole answer", body: whole("Hello"), text: "Hello", pieces: 1, whole: true, usage: llm.Usage{Prompt: 3, Completion: 2}},
		{name: "a whole answer, blank lines first", body: "\n\r\n  " + whole("Hello"), text: "Hello", pieces: 1, whole: true, usage: llm.Usage{Prompt: 3, Completion: 2}},
		{name: "the half of a whole answer", body: whole("Hello")[:60], want: llm.Unavailable},
		{name: "no choice", body: `{"id":"c","choices":[]}`, want: llm.Empty},
		{name: "an error instead", body: `{"error":{"message":"out of memory"}}`, want: llm.Unavailable, detail: "out of memory"},
		{name: "vLLM error midway", body: sse(delta("Hel"), `{"error":{"object":"error","message":"EngineCore died","type":"InternalServerError","param":null,"code":500}}`, "[DONE]"), want: llm.Unavailable, pieces: 1, detail: "EngineCore"},
		{name: "Anthropic error midway", body: sse(delta("Hel")) + "event: error\n" + sse(`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), want: llm.Overloaded, pieces: 1},
		{name: "llama.cpp error in a good stream", body: "error: x\n\n" + sse(`{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":14429,"n_ctx":8192}}`), want: llm.ContextTooLong},
		{name: "an error, and a name much like it", body: sse(delta("Hel"), `{"error":{"message":"out of memory"},"Error":null}`), want: llm.Unavailable, pieces: 1, detail: "not a chat completion"},
		{name: "DeepSeek, interrupted", body: sse(delta("Hel"), `{"choices":[{"index":0,"delta":{},"finish_reason":"insufficient_system_resource"}]}`, billed, "[DONE]"), want: llm.Overloaded, pieces: 1, usage: usage, detail: "broke off"},
		{name: "Mistral, broken off", body: sse(delta("Hel"), `{"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}`, "[DONE]"), want: llm.Unavailable, pieces: 1, detail: "broke off"},
		{name: "vLLM, broken off", body: sse(delta("Hel"), `{"choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}`, "[DONE]"), want: llm.Unavailable, pieces: 1, detail: "broke off"},
		{name: "Mistral, at the end of its window", body: sse(delta("Hello"), `{"choices":[{"index":0,"delta":{},"finish_reason":"model_length"}]}`, billed, "[DONE]"), text: "Hello", pieces: 1, truncated: true, usage: usage},
		{name: "an error string midway", body: sse(delta("Hel"), `{"error":"unexpected EOF"}`), want: llm.Unavailable, pieces: 1, detail: "unexpected EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &script{replies: []reply{{body: test.body}}}
			client := dial(t, s.ServeHTTP)
			req := streamed()
			var pieces []string
			req.OnText = func(text string) { pieces = append(pieces, text) }
			resp, err := client.Chat(t.Context(), req)
			if len(pieces) != test.pieces {
				t.Errorf("pieces %q, want %d", pieces, test.pieces)
			}
			calls := llm.Calls(resp, err)
			if len(calls) != 1 || calls[0].Usage != test.usage {
				t.Errorf("calls %+v, want usage %+v", calls, test.usage)
			}
			if calls[0].FirstToken.IsZero() != (test.pieces == 0 || test.whole) {
				t.Errorf("first token %v with %d pieces", calls[0].FirstToken, test.pieces)
			}
			if test.want != "" {
				failed := failure(t, err)
				if failed.Outcome != test.want || !strings.Contains(failed.Detail, test.detail) || failed.Status != 200 {
					t.Errorf("got %v, want %s %q", failed, test.want, test.detail)
				}
				return
			}
			if err != nil || resp.Text != test.text || strings.Join(pieces, "") != test.text || resp.Truncated != test.truncated {
				t.Errorf("got %+v, %v; want %q", resp, err, test.text)
			}
		})
	}
}

func TestStreamInAnyPieces(t *testing.T) {
	text := "Grüße, 世界! \u2028 \"quoted\"\n"
	chunks := make([]string, 0, len(text))
	for _, r := range text {
		chunks = append(chunks, delta(string(r)))
	}
	body := ": ping\n\n" + sse(append(append([]string{role}, chunks...), stop, billed, "[DONE]")...)
	check := func(t *testing.T, cuts []int) {
		t.Helper()
		client := dial(t, func(w http.ResponseWriter, _ *http.Request) {
			from := 0
			for _, cut := range append(slices.Sorted(slices.Values(cuts)), len(body)) {
				_, _ = io.WriteString(w, body[from:cut])
				_ = http.NewResponseController(w).Flush()
				from = cut
			}
		})
		resp, err := client.Chat(t.Context(), streamed())
		if err != nil || resp.Text != text || resp.Calls[0].Usage.Prompt != 10 {
			t.Errorf("got %+v, %v", resp, err)
		}
	}
	t.Run("byte by byte", func(t *testing.T) {
		cuts := make([]int, len(body))
		for i := range cuts {
			cuts[i] = i
		}
		check(t, cuts)
	})
	t.Run("cut anywhere", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			cuts := rapid.SliceOfN(rapid.IntRange(0, len(body)), 0, 8).Draw(rt, "cuts")
			check(t, cuts)
		})
	})
}

// A refusal that goes on and on costs no more than its bytes.
func TestLongRefusal(t *testing.T) {
	const pieces = 20_000
	piece := sse(`{"choices":[{"index":0,"delta":{"refusal":"No, no, no. "}}]}`)
	s := &script{replies: []reply{{body: strings.Repeat(piece, pieces) + sse(stop, "[DONE]")}}}
	client := dial(t, s.ServeHTTP)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := client.Chat(t.Context(), streamed())
	runtime.ReadMemStats(&after)
	if failed := failure(t, err); failed.Outcome != llm.Refused || !strings.Contains(failed.Detail, "No, no, no.") {
		t.Errorf("got %v", failed)
	}
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 100 {
		t.Errorf("%d MB for %d kB", mb, pieces*len(piece)>>10)
	}
}

func TestStreamThatIsReset(t *testing.T) {
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprintf("whole=%v", whole), func(t *testing.T) {
			client := dial(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100000")
				_, _ = io.WriteString(w, sse(delta("Hel")))
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			req := streamed()
			req.Stream = !whole
			_, err := client.Chat(t.Context(), req)
			if failed := failure(t, err); failed.Outcome != llm.Unavailable || len(failed.Calls) != 1 {
				t.Errorf("got %v", failed)
			}
		})
	}
}

// The limits in time, in virtual time. The endpoint opens the stream after
// silence[0], sends a role, and then a token after each further silence.
// What an endpoint does after the end of an answer does not unmake it: it is paid for.
func TestStreamThatBreaksOffAfterItsEnd(t *testing.T) {
	for name, then := range map[string]http.HandlerFunc{
		"it is reset": reset, "it stands still": silence, "it is reset in a line": once(`data: {"choices":[],"us`, reset),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := dialPipe(t, once(sse(delta("Hel"), delta("lo"), stop), then))
				if resp, err := client.Chat(t.Context(), streamed()); err != nil || resp.Text != "Hello" || len(resp.Calls) != 1 {
					t.Errorf("got %+v, %v", resp, err)
				}
			})
		})
	}
}

func TestTimeouts(t *testing.T) {
	second, forever := time.Second, 1000*time.Hour
	tests := []struct {
		name    string
		silence []time.Duration
		whole   bool
		cancel  time.Duration // the caller cancels
		expire  time.Duration // the caller's deadline
		want    llm.Outcome
		detail  string
		after   time.Duration
	}{
		{"in time", []time.Duration{second, 100 * second, 50 * second, 50 * second}, false, 0, 0, llm.OK, "", 201 * second},
		{"never answers", []time.Duration{forever}, false, 0, 0, llm.Timeout, "no token", 120 * second},
		{"no first token", []time.Duration{second, forever}, false, 0, 0, llm.Timeout, "no token", 120 * second},
		{"stands still", []time.Duration{second, second, forever}, false, 0, 0, llm.Timeout, "stood still", 62 * second},
		{"too slow in all", append([]time.Duration{second}, slices.Repeat([]time.Duration{59 * second}, 20)...), false, 0, 0, llm.Timeout, "too long", 600 * second},
		{"whole, never answers", []time.Duration{forever}, true, 0, 0, llm.Timeout, "too long", 600 * second},
		{"whole, stands still", []time.Duration{second, forever}, true, 0, 0, llm.Timeout, "too long", 600 * second},
		{"canceled before an answer", []time.Duration{forever}, false, 5 * second, 0, llm.Canceled, "canceled", 5 * second},
		{"canceled midway", []time.Duration{second, second, forever}, false, 5 * second, 0, llm.Canceled, "canceled", 5 * second},
		{"whole, canceled", []time.Duration{forever}, true, 5 * second, 0, llm.Canceled, "canceled", 5 * second},
		{"whole, canceled midway", []time.Duration{second, forever}, true, 5 * second, 0, llm.Canceled, "canceled", 5 * second},
		{"the caller's deadline", []time.Duration{second, second, forever}, false, 0, 7 * second, llm.Timeout, "time for the request", 7 * second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left := make(chan struct{})
				client := dialPipe(t, func(w http.ResponseWriter, r *http.Request) {
					defer close(left)
					flush := http.NewResponseController(w).Flush
					for i, silence := range test.silence {
						select {
						case <-time.After(silence):
						case <-r.Context().Done():
							return
						}
						piece := sse(delta("x"))
						switch {
						case test.whole:
							piece = `{"id":`
						case i == 0:
							piece = sse(role)
						}
						_, _ = io.WriteString(w, piece)
						_ = flush()
					}
					_, _ = io.WriteString(w, sse(stop, "[DONE]"))
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, cancel)
				}
				if test.expire > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.expire)
					defer cancel()
				}
				req := streamed()
				req.Stream = !test.whole
				start := time.Now()
				resp, err := client.Chat(ctx, req)
				if took := time.Since(start); took != test.after {
					t.Errorf("took %v, want %v", took, test.after)
				}
				if test.want == llm.OK {
					if err != nil || resp.Text != strings.Repeat("x", len(test.silence)-1) {
						t.Errorf("got %+v, %v", resp, err)
					}
					return
				}
				failed := failure(t, err)
				if failed.Outcome != test.want || !strings.Contains(failed.Detail, test.detail) || len(failed.Calls) != 1 {
					t.Errorf("got %v, want %s %q", failed, test.want, test.detail)
				}
				<-left // the endpoint learns of it
			})
		})
	}
}

func TestKeepAlivesAreNoTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := dialPipe(t, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, ": ping\n\n"+sse(role))
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
				}
			}
		})
		_, err := client.Chat(t.Context(), streamed())
		if failed := failure(t, err); failed.Outcome != llm.Timeout || failed.Detail != "no token came in time" {
			t.Errorf("got %v", failed)
		}
	})
}

// An endpoint that leaves the connection open after its answer holds us up for
// a moment only.
func TestAnswerThatNeverEnds(t *testing.T) {
	for _, wholly := range []bool{false, true} {
		t.Run(fmt.Sprintf("whole=%v", wholly), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := dialPipe(t, func(w http.ResponseWriter, r *http.Request) {
					body := sse(delta("Hello"), stop, "[DONE]")
					if wholly {
						body = whole("Hello")
					}
					_, _ = io.WriteString(w, body)
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
				})
				req := streamed()
				req.Stream = !wholly
				start := time.Now()
				resp, err := client.Chat(t.Context(), req)
				if err != nil || resp.Text != "Hello" || time.Since(start) > time.Second {
					t.Errorf("got %+v, %v after %v", resp, err, time.Since(start))
				}
			})
		})
	}
}

func TestCanceledBeforeItIsSent(t *testing.T) {
	s := &script{replies: []reply{{body: whole("Hello")}}}
	client := dial(t, s.ServeHTTP)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.Chat(ctx, asks("m"))
	if failed := failure(t, err); failed.Outcome != llm.Canceled || len(failed.Calls) != 0 || len(s.bodies) != 0 {
		t.Errorf("got %v, %d calls", failed, len(failed.Calls))
	}
}
