package api

import (
	"net/http"
	"strings"
	"testing"
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
