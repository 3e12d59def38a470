package webhook

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"code.dny.dev/ssrf"
)

// newDialer returns a dialer that connects to the public internet only, and to
// what else is allowed. Each address is judged as it is dialed, after its name
// was resolved: a name that changes its mind changes nothing.
func newDialer(allow []netip.Prefix) *net.Dialer {
	var v4, v6 []netip.Prefix
	for _, p := range allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithNetworks("tcp4", "tcp6"),
		ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	return &net.Dialer{Timeout: 5 * time.Second, Control: guard.Safe}
}

func newTransport(dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // it would connect for us, unguarded
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true, // callers' hosts are not worth keeping
		DisableCompression:     true, // nobody reads what is in it
		ForceAttemptHTTP2:      true,
	}
}

// allowed reports whether a delivery may go to that address, whatever it
// resolves to: by https, or to this machine, where the guard lets it.
func allowed(target *url.URL) bool {
	if target.User != nil || target.Hostname() == "" {
		return false
	}
	return target.Scheme == "https" || target.Scheme == "http" && loopback(target.Hostname())
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
