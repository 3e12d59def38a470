package api

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// countingFetcher has no images. It counts how often it was asked.
type countingFetcher struct{ asked int }

func (f *countingFetcher) Fetch(context.Context, string, int) ([]byte, error) {
	f.asked++
	return nil, errRefused
}

// A server with too much to do says so before it does any more for the request.
func TestRunsBeyondTheRoomAreRefusedFirst(t *testing.T) {
	fetcher, checker := &countingFetcher{}, &countingChecker{}
	c := serve(t, func(o *Options, _ *world) { o.Fetcher, o.Checker = fetcher, checker })
	const body = `{"task":"t"}`
	id := c.start(body, "Idempotency-Key", "k")
	checked := checker.asked

	c.world.mu.Lock()
	c.world.full = fmt.Errorf("no more: %w", orchestration.ErrOverloaded)
	c.world.mu.Unlock()
	for _, refused := range []string{body, `{"task":"t","attachments":[{"name":"a","url":"https://x.org/a.png"}]}`} {
		for _, key := range []string{"", "new"} {
			r := c.do("POST", "/v1/runs", refused, "Idempotency-Key", key)
			r.problem(http.StatusServiceUnavailable, codeOverloaded)
			if r.header.Get("Retry-After") == "" {
				t.Error("it does not say when to come again")
			}
		}
	}
	if fetcher.asked != 0 || checker.asked != checked {
		t.Errorf("%d images were asked for and %d runs checked", fetcher.asked, checker.asked-checked)
	}

	again := c.do("POST", "/v1/runs", body, "Idempotency-Key", "k").is(http.StatusAccepted)
	if again.run().Id != id {
		t.Errorf("the run that there is was not shown, but %s", again.body)
	}
	c.do("POST", "/v1/runs", `{"task":`).problem(http.StatusServiceUnavailable, codeOverloaded) // nobody read it
	c.do("GET", "/v1/runs/"+id, "").is(http.StatusOK)
}

// countingChecker finds nothing. It counts how often it was asked.
type countingChecker struct{ asked int }

func (c *countingChecker) Check(*orchestration.Spec) []Fault {
	c.asked++
	return nil
}
