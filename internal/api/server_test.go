package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tutti-run/tutti/internal/orchestration"
)

func TestTenants(t *testing.T) {
	c := serve(t, func(o *Options, _ *world) {
		o.Tenants = map[string][][sha256.Size]byte{
			"a": {sha256.Sum256([]byte("old-key")), sha256.Sum256([]byte("key-a"))},
			"b": {sha256.Sum256([]byte("key-b"))},
		}
	})
	id := c.do("POST", "/v1/runs", `{"task":"t"}`, "Authorization", "Bearer key-a", "Prefer", "wait=9").is(http.StatusOK).run().Id
	for _, r := range [][2]string{
		{"GET", "/v1/runs/" + id},
		{"DELETE", "/v1/runs/" + id},
		{"POST", "/v1/runs/" + id + "/cancel"},
		{"GET", "/v1/runs/" + id + "/events"},
		{"GET", "/v1/runs/" + id + "/graph"},
		{"GET", "/v1/runs/" + id + "/subtasks/T1/output"},
	} {
		theirs := c.do(r[0], r[1], "", "Authorization", "bearer key-b")
		nothing := c.do(r[0], strings.Replace(r[1], id, "run_none", 1), "", "Authorization", "bearer key-b")
		theirs.problem(http.StatusNotFound, codeNotFound)
		if a, b := decode[Problem](theirs), decode[Problem](nothing); a.Detail != b.Detail {
			t.Errorf("%q tells of another tenant's run, %q is said of none", a.Detail, b.Detail)
		}
		for _, wrong := range []string{"", "Bearer", "Bearer key-c", "Basic key-a", "key-a", "Bearer " + fmt.Sprintf("%x", sha256.Sum256([]byte("key-a")))} {
			p := c.do(r[0], r[1], "", "Authorization", wrong)
			p.problem(http.StatusUnauthorized, codeUnauthorized)
			if said := decode[Problem](p).Detail; strings.HasPrefix(wrong, "Bearer ") != strings.Contains(said, "no tenant") {
				t.Errorf("of %q: %s", wrong, said)
			}
			if p.header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
		}
	}
	if page := decode[RunPage](c.do("GET", "/v1/runs", "", "Authorization", "Bearer key-b").is(http.StatusOK)); len(page.Data) != 0 {
		t.Errorf("b sees %+v", page)
	}
	c.do("GET", "/v1/runs/"+id, "", "Authorization", "Bearer old-key").is(http.StatusOK)
	c.do("POST", "/v1/runs", strings.Repeat("x", maxBody+1)).problem(http.StatusUnauthorized, codeUnauthorized) // before anything is read
	for _, open := range []string{"/livez", "/readyz", "/openapi.yaml"} {
		c.do("GET", open, "").is(http.StatusOK)
	}
}

func TestStorageUnavailable(t *testing.T) {
	c := serve(t, nil)
	id := c.do("POST", "/v1/runs", `{"task":"t"}`, "Prefer", "wait=9").is(http.StatusOK).run().Id
	c.world.fail = fmt.Errorf("disk: %w", orchestration.ErrUnavailable)
	for _, r := range [][]string{
		{"POST", "/v1/runs", `{"task":"t"}`},
		{"POST", "/v1/runs", `{"task":"t"}`, "Idempotency-Key", "k"},
		{"GET", "/v1/runs/" + id, ""},
		{"GET", "/v1/runs/" + id + "/events", ""},
		{"GET", "/readyz", ""},
	} {
		if p := c.do(r[0], r[1], r[2], r[3:]...).problem(http.StatusServiceUnavailable, codeStorageUnavailable); !p.Retryable || strings.Contains(p.Detail, "disk") {
			t.Errorf("%+v", p)
		}
	}
	c.do("GET", "/livez", "").is(http.StatusOK)
	c.world.fail = errors.New("secret of the server")
	if p := c.do("GET", "/v1/runs/"+id, "").problem(http.StatusInternalServerError, orchestration.CodeInternal); strings.Contains(p.Detail, "secret") {
		t.Errorf("%+v", p)
	}
}

func TestStandby(t *testing.T) {
	standby := true
	c := serve(t, func(o *Options, _ *world) { o.Standby = func() bool { return standby } })
	c.do("POST", "/v1/runs", `{"task":"t"}`).problem(http.StatusServiceUnavailable, codeStorageUnavailable)
	c.do("GET", "/readyz", "").problem(http.StatusServiceUnavailable, codeStorageUnavailable)
	c.do("GET", "/livez", "").is(http.StatusOK)
	standby = false
	c.do("POST", "/v1/runs", `{"task":"t"}`).is(http.StatusAccepted)
}

func TestPathsAndMethods(t *testing.T) {
	c := serve(t, func(o *Options, _ *world) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			_, _ = w.Write([]byte("tutti_up 1\n"))
		})
	})
	c.do("GET", "/", "").problem(http.StatusNotFound, codeNotFound)
	c.do("GET", "/v1/nothing", "").problem(http.StatusNotFound, codeNotFound)
	c.do("GET", "/v1/runs/", "").problem(http.StatusNotFound, codeNotFound)
	c.do("GET", "/v1/runs/..%2f..%2fetc", "").problem(http.StatusNotFound, codeNotFound)
	for path, allow := range map[string]string{"/v1/runs": "GET HEAD POST OPTIONS", "/v1/runs/x": "GET HEAD DELETE OPTIONS", "/v1/runs/x/cancel": "POST OPTIONS"} {
		r := c.do("PATCH", path, "")
		r.problem(http.StatusMethodNotAllowed, codeInvalidRequest)
		if got := strings.Join(r.header.Values("Allow"), " "); got != allow {
			t.Errorf("%s: Allow %s, want %s", path, got, allow)
		}
		if r := c.do("OPTIONS", path, "").is(http.StatusNoContent); strings.Join(r.header.Values("Allow"), " ") != allow {
			t.Errorf("%s: OPTIONS %v", path, r.header)
		}
	}
	id := c.do("POST", "/v1/runs", `{"task":"t"}`, "Prefer", "wait=9").is(http.StatusOK).run().Id
	if r := c.do("HEAD", "/v1/runs/"+id, "").is(http.StatusOK); len(r.body) > 0 || r.header.Get("Content-Length") == "" {
		t.Errorf("HEAD gave %q, %v", r.body, r.header)
	}
	if r := c.do("HEAD", "/v1/runs/none", "").is(http.StatusNotFound); len(r.body) > 0 {
		t.Errorf("HEAD gave %q", r.body)
	}
	if r := c.do("GET", "/metrics", "").is(http.StatusOK); string(r.body) != "tutti_up 1\n" {
		t.Errorf("%s", r.body)
	}
}

func TestRequestIDAndTraceParent(t *testing.T) {
	c := serve(t, nil)
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r := c.do("GET", "/v1/runs/none", "", "X-Request-Id", "mine-1", "traceparent", trace)
	if p := r.problem(http.StatusNotFound, codeNotFound); p.RequestId != "mine-1" || r.header.Get("traceparent") != trace {
		t.Errorf("%+v %v", p, r.header)
	}
	for _, odd := range []string{"", "a b", strings.Repeat("x", 129), "é"} {
		if r := c.do("GET", "/livez", "", "X-Request-Id", odd, "traceparent", "odd"); r.header.Get("X-Request-Id") == odd || r.header.Get("traceparent") != "" {
			t.Errorf("%q came back: %v", odd, r.header)
		}
	}
}

func TestLogAndMetricsTellNothingOfCallers(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	var seen []string
	c := serve(t, func(o *Options, _ *world) {
		o.Logger = zap.New(core)
		o.Observe = func(route, method string, code int, _ time.Duration) {
			seen = append(seen, fmt.Sprintf("%s %s %d", method, route, code))
		}
		o.Tenants = map[string][][sha256.Size]byte{"acme": {sha256.Sum256([]byte("SECRET-key"))}}
	})
	key := []string{"Authorization", "Bearer SECRET-key"}
	c.do("POST", "/v1/runs", `{"task":"SECRET","labels":{"a":"SECRET"}}`, key...).is(http.StatusAccepted)
	c.do("POST", "/v1/runs", `{"task":"SECRET","x":"SECRET"}`, key...).is(http.StatusBadRequest)
	c.do("GET", "/v1/runs?label=a:SECRET", "", key...).is(http.StatusOK)
	c.do("GET", "/SECRET", "", key...).is(http.StatusNotFound)
	c.do("SECRET", "/v1/runs", "", key...).is(http.StatusMethodNotAllowed)
	want := "POST /v1/runs 202, POST /v1/runs 400, GET /v1/runs 200, GET unmatched 404, other unmatched 405"
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("observed %s", got)
	}
	for _, e := range logs.All() {
		if strings.Contains(fmt.Sprint(e.Message, e.ContextMap()), "SECRET") {
			t.Errorf("logged %s %v", e.Message, e.ContextMap())
		}
	}
	if first := logs.FilterMessage("request").All()[0].ContextMap(); first["tenant"] != "acme" || first["route"] != "/v1/runs" || first["request_id"] == "" {
		t.Errorf("logged %v", first)
	}
}

// A brokenReader fails in a way that nobody expects.
type brokenReader struct{ Reader }

func (brokenReader) Ready(context.Context) error { panic("SECRET") }

func TestPanic(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	c := serve(t, func(o *Options, w *world) { o.Logger, o.Reader = zap.New(core), brokenReader{w} })
	if p := c.do("GET", "/readyz", "").problem(http.StatusInternalServerError, orchestration.CodeInternal); strings.Contains(p.Detail, "SECRET") {
		t.Errorf("%+v", p)
	}
	panics := logs.FilterMessage("panic").All()
	if len(panics) != 1 || panics[0].ContextMap()["panic"] != "string" || panics[0].ContextMap()["stack"] == "" {
		t.Errorf("logged %+v", panics)
	}
	c.do("GET", "/livez", "").is(http.StatusOK)
}
