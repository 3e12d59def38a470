package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest holds the decoding of requests to what it promises: never a
// panic, never a 5xx, every refusal a problem with its faults, and whatever is
// accepted is JSON that the standard library reads the same way.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"task":"t"}`, `{"task":"t","plan":{"subtasks":[{"id":"a","depends_on":["a"]}]}}`, `{"task":"t","limits":{"timeout":"9999999h"}}`,
		`{"task":"t","attachments":[{"name":"a","data":"` + png + `"}]}`, `{"task":"t","context":{"a":[1e5,{"b":null}]}}`,
		`{"task":"t","task":"u"}`, wholeLanguage, `{"task":"t","plan":` + wholeLanguage + `}`, "{\"task\":\"\xff\"}", `[[[[`, `{"workflow":{}}`, `{"task":"t","labels":{"a":"b"},"priority":11}`, "\ufeff{}",
	} {
		f.Add([]byte(seed))
	}
	handler := New(Options{Driver: newWorld(nil), Reader: newWorld(nil), Defaults: testDefaults()}).ServeHTTP
	f.Fuzz(func(t *testing.T, body []byte) {
		raw, value, err := readStrict(bytes.NewReader(body), true)
		var p *Problem
		switch {
		case err == nil:
			var same any
			d := json.NewDecoder(bytes.NewReader(raw))
			d.UseNumber()
			if err := d.Decode(&same); err != nil {
				t.Fatalf("accepted %q, which is not JSON: %v", body, err)
			}
			if a, b := toJSON(t, value), toJSON(t, same); a != b {
				t.Fatalf("read %s as %s", b, a)
			}
			if len(body) > maxBody+maxData {
				t.Fatal("too large")
			}
		case !errors.As(err, &p):
			t.Fatalf("%v is no problem", err)
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/v1/plans/validate", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		handler(w, r)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		r = httptest.NewRequest(http.MethodPost, "/v1/runs", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w = httptest.NewRecorder()
		acceptOnly(w, r)
		if w.Code >= 500 || (w.Code >= 400) != strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

// acceptOnly serves requests whose runs never start.
var acceptOnly = func() http.HandlerFunc {
	w := newWorld(nil)
	w.fail = problem(codeRateLimited, "no run is started here").with(http.StatusTooManyRequests)
	return New(Options{Driver: w, Reader: w, Defaults: testDefaults()}).ServeHTTP
}()

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func FuzzParameters(f *testing.F) {
	for _, seed := range []string{"limit=1", "cursor=" + cursorAfter("run_1"), "label=a:b&label=c:", "status=queued", "created_after=2026-01-01T00:00:00%2b01:00", "%", "limit=99999999999999999999"} {
		f.Add(seed, "wait=5, respond-async", "application/json;q=0.3, */*")
	}
	w := newWorld(nil)
	handler := New(Options{Driver: w, Reader: w, Defaults: testDefaults()}).ServeHTTP
	f.Fuzz(func(t *testing.T, query, prefer, accept string) {
		r := httptest.NewRequest(http.MethodGet, "/v1/runs", http.NoBody)
		r.URL.RawQuery = query
		r.Header.Set("Prefer", prefer)
		r.Header.Set("Accept", accept)
		answer := httptest.NewRecorder()
		handler(answer, r)
		if answer.Code >= 500 || !json.Valid(answer.Body.Bytes()) {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
		if wait, ok := preferredWait(r); ok && (wait < 0 || wait > maxWait) {
			t.Fatalf("waits %v", wait)
		}
	})
}
