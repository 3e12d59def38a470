package tool

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A secret is taken out in whichever form a tool writes what it was sent.
func TestCensor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[ -~é]{5,40}`).Draw(t, "secret")
		around := rapid.SliceOfN(rapid.Byte(), 0, 5)
		sent := append(append(around.Draw(t, "before"), secret...), around.Draw(t, "after")...)
		var plain bytes.Buffer
		e := json.NewEncoder(&plain)
		e.SetEscapeHTML(false)
		_ = e.Encode(secret)
		html, _ := json.Marshal(secret)
		slashed := strings.ReplaceAll(plain.String(), "/", `\/`)
		std := base64.StdEncoding.EncodeToString(sent)
		for form, text := range map[string]string{
			"as it is":               secret,
			"JSON":                   plain.String(),
			"JSON for HTML":          string(html),
			"JSON, as PHP writes it": slashed,
			"a query":                url.QueryEscape(secret),
			"a path":                 url.PathEscape(secret),
			"a query in small hex":   small(url.QueryEscape(secret)),
			"base64":                 std,
			"base64 without its end": base64.RawStdEncoding.EncodeToString(sent),
			"base64 for URLs":        base64.URLEncoding.EncodeToString(sent),
			"base64 in JSON of PHP":  strings.ReplaceAll(std, "/", `\/`),
			"base64 in a query":      url.QueryEscape(std),
		} {
			got := newCensor([]string{secret}).Replace("it is " + text + ".")
			if !strings.Contains(got, "(secret)") || strings.Contains(got, secret) {
				t.Errorf("%s: %q is left of %q", form, got, text)
			}
		}
	})
}

// small has the hexadecimal digits of escapes in small letters.
func small(escaped string) string {
	parts := strings.Split(escaped, "%")
	for i := range parts[1:] {
		parts[i+1] = strings.ToLower(parts[i+1][:2]) + parts[i+1][2:]
	}
	return strings.Join(parts, "%")
}

// Of a secret that begins as another one nothing is left, and of what is no secret
// all is.
func TestCensorOfSeveral(t *testing.T) {
	c := newCensor([]string{"hunter", "hunter2-of-nobody", "ab"})
	for text, want := range map[string]string{
		"hunter2-of-nobody, hunter": "(secret), (secret)",
		"YWI= or %61b":              "YWI= or %61b", // so short a secret would be found in what is none
		"dab":                       "d(secret)",
		"":                          "",
	} {
		if got := c.Replace(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if got := newCensor(nil).Replace("all"); got != "all" {
		t.Errorf("got %q", got)
	}
}

func TestAnEncodedSecretIsNotGivenAway(t *testing.T) {
	s, _ := open(t, here(website(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(base64.StdEncoding.EncodeToString([]byte(r.Header.Get("Authorization")))))
	})))
	got, failure := s.Call(t.Context(), "web", nil, "")
	if failure != nil || !strings.Contains(got, "(secret)") {
		t.Errorf("got %q, %+v", got, failure)
	}
}
