package main

import (
	"net/http"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tmaxmax/go-sse"
)

// Readers that do not read hold up neither the run nor another reader, and have
// missed nothing when they come again.
func TestReadersThatDoNotRead(t *testing.T) {
	const readers = 3
	r := launch(t, func(c *Config) { c.Journal = "sqlite:" + filepath.Join(t.TempDir(), "tutti.db") }).untilReady()
	// More than all buffers of a connection hold: six megabytes.
	const body = `{"task": "Write much [[sim subtasks=100 out=60000]]"}`
	var slow []*http.Response
	first := r.open("POST", "/v1/runs", body, "Accept: text/event-stream")
	defer func() { _ = first.Body.Close() }()
	path := first.Header.Get("Location")
	for range readers {
		resp := r.open("GET", path, "", "Accept: text/event-stream")
		t.Cleanup(func() { _ = resp.Body.Close() })
		slow = append(slow, resp) //nolint:bodyclose // it is closed with the test
	}
	types := r.events("GET", path, "")
	if last := types[len(types)-1]; last != "run.succeeded" {
		t.Fatalf("the last event of one who reads is %s", last)
	}
	for _, resp := range slow {
		last, seen := "", 0
		take := func(resp *http.Response, most int) {
			for e, err := range sse.Read(resp.Body, nil) {
				if err != nil { // it was cut off by now
					return
				}
				seen++
				if last = e.LastEventID; last != strconv.Itoa(seen) {
					t.Fatalf("event %s came as number %d", last, seen)
				}
				if seen == most {
					return
				}
			}
		}
		take(resp, 50)
		again := r.open("GET", path, "", "Accept: text/event-stream", "Last-Event-ID: "+last)
		take(again, len(types))
		_ = again.Body.Close()
		if seen != len(types) {
			t.Errorf("a reader that came again has %d of %d events", seen, len(types))
		}
	}
}
