package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Of a run that cannot be read every endpoint says so, and what to do; it can be
// deleted as long as nobody drives it.
func TestARunThatCannotBeRead(t *testing.T) {
	for name, tc := range map[string]struct {
		why  error
		says string
	}{
		"spoilt": {orchestration.ErrUnreadable, "Delete it"},
		"newer":  {fmt.Errorf("%w: %w", orchestration.ErrUnreadable, orchestration.ErrNewer), "newer version"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := serve(t, func(_ *Options, w *world) { w.held = true })
				id := c.start(`{"task":"t"}`)
				c.world.spoilt, c.world.left = tc.why, true
				began := time.Now()
				for _, path := range []string{"GET ", "GET ?wait=60", "GET /events", "GET /graph", "GET /subtasks/T1/output", "POST /cancel", "POST /fork"} {
					method, path, _ := strings.Cut(path, " ")
					body := map[string]string{"/fork": "{}"}[path]
					p := c.do(method, "/v1/runs/"+id+path, body).problem(http.StatusInternalServerError, codeUnreadableRun)
					if !strings.Contains(p.Detail, tc.says) || p.Retryable {
						t.Errorf("%s%s: %+v", method, path, p)
					}
				}
				if waited := time.Since(began); waited > 0 {
					t.Errorf("waited %v for what will not come", waited)
				}
				c.world.left = false
				c.do("DELETE", "/v1/runs/"+id, "").problem(http.StatusConflict, codeConflict)
				c.world.left = true
				c.do("DELETE", "/v1/runs/"+id, "").is(http.StatusNoContent)
				c.do("GET", "/v1/runs/"+id, "").problem(http.StatusNotFound, codeNotFound)
			})
		})
	}
}

// A cancel that nobody hears is not taken for one that was heard.
func TestCancelOfWhatNobodyDrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(_ *Options, w *world) { w.held, w.left = true, true })
		id := c.start(`{"task":"t"}`)
		c.do("POST", "/v1/runs/"+id+"/cancel", "").problem(http.StatusConflict, codeConflict)
		c.do("DELETE", "/v1/runs/"+id, "").problem(http.StatusConflict, codeConflict)
	})
}

// A run whose last events are lost is there, and cannot be read.
func TestARunWithoutItsEnd(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	id := c.start(`{"task":"t"}`)
	c.world.runs[0].events = c.world.runs[0].events[:1]
	c.do("GET", "/v1/runs/"+id, "").problem(http.StatusInternalServerError, codeUnreadableRun)
}

// Of a run whose end is lost a reader that has seen all there is of it waits in vain, and one
// that has not would come again for ever.
func TestAStreamOfARunWithoutItsEnd(t *testing.T) {
	for _, after := range []string{"0", "1", "2", "3"} {
		t.Run(after, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := serve(t, func(_ *Options, w *world) { w.held = true })
				id := c.start(`{"task":"t"}`)
				c.world.runs[0].events, c.world.left = c.world.runs[0].events[:1], true
				answer, err := c.http.Do(c.request("GET", "/v1/runs/"+id+"/events", "", "Accept", "text/event-stream", "Last-Event-ID", after))
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				if answer.StatusCode != http.StatusInternalServerError {
					t.Errorf("status %d", answer.StatusCode)
				}
			})
		})
	}
}

// A stream of what cannot be read is refused: an EventSource would come again for ever.
func TestAStreamThatCannotBeRead(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	id := c.start(`{"task":"t"}`)
	c.world.spoilt = orchestration.ErrUnreadable
	c.do("GET", "/v1/runs/"+id+"/events", "", "Accept", "text/event-stream").problem(http.StatusInternalServerError, codeUnreadableRun)
}

// A stream is not refused for a journal that is away: a browser would not come again.
func TestAStreamWhileTheJournalIsAway(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held, w.left = true, true })
	id := c.start(`{"task":"t"}`)
	c.world.spoilt = orchestration.ErrUnavailable
	answer := c.follow("/v1/runs/" + id + "/events")
	answer.Body.Close()
}
