package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"code.dny.dev/ssrf"

	"github.com/tutti-run/tutti/internal/orchestration"
)

func TestFetcherGoesNowhereInside(t *testing.T) {
	asked := false
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer inside.Close()
	t.Setenv("HTTPS_PROXY", inside.URL) // it must be passed by
	f := NewFetcher()
	for url, want := range map[string]error{
		inside.URL:                                 ssrf.ErrProhibitedPort,
		"https://127.0.0.1/":                       ssrf.ErrProhibitedIP,
		"https://[::1]/":                           ssrf.ErrProhibitedIP,
		"https://[::ffff:127.0.0.1]/":              ssrf.ErrProhibitedIP,
		"https://0.0.0.0/":                         ssrf.ErrProhibitedIP,
		"https://10.0.0.1/":                        ssrf.ErrProhibitedIP,
		"https://169.254.169.254/latest/meta-data": ssrf.ErrProhibitedIP,
		"https://localhost/":                       ssrf.ErrProhibitedIP,
		"http://example.org/a.png":                 errRefused,
		"https://u:p@example.org/":                 errRefused,
		"file:///etc/passwd":                       errRefused,
		"":                                         errRefused,
	} {
		if _, err := f.Fetch(t.Context(), url, 1000); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", url, err, want)
		}
	}
	if asked {
		t.Error("a server on this machine was asked")
	}
}

func TestFetcherBounds(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/image":
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
		case "/moved":
			http.Redirect(w, r, "/image", http.StatusFound)
		case "/plain":
			http.Redirect(w, r, "http://"+r.Host+"/image", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	f := newFetcher(server.Client().Transport)
	for path, want := range map[string]string{
		"/image": "", "/moved": "", "/plain": errRefused.Error(), "/round": errRefused.Error(), "/none": "status 404",
	} {
		data, err := f.Fetch(t.Context(), server.URL+path, 1000)
		if want == "" && (err != nil || len(data) != 1000) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %d bytes, %v", path, len(data), err)
		}
	}
	if _, err := f.Fetch(t.Context(), server.URL+"/image", 999); err == nil {
		t.Error("more was read than asked for")
	}
}

// A pictureFetcher has the images that it names.
type pictureFetcher map[string]string

func (f pictureFetcher) Fetch(_ context.Context, url string, most int) ([]byte, error) {
	data, ok := f[url]
	if !ok || len(data) > most {
		return nil, errors.New("SECRET host is at 10.0.0.1")
	}
	return []byte(data), nil
}

func TestAttachmentsByURL(t *testing.T) {
	raw, err := base64.StdEncoding.DecodeString(png)
	if err != nil {
		t.Fatal(err)
	}
	c := serve(t, func(o *Options, _ *world) {
		o.Fetcher = pictureFetcher{"https://x.org/a.png": string(raw), "https://x.org/a.html": "<html>"}
	})
	body := func(url string) string {
		return fmt.Sprintf(`{"task":"t","attachments":[{"name":"first","data":%q},{"name":"second","url":%q}]}`, png, url)
	}
	c.start(body("https://x.org/a.png"))
	got := c.world.runs[0]
	if len(got.attachments) != 2 || !bytes.Equal(got.attachments[1], raw) ||
		got.run.Spec.Attachments[1] != (orchestration.Attachment{Name: "second", MediaType: "image/png", Bytes: len(raw)}) {
		t.Errorf("%+v", got.run.Spec.Attachments)
	}
	c.do("POST", "/v1/runs", body("https://x.org/a.html")).problem(422, codeInvalidRequest, "/attachments/1")
	c.do("POST", "/v1/runs", body("http://x.org/a.png")).problem(422, codeInvalidRequest, "/attachments/1/url")
	if p := c.do("POST", "/v1/runs", body("https://y.org/")).problem(422, codeInvalidRequest, "/attachments/1/url"); strings.Contains(p.Detail, "SECRET") {
		t.Errorf("%+v", p)
	}
}
