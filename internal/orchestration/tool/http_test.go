package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), body)
}

func TestWhereArgumentsGo(t *testing.T) {
	const all = `{"type":"object","properties":{"city":{},"units":{},"n":{},"tags":{}},"required":["city"]}`
	url := website(t, echo)
	for name, tt := range map[string]struct {
		http      HTTP
		arguments string
		want      string
	}{
		"none":                 {HTTP{URL: "/a?x=1"}, `{"city":null}`, "GET /a?x=1  "},
		"in the path":          {HTTP{URL: "/a/{city}/b"}, `{"city":"São Paulo/x?y#z%"}`, "GET /a/S%C3%A3o%20Paulo%2Fx%3Fy%23z%25/b  "},
		"in the query":         {HTTP{URL: "/a?c={city}&u={units}&k=v"}, `{"city":"a&b=c d","units":true}`, "GET /a?c=a%26b%3Dc+d&u=true&k=v  "},
		"left out":             {HTTP{URL: "/a?u={units}&c={city}"}, `{"city":7,"units":null}`, "GET /a?c=7  "},
		"within a value":       {HTTP{URL: "/a?q=in:{city},all"}, `{"city":"x"}`, "GET /a?q=in:x,all  "},
		"the rest, of a GET":   {HTTP{URL: "/{city}?k=v"}, `{"city":"x","tags":["a",2],"n":1.50,"units":null}`, "GET /x?k=v&n=1.50&tags=a&tags=2  "},
		"the rest, of a POST":  {HTTP{URL: "/{city}", Method: "POST"}, `{"city":"x","n":12345678901234567890,"tags":[{"a":null}]}`, `POST /x application/json {"n":12345678901234567890,"tags":[{"a":null}]}`},
		"no rest, of a PUT":    {HTTP{URL: "/{city}", Method: "PUT"}, `{"city":"x"}`, `PUT /x application/json {}`},
		"a POST without body":  {HTTP{URL: "/", Method: "POST", Body: BodyNone}, `{"city":"x"}`, "POST /?city=x  "},
		"a DELETE":             {HTTP{URL: "/{city}", Method: "DELETE"}, `{"city":"x","n":1}`, "DELETE /x?n=1  "},
		"a DELETE with a body": {HTTP{URL: "/{city}", Method: "DELETE", Body: BodyJSON}, `{"city":"x","n":1}`, `DELETE /x application/json {"n":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			c := here("")
			tt.http.URL = url + tt.http.URL
			c.HTTP, c.Schema = &tt.http, json.RawMessage(all)
			s, seen := open(t, c)
			got, failure := s.Call(t.Context(), "web", json.RawMessage(tt.arguments), "")
			if failure != nil || got != tt.want || seen.last() != "web ok" {
				t.Errorf("got %q, %+v, %s", got, failure, seen.last())
			}
		})
	}
}

// What the operator has written into the query stands: no argument can be beside it.
func TestTheQueryThatStands(t *testing.T) {
	url := website(t, echo)
	c := here(url + "/a?role=guest&q={q}&a%20b=1")
	c.Schema = json.RawMessage(`{"type":"object","properties":{"q":{}}}`)
	s, seen := open(t, c)
	for _, arguments := range []string{`{"role":"admin"}`, `{"role":["admin"]}`, `{"a b":2}`} {
		_, failure := s.Call(t.Context(), "web", json.RawMessage(arguments), "")
		want(t, failure, orchestration.CodeOutputInvalid, false, "it stands in the address")
		if seen.last() != "web invalid_arguments" {
			t.Error(seen.last())
		}
	}
	if got, failure := s.Call(t.Context(), "web", json.RawMessage(`{"q":"x","n":1,"role":null}`), ""); failure != nil || !strings.HasPrefix(got, "GET /a?role=guest&q=x&a%20b=1&n=1 ") {
		t.Errorf("got %q, %+v", got, failure)
	}
}

func TestArgumentsThatDoNotSuit(t *testing.T) {
	url := website(t, func(http.ResponseWriter, *http.Request) { t.Error("it was asked") })
	c := here(url + "/{city}/x")
	c.Schema = json.RawMessage(`{"type":"object","properties":{"city":{"type":["string","array"]},"n":{"type":"integer","maximum":9}},"required":["city"],"additionalProperties":false}`)
	s, seen := open(t, c)
	for arguments, detail := range map[string]string{
		``: "missing property 'city'", `{}`: "missing property 'city'", `[]`: "want a JSON object", `null`: "want a JSON object", `{`: "not valid JSON", `{} {}`: "want a JSON object",
		`{"city":1}`: "/city: ", `{"city":"a","n":10}`: "/n: ", `{"city":"a","m":1}`: "additional properties", `{"city":"a","city":"b"}`: "twice",
		`{"city":[]}`: "/city: want a text", `{"city":""}`: "/city: it cannot stand in a path", `{"city":".."}`: "cannot stand", `{"city":"../admin"}`: "cannot stand",
		`{"city":"a\\..\\b"}`: "cannot stand", `{"city":"a\r\nb"}`: "cannot stand", "{\"city\":\"\xff\"}": "not valid JSON",
		`{"city":"` + strings.Repeat("x", maxURL) + `"}`:                     "too long",
		`{"city":"` + strings.Repeat("x", maxArguments) + `"}`:               "more than",
		`{"city":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}`: "deeper than",
		`{"city":[1e9999999]}`: "too large",
		`{"n":"` + strings.Repeat("long", 500) + `","city":"x"}`: "/n: ",
	} {
		_, failure := s.Call(t.Context(), "web", json.RawMessage(arguments), "")
		want(t, failure, orchestration.CodeOutputInvalid, false, detail)
		if seen.last() != "web invalid_arguments" {
			t.Error(seen.last())
		}
	}
	_, failure := s.Call(t.Context(), "gone", nil, "")
	want(t, failure, orchestration.CodeOutputInvalid, false, "no tool of that name")
	if len(seen.seen) > 0 && strings.HasPrefix(seen.last(), "gone") {
		t.Error("a name that a model invented was observed")
	}
}

func TestHeaders(t *testing.T) {
	url := website(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %q %q", r.Header.Get("X-Plain"), r.UserAgent(), r.Header.Get("Idempotency-Key"), r.Header.Get("X-Once"))
		if r.Header.Get("Authorization") != "Bearer "+secretText {
			t.Errorf("authorized by %q", r.Header.Get("Authorization"))
		}
	})
	for _, tt := range []struct{ header, key, want string }{
		{"", "run_1/subtask/T1/1", `"run_1/subtask/T1/1" ""`},
		{"", "", `"" ""`},
		{"x-once", "k", `"" "k"`},
		{"none", "k", `"" ""`},
		{"", "a\r\nb", `"18745f36a05e29072709042d6062ce54f1b08ff36c27ba80c39f81fb010c8ce2" ""`}, // no header can hold it
	} {
		c := here(url)
		c.HTTP.Headers["X-Plain"] = Value{Plain: "v"}
		c.HTTP.IdempotencyHeader = tt.header
		s, _ := open(t, c)
		got, failure := s.Call(t.Context(), "web", nil, tt.key)
		if failure != nil || got != "v tutti "+tt.want {
			t.Errorf("got %q, %+v", got, failure)
		}
	}
}

func TestWhatAnswersMean(t *testing.T) {
	soon := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	for name, tt := range map[string]struct {
		status  int
		after   string
		body    string
		outcome Outcome
		code    orchestration.Code
		retry   bool
		wait    [2]time.Duration // from, to
		detail  string
	}{
		"text":              {status: 200, body: "fine", outcome: OK},
		"nothing":           {status: 204, outcome: OK},
		"as much as may be": {status: 201, body: strings.Repeat("x", 1000), outcome: OK},
		"too much":          {status: 200, body: strings.Repeat("x", 1001), outcome: TooLarge, code: orchestration.CodeOutputTooLarge, detail: "more than 1000 bytes"},
		"no text":           {status: 200, body: "\xff\xfe", outcome: Unreadable, detail: "no text"},
		"moved":             {status: 302, outcome: Refused, detail: "status 302: redirects are not followed"},
		"not found":         {status: 404, body: `{"error": "no such\n  city"}`, outcome: Refused, detail: `status 404: {"error": "no such\n city"}`},
		"a page":            {status: 404, body: "<html>", outcome: Refused, detail: "status 404"},
		"not allowed":       {status: 401, body: "bad key hunter2", outcome: Refused, detail: "status 401"},
		"an echo":           {status: 400, body: "what is Bearer " + secretText + "?", outcome: Refused, detail: "what is Bearer (secret)?"},
		"a long story":      {status: 422, body: strings.Repeat("é", 9000), outcome: Refused, detail: "status 422: é"},
		"timeout":           {status: 408, outcome: Unavailable, retry: true, detail: "status 408"},
		"early":             {status: 425, outcome: Unavailable, retry: true},
		"rate":              {status: 429, after: "7", outcome: RateLimited, retry: true, wait: [2]time.Duration{7 * time.Second, 7 * time.Second}},
		"rate, by a date":   {status: 429, after: soon, outcome: RateLimited, retry: true, wait: [2]time.Duration{time.Second, 90 * time.Second}},
		"rate, for a day":   {status: 503, after: "86400", outcome: Unavailable, retry: true, wait: [2]time.Duration{time.Hour, time.Hour}},
		"rate, for long":    {status: 503, after: "9223372036854775807", outcome: Unavailable, retry: true, wait: [2]time.Duration{time.Hour, time.Hour}},
		"rate, before now":  {status: 503, after: "-5", outcome: Unavailable, retry: true},
		"rate, in words":    {status: 503, after: "soon", outcome: Unavailable, retry: true},
		"final, and waits":  {status: 400, after: "7", outcome: Refused},
		"broken":            {status: 500, body: "oops", outcome: Unavailable, retry: true, detail: "status 500: oops"},
	} {
		t.Run(name, func(t *testing.T) {
			c := here(website(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.after != "" {
					w.Header().Set("Retry-After", tt.after)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			c.MaxBytes = 1000
			s, seen := open(t, c)
			got, failure := s.Call(t.Context(), "web", nil, "")
			if seen.last() != "web "+string(tt.outcome) {
				t.Error(seen.last())
			}
			if tt.outcome == OK {
				if got != tt.body || failure != nil {
					t.Errorf("got %q, %+v", got, failure)
				}
				return
			}
			if tt.code == "" {
				tt.code = orchestration.CodeToolFailed
			}
			want(t, failure, tt.code, tt.retry, tt.detail)
			if failure.RetryAfter < tt.wait[0] || failure.RetryAfter > tt.wait[1] {
				t.Errorf("to be tried again after %s", failure.RetryAfter)
			}
			if strings.Contains(failure.Detail, "hunter2") || strings.Contains(failure.Detail, "<") {
				t.Errorf("the detail says too much: %s", failure.Detail)
			}
		})
	}
}

func TestAnAnswerDoesNotGiveTheSecretAway(t *testing.T) {
	s, _ := open(t, here(website(t, func(w http.ResponseWriter, r *http.Request) { _ = r.Header.Write(w) })))
	got, failure := s.Call(t.Context(), "web", nil, "")
	if failure != nil || !strings.Contains(got, "Authorization: Bearer (secret)") || strings.Contains(got, secretText) {
		t.Errorf("got %q, %+v", got, failure)
	}
	if text := fmt.Sprintf("%v %+v %#v", here(""), here(""), here("").HTTP.Headers); strings.Contains(text, secretText) {
		t.Errorf("the configuration shows it: %s", text)
	}
}

func TestTime(t *testing.T) {
	free := make(chan struct{})
	arrived := make(chan struct{}, 8)
	url := website(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/midway" {
			_, _ = io.WriteString(w, "some")
			w.(http.Flusher).Flush()
		}
		arrived <- struct{}{}
		select {
		case <-free:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(free) })
	for _, path := range []string{"/", "/midway"} {
		c := here(url + path)
		c.Timeout = 50 * time.Millisecond
		s, seen := open(t, c)
		_, failure := s.Call(t.Context(), "web", nil, "")
		want(t, failure, orchestration.CodeToolFailed, true, "did not answer within 50ms")
		if seen.last() != "web timeout" {
			t.Error(seen.last())
		}
		<-arrived

		s, seen = open(t, here(url+path))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, failure = s.Call(ctx, "web", nil, "")
		cancel()
		want(t, failure, orchestration.CodeToolFailed, true, "the tool did not answer before the time of the attempt was up")
		if seen.last() != "web timeout" {
			t.Error(seen.last())
		}
		<-arrived

		s, seen = open(t, here(url+path))
		ctx, cancel = context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		_, failure = s.Call(ctx, "web", nil, "")
		want(t, failure, orchestration.CodeCanceled, false, "given up")
		if seen.last() != "web canceled" {
			t.Error(seen.last())
		}

		go func() { <-arrived; s.Close() }()
		_, failure = s.Call(t.Context(), "web", nil, "")
		want(t, failure, orchestration.CodeCanceled, false, "given up")
	}
}

func TestAClosedSetCallsNothing(t *testing.T) {
	s, _ := open(t, here(website(t, func(http.ResponseWriter, *http.Request) { t.Error("it was asked") })))
	s.Close()
	s.Close()
	_, failure := s.Call(t.Context(), "web", nil, "")
	want(t, failure, orchestration.CodeCanceled, false, "given up")
}

func TestConnectionsThatBreak(t *testing.T) {
	s, seen := open(t, here(website(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })))
	_, failure := s.Call(t.Context(), "web", nil, "")
	want(t, failure, orchestration.CodeToolFailed, true, "the connection to the tool broke; what it did is not known")
	if seen.last() != "web unavailable" {
		t.Error(seen.last())
	}
	s, _ = open(t, here("http://127.0.0.1:1"))
	_, failure = s.Call(t.Context(), "web", nil, "")
	want(t, failure, orchestration.CodeToolFailed, true, "cannot be reached")
}
