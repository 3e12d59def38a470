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
)

// BenchmarkOverBare compares a call with the same one made by go-openai alone,
// in CPU time of the process, the server's included: ratio is ours to theirs.
func BenchmarkOverBare(b *testing.B) {
	answer := strings.Repeat("All work and no play makes Jack a dull boy. ", 50)
	body := whole(answer)
	chunks := make([]string, 0, 256)
	for i := range 250 {
		chunks = append(chunks, `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","system_fingerprint":"fp","choices":[{"index":0,"delta":{"content":"word`+strconv.Itoa(i)+` "},"logprobs":null,"finish_reason":null}],"usage":null}`)
	}
	events := sse(append(chunks, stop, billed, "[DONE]")...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if r.Header.Get("Accept") == "text/event-stream" {
			_, _ = io.WriteString(w, events)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	client, err := New(Options{BaseURL: server.URL, APIKey: testKey})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	config := api.DefaultConfig(testKey)
	config.BaseURL = server.URL
	config.HTTPClient = &http.Client{Transport: NewTransport()}
	bare := api.NewClientWithConfig(config)
	defer config.HTTPClient.(*http.Client).CloseIdleConnections()

	prompt := strings.Repeat("Lorem ipsum dolor sit amet. ", 75) // 2 kB
	for _, stream := range []bool{false, true} {
		name := "whole"
		if stream {
			name = "stream"
		}
		b.Run(name, func(b *testing.B) {
			req := asks("m")
			req.Messages[0].Text, req.Stream, req.IdempotencyKey = prompt, stream, "run_1/T1/1"
			req.OnText = func(string) {}
			wire := features{}.request(req)
			var ours, theirs time.Duration
			b.ReportAllocs()
			for b.Loop() { // in turns, so that a busy machine slows both alike
				start := cpu(b)
				resp, err := client.Chat(b.Context(), req)
				if err != nil || resp.Text == "" {
					b.Fatal(err)
				}
				middle := cpu(b)
				if err := ask(b, bare, wire); err != nil {
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

func ask(b *testing.B, bare *api.Client, wire api.ChatCompletionRequest) error {
	b.Helper()
	if !wire.Stream {
		_, err := bare.CreateChatCompletion(b.Context(), wire)
		return err
	}
	stream, err := bare.CreateChatCompletionStream(b.Context(), wire)
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
