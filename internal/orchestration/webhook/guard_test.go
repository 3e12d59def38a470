package webhook

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// here is this machine.
var here = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// deliver tries once over the real network.
func deliver(t *testing.T, url string, dialer *net.Dialer) verdict {
	t.Helper()
	of, err := newSigner([]string{newSecret})
	if err != nil {
		t.Fatal(err)
	}
	s := &Sender{signers: map[string]signer{"acme": of}, transport: newTransport(dialer)}
	return s.post(t.Context(), orchestration.Delivery{ID: "msg", Tenant: "acme", URL: url})
}

func TestItGoesNowhereInside(t *testing.T) {
	var asked atomic.Bool
	hear := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) })
	plain, secure := httptest.NewServer(hear), httptest.NewTLSServer(hear)
	defer plain.Close()
	defer secure.Close()
	t.Setenv("HTTPS_PROXY", plain.URL) // it must be passed by
	t.Setenv("HTTP_PROXY", plain.URL)
	_, port, _ := strings.Cut(strings.TrimPrefix(secure.URL, "https://"), ":")
	const inside = "the address is not a public one"
	for url, want := range map[string]string{
		plain.URL:                                  inside,
		secure.URL:                                 inside,
		"https://localhost:" + port:                inside,
		"https://[::1]:" + port:                    inside,
		"https://[::ffff:127.0.0.1]:" + port:       inside,
		"https://0.0.0.0:" + port:                  inside,
		"https://10.0.0.1/":                        inside,
		"https://192.168.1.1/":                     inside,
		"https://100.64.0.1/":                      inside,
		"https://169.254.169.254/latest/meta-data": inside,
		"https://[fe80::1]/":                       inside,
		"https://[fd00:ec2::254]/":                 inside,
		"https://[64:ff9b::7f00:1]/":               inside,
		"http://169.254.169.254/latest/meta-data":  "not an https address",
	} {
		if v := deliver(t, url, newDialer(nil)); v.fault != want {
			t.Errorf("%s: %+v", url, v)
		}
	}
	if asked.Load() {
		t.Error("a server on this machine was asked")
	}
}

func TestANameThatLeadsInsideIsRefused(t *testing.T) {
	dialer := newDialer(nil)
	dialer.Resolver = resolverTo(t, [4]byte{127, 0, 0, 1})
	if v := deliver(t, "https://hooks.example.org/", dialer); v.fault != "the address is not a public one" {
		t.Errorf("%+v", v)
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
	t.Cleanup(func() { server.Close(); <-served })
	go func() {
		defer close(served)
		query := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(query)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(answerTo(query[:n], ip), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// answerTo answers a question of DNS: for an address with ip, else with nothing.
func answerTo(query []byte, ip [4]byte) []byte {
	const header = 12
	name := bytes.IndexByte(query[header:], 0) + 1
	question := query[header : header+name+4]
	answer := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if question[name+1] == 1 { // of type A
		answer[7] = 1
		answer = append(answer, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
		answer = append(answer, ip[:]...)
	}
	return answer
}

func TestWhatIsAllowedIsReached(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if v := deliver(t, server.URL, newDialer(here)); v.status != 404 {
		t.Errorf("%+v", v)
	}
	dialer := newDialer(here)
	dialer.Resolver = resolverTo(t, [4]byte{10, 0, 0, 1})
	if v := deliver(t, "https://hooks.example.org/", dialer); v.fault != "the address is not a public one" {
		t.Errorf("what else is private: %+v", v)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var asked atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer inside.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(inside.URL, code))
		v := deliver(t, server.URL, newDialer(here))
		server.Close()
		if v.status != code || !strings.Contains(v.fault, "redirects are not followed") || v.final {
			t.Errorf("%+v", v)
		}
	}
	if asked.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	if v := deliver(t, server.URL, newDialer(here)); v.status != 0 || !strings.Contains(v.fault, "no TLS") {
		t.Errorf("%+v", v)
	}
}

func TestAnswersAreReadUpToABound(t *testing.T) {
	const most = 64 << 20 // far more than what lies in buffers on the way
	sent := make(chan int, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n, chunk := 0, make([]byte, 64<<10)
		for n < most {
			m, err := w.Write(chunk)
			n += m
			if err != nil {
				break
			}
		}
		sent <- n
	}))
	defer server.Close()
	if v := deliver(t, server.URL, newDialer(here)); v.status != 200 || v.fault != "" {
		t.Errorf("%+v", v)
	}
	if n := <-sent; n >= most {
		t.Errorf("%d bytes were taken", n)
	}
}

func TestNobodyThere(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	if v := deliver(t, server.URL, newDialer(here)); v.fault != "no connection" || v.final {
		t.Errorf("%+v", v)
	}
}
