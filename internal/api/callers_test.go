package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A caller may ask for an output on conditions, and for several parts of it; a unit of ranges
// that nobody knows is not taken for a range that is not there.
func TestOutputOnConditions(t *testing.T) {
	c := serve(t, nil)
	id := c.do("POST", "/v1/runs", `{"task":"t","plan":{"subtasks":[{"description":"d"}]}}`, "Prefer", "wait=10").is(http.StatusOK).run().Id
	path := "/v1/runs/" + id + "/subtasks/T1/output"
	etag := c.do("GET", path, "").is(http.StatusOK).header.Get("ETag")
	c.do("GET", path, "", "If-Match", etag).is(http.StatusOK)
	c.do("GET", path, "", "If-Match", `"other"`).problem(http.StatusPreconditionFailed, codeInvalidRequest)
	if r := c.do("GET", path, "", "If-None-Match", etag).is(http.StatusNotModified); r.header.Get("ETag") != etag || len(r.body) > 0 {
		t.Errorf("headers %v, body %q", r.header, r.body)
	}
	if r := c.do("GET", path, "", "Range", "bytes=0-1,3-4").is(http.StatusPartialContent); !strings.Contains(string(r.body), "Content-Range: bytes 3-4/12") {
		t.Errorf("parts %q", r.body)
	}
	if r := c.do("GET", path, "", "Range", "lines=1-2").is(http.StatusOK); string(r.body) != "output of T1" {
		t.Errorf("%q", r.body)
	}
	if r := c.do("GET", path, "", "Range", "bytes=99-"); r.header.Get("Content-Range") != "bytes */12" {
		t.Errorf("headers %v", r.header)
	}
}

// A body of a length that is not told may be empty all the same.
func TestEmptyBodiesOfUnknownLength(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	id := c.start(`{"task":"t"}`)
	for path, status := range map[string]int{"/v1/runs": http.StatusBadRequest, "/v1/runs/" + id + "/cancel": http.StatusAccepted} {
		for _, media := range []string{"", "application/json"} {
			r := c.request("POST", path, "", "Content-Type", media, "Prefer", "wait=0")
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), -1
			answer, err := c.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode != status || status == http.StatusBadRequest && !strings.Contains(string(body), "needs a body") {
				t.Errorf("%s, %q: status %d: %s", path, media, answer.StatusCode, body)
			}
		}
	}
}

// A driver whose runs end in the moment in which they are to be canceled.
type tooLate struct{ *world }

func (d tooLate) Cancel(_ context.Context, run, _ string) error {
	d.release(run)
	return orchestration.ErrNotFound
}

// A cancel that comes a moment too late is answered as one that comes later.
func TestCancelAMomentTooLate(t *testing.T) {
	c := serve(t, func(o *Options, w *world) { w.held, o.Driver = true, tooLate{w} })
	id := c.start(`{"task":"t"}`)
	for range 2 {
		c.do("POST", "/v1/runs/"+id+"/cancel", "").problem(http.StatusConflict, codeConflict)
	}
}

// A server that is about to stop does not say that it has too much to do.
func TestWhatAServerThatStopsSays(t *testing.T) {
	draining := make(chan struct{})
	c := serve(t, func(o *Options, w *world) { w.full, o.Draining = orchestration.ErrOverloaded, draining })
	for _, want := range []string{"As many runs", "about to stop"} {
		if p := c.do("POST", "/v1/runs", `{"task":"t"}`).problem(http.StatusServiceUnavailable, codeOverloaded); !strings.Contains(p.Detail, want) {
			t.Errorf("it says: %s", p.Detail)
		}
		if want == "As many runs" {
			close(draining)
		}
	}
}

// What is wrong with a parameter is said in words that help.
func TestFaultsOfParametersSayWhatToWrite(t *testing.T) {
	c := serve(t, nil)
	for query, want := range map[string]string{
		"label=x": "key:value",
		"created_after=2026-11-20T09:00:00+01:00": "2026-11-20T09:00:00Z",
	} {
		if p := c.do("GET", "/v1/runs?"+query, "").is(http.StatusBadRequest); !strings.Contains(string(p.body), want) {
			t.Errorf("%s: %s", query, p.body)
		}
	}
	p := c.do("POST", "/v1/runs", `{"task":"t"}`, "Idempotency-Key", "schlüssel").problem(http.StatusBadRequest, codeInvalidRequest, "header/Idempotency-Key")
	if !strings.Contains(p.Detail, "must be ASCII") {
		t.Errorf("the key: %s", p.Detail)
	}
}
