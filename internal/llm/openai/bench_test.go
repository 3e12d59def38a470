package openai

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	api "github.com/sashabaranov/go-openai"

	"github.com/tutti-run/tutti/internal/llm"
)

// BenchmarkOverBare compares a call with the same one made by go-openai alone,
// in CPU time of the process: ratio is ours to theirs. The server's share is in
// both, so what the client itself costs differs by more than that.
func BenchmarkOverBare(b *testing.B) {
	for _, bench := range []struct {
		name           string
		prompt, answer int // bytes
		stream         bool
	}{
		{"whole/2kB", 2000, 1200, false},
		{"whole/20kB", 20_000, 10_000, false},
		{"stream/250chunks", 2000, 1750, true}, // all at once: what reading them costs
		{"flushed/250chunks", 2000, 1750, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			server := httptest.NewServer(endpoint(bench.answer, strings.HasPrefix(bench.name, "flushed")))
			defer server.Close()
			client, err := New(Options{BaseURL: server.URL, APIKey: testKey})
			if err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			config := api.DefaultConfig(testKey)
			config.BaseURL = server.URL
			config.HTTPClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}}
			bare := api.NewClientWithConfig(config)
			defer config.HTTPClient.(*http.Client).CloseIdleConnections()

			req := &llm.Request{
				Model: "m", Messages: []llm.Message{{Author: llm.User, Text: lines(bench.prompt)}},
				Stream: bench.stream, OnText: func(string) {}, IdempotencyKey: "run_1/T1/1", CacheKey: "run_1",
			}
			var ours, theirs time.Duration
			for b.Loop() { // in turns, so that a busy machine slows both alike
				start := cpu(b)
				if resp, err := client.Chat(b.Context(), req); err != nil || resp.Text == "" {
					b.Fatal(err)
				}
				middle := cpu(b)
				if err := ask(b, bare, bench.stream, req.Messages[0].Text); err != nil {
					b.Fatal(err)
				}
				ours, theirs = ours+middle-start, theirs+cpu(b)-middle
			}
			b.ReportMetric(float64(ours)/float64(theirs), "ratio")
			b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "ours-µs")
			b.ReportMetric(float64(theirs.Microseconds())/float64(b.N), "bare-µs")
		})
	}
}

// endpoint answers at once: with so many bytes of text, or with words of seven
// bytes, a chunk each, which are sent together or one by one.
func endpoint(size int, flush bool) http.HandlerFunc {
	body := whole(lines(size))
	var chunks []string
	for i := range size / 7 {
		chunks = append(chunks, `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","system_fingerprint":"fp","choices":[{"index":0,"delta":{"content":"wor`+strconv.Itoa(100+i%900)+` "},"logprobs":null,"finish_reason":null}],"usage":null}`)
	}
	events := sse(append(chunks, stop, billed, "[DONE]")...)
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if r.Header.Get("Accept") == "text/event-stream" {
			for event := range strings.SplitAfterSeq(events, "\n\n") {
				_, _ = io.WriteString(w, event)
				if flush {
					_ = http.NewResponseController(w).Flush()
				}
			}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// lines returns text of that many bytes.
func lines(size int) string {
	const line = "All work and no play makes Jack \"a dull boy\", said his mother, and left.\n"
	return strings.Repeat(line, size/len(line)+1)[:size]
}

func ask(b *testing.B, bare *api.Client, streamed bool, prompt string) error {
	b.Helper()
	req := api.ChatCompletionRequest{Model: "m", Messages: []api.ChatCompletionMessage{{Role: "user", Content: prompt}}}
	if !streamed {
		_, err := bare.CreateChatCompletion(b.Context(), req)
		return err
	}
	req.StreamOptions = &api.StreamOptions{IncludeUsage: true}
	stream, err := bare.CreateChatCompletionStream(b.Context(), req)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// cpu returns the CPU time that the process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
