package openai

import (
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/llm"
)

// Ceilings of what a worker's call at 2 kB allocates, beside what net/http does
// for it. It was 56 objects and 12 kB when they were set, of which more than half
// of the objects are go-openai's, and half of the bytes the body and the text.
const (
	maxObjects = 60
	maxBytes   = 14 << 10
)

// raced is how much more is allowed under the race detector, whose pools forget
// some of what they are given.
func raced() uint64 {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return 2
	}
	return 1
}

func TestAllocations(t *testing.T) {
	chat := stubbed(t)
	chat() // what is made once is made
	const calls = 500
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	objects := testing.AllocsPerRun(calls-1, chat) // which runs it once more
	runtime.ReadMemStats(&after)
	size := (after.TotalAlloc - before.TotalAlloc) / calls
	if uint64(objects) > maxObjects*raced() || size > maxBytes*raced() {
		t.Errorf("a call allocates %v objects, at most %d are allowed, and %d bytes, at most %d", objects, maxObjects, size, maxBytes)
	}
}

func BenchmarkChat(b *testing.B) {
	chat := stubbed(b)
	b.ReportAllocs()
	for b.Loop() {
		chat()
	}
}

// stubbed returns a worker's call at 2 kB whose answer of 1.2 kB is there at once.
func stubbed(t testing.TB) (chat func()) {
	client, err := New(Options{BaseURL: "http://endpoint.test/v1", APIKey: testKey, Transport: canned(whole(lines(1200)))})
	if err != nil {
		t.Fatal(err)
	}
	req := &llm.Request{
		Model: "m", Messages: []llm.Message{{Author: llm.System, Text: lines(200)}, {Author: llm.User, Text: lines(2000)}},
		IdempotencyKey: "run_1/T1/1", CacheKey: "run_1",
	}
	return func() {
		if _, err := client.Chat(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
}

// A canned transport answers at once.
type canned string

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	_ = req.Body.Close()
	body := &ended{Reader: strings.NewReader(string(c))}
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, Body: body, Request: req}, nil
}

// An ended body says so with its last bytes, as net/http's do.
type ended struct{ *strings.Reader }

func (e *ended) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if e.Len() == 0 {
		err = io.EOF
	}
	return n, err
}

func (*ended) Close() error { return nil }
