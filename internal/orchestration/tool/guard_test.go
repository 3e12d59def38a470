package tool

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Addresses that are not public are refused however they are written.
func TestItGoesNowhereInside(t *testing.T) {
	var asked atomic.Bool
	hear := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) })
	plain, secure := httptest.NewServer(hear), httptest.NewTLSServer(hear)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	t.Setenv("HTTPS_PROXY", plain.URL) // it must be passed by
	_, port, _ := net.SplitHostPort(secure.Listener.Addr().String())
	for _, url := range []string{
		secure.URL, "https://localhost:" + port, "https://[::1]:" + port, "https://[::ffff:127.0.0.1]:" + port, "https://0.0.0.0:" + port,
		"https://10.0.0.1/", "https://192.168.1.1/", "https://100.64.0.1/", "https://169.254.169.254/latest/meta-data", "https://[fe80::1]/",
		"https://[fd00:ec2::254]/", "https://[64:ff9b::7f00:1]/",
	} {
		c := here(url)
		c.AllowPrivate = nil
		s, seen := open(t, c)
		_, failure := s.Call(t.Context(), "web", nil, "")
		want(t, failure, orchestration.CodeToolFailed, false, "not a public one")
		if seen.last() != "web prohibited" {
			t.Error(url, seen.last())
		}
	}
	if asked.Load() {
		t.Error("a server on this machine was asked")
	}
}

// What is allowed is a host: another name for the same place is not, and the
// name leads to private networks alone, not to where clouds keep credentials.
func TestOnlyWhatIsNamedIsReached(t *testing.T) {
	url := website(t, func(http.ResponseWriter, *http.Request) {})
	port := url[strings.LastIndex(url, ":"):]
	for _, tt := range []struct {
		host, allow string
		at          [4]byte // where names lead to
		want        string
	}{
		{host: "tools.internal", allow: "Tools.Internal.", at: [4]byte{127, 0, 0, 1}},
		{host: "TOOLS.internal.", allow: "tools.internal", at: [4]byte{127, 0, 0, 1}},
		{host: "tools.internal", allow: "other.internal", at: [4]byte{127, 0, 0, 1}, want: "prohibited IP"},
		{host: "tools.internal", allow: "127.0.0.1", at: [4]byte{127, 0, 0, 1}, want: "prohibited IP"},
		{host: "tools.internal", allow: "tools.internal", at: [4]byte{169, 254, 169, 254}, want: "prohibited IP"},
		{host: "127.0.0.1", allow: "127.0.0.1"},
		{host: "127.0.0.2", allow: "127.0.0.1", want: "prohibited IP"},
		{host: "127.0.0.1", allow: "127.0.0.0", want: "prohibited IP"},
	} {
		g := newGuard([]string{tt.allow})
		g.public.Resolver = resolverTo(t, tt.at)
		for _, d := range g.private {
			d.Resolver = g.public.Resolver
		}
		conn, err := g.DialContext(t.Context(), "tcp", tt.host+port)
		if err == nil {
			_ = conn.Close()
		}
		if got := fmt.Sprint(err); (err == nil) != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s with %s allowed: %v", tt.host, tt.allow, err)
		}
	}
}

// resolverTo asks a name server of ours, for which every name is that address.
func resolverTo(t *testing.T, ip [4]byte) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan bool)
	t.Cleanup(func() { _ = server.Close(); <-served })
	go func() {
		defer close(served)
		packet := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(packet[:n]) != nil {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}, Body: &dnsmessage.AResource{A: ip},
				}}
			}
			answer, _ := m.Pack()
			_, _ = server.WriteTo(answer, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func TestRedirects(t *testing.T) {
	var headers http.Header
	end := website(t, func(w http.ResponseWriter, r *http.Request) {
		headers = r.Header
		_, _ = w.Write([]byte("the end"))
	})
	end = strings.Replace(end, "127.0.0.1", "localhost", 1)
	leads := map[string]string{"/there": end, "/inside": "http://169.254.169.254/", "/with-password": strings.Replace(end, "//", "//a:b@", 1), "/round": "/round"}
	url := website(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", leads[r.URL.Path])
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	for _, tt := range []struct {
		path, method string
		hosts        []string
		want         string
	}{
		{"/there", "GET", []string{"localhost"}, ""},
		{"/there", "GET", nil, "redirects are not followed"},
		{"/there", "POST", []string{"localhost"}, "redirects are not followed"},
		{"/there", "GET", []string{"example.com"}, "redirects to where it may not"},
		{"/inside", "GET", []string{"localhost"}, "redirects to where it may not"},
		{"/inside", "GET", []string{"169.254.169.254"}, "not a public one"},
		{"/with-password", "GET", []string{"localhost"}, "redirects to where it may not"},
		{"/round", "GET", []string{"127.0.0.1"}, "redirects to where it may not"},
	} {
		c := here(url + tt.path)
		c.AllowPrivate = append(c.AllowPrivate, "localhost")
		c.HTTP.Method, c.HTTP.AllowedHosts = tt.method, tt.hosts
		c.HTTP.Headers["X-Api-Key"] = Value{Secret: secretText}
		headers = nil
		s, _ := open(t, c)
		got, failure := s.Call(t.Context(), "web", nil, "run_1/subtask/T1")
		if tt.want != "" {
			want(t, failure, orchestration.CodeToolFailed, false, tt.want)
			continue
		}
		if failure != nil || got != "the end" {
			t.Errorf("%s: got %q, %+v", tt.path, got, failure)
		}
		for name := range headers {
			if name == "Authorization" || name == "X-Api-Key" || name == "Idempotency-Key" || name == "Referer" {
				t.Errorf("%s went to another host", name)
			}
		}
	}
}
