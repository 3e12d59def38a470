package tool

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// private are the networks that a host which is named as private may be in. The
// link-local ones are not among them, as clouds hand out credentials there.
var (
	privateV4 = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8")
	privateV6 = prefixes("fc00::/7", "::1/128")
)

func prefixes(list ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(list))
	for i, text := range list {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// A guard dials: hosts that are named as private wherever they are, all others at
// public addresses only. Each address is judged as it is dialed, after its name
// was resolved: a name that changes its mind changes nothing.
type guard struct {
	public  *net.Dialer
	private map[string]*net.Dialer
}

func newGuard(private []string) *guard {
	g := &guard{public: newDialer(nil, nil), private: map[string]*net.Dialer{}}
	for _, host := range hosts(private) {
		v4, v6 := privateV4, privateV6
		if ip, err := netip.ParseAddr(host); err == nil {
			v4, v6 = nil, nil
			if one := netip.PrefixFrom(ip, ip.BitLen()); ip.Is4() {
				v4 = []netip.Prefix{one}
			} else {
				v6 = []netip.Prefix{one}
			}
		}
		g.private[host] = newDialer(v4, v6)
	}
	return g
}

func newDialer(v4, v6 []netip.Prefix) *net.Dialer {
	safe := ssrf.New(ssrf.WithAnyPort(), ssrf.WithNetworks("tcp4", "tcp6"),
		ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	return &net.Dialer{Timeout: 10 * time.Second, Control: safe.Safe}
}

// DialContext connects to a host and port.
func (g *guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if d := g.private[hostOf(host)]; d != nil {
		return d.DialContext(ctx, network, address)
	}
	return g.public.DialContext(ctx, network, address)
}

func newTransport(g *guard) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // it would connect for us, unguarded
		DialContext:            g.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        time.Minute,
		ForceAttemptHTTP2:      true,
	}
}

// hostOf is a host as it is compared.
func hostOf(host string) string {
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func hosts(list []string) []string {
	all := make([]string, len(list))
	for i, host := range list {
		all[i] = hostOf(host)
	}
	return all
}
