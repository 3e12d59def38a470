package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"code.dny.dev/ssrf"
)

// A Fetcher reads what is at an https address, at most so many bytes.
type Fetcher interface {
	Fetch(ctx context.Context, url string, most int) ([]byte, error)
}

// errRefused is what a Fetcher says of an address that it does not go to.
var errRefused = errors.New("not an https address")

// NewFetcher returns a Fetcher for addresses that callers name: it connects to
// port 443 of the public internet only, whatever a name resolves to and
// wherever a redirect leads, and by no proxy.
func NewFetcher() Fetcher {
	guard := ssrf.New(ssrf.WithPorts(443), ssrf.WithNetworks("tcp4", "tcp6"))
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: guard.Safe}
	return newFetcher(&http.Transport{
		Proxy:                  nil, // it would connect for us, unguarded
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true, // callers' hosts are not worth keeping
		ForceAttemptHTTP2:      true,
	})
}

func newFetcher(transport http.RoundTripper) Fetcher {
	return &fetcher{client: &http.Client{Transport: transport, CheckRedirect: checkRedirect, Timeout: fetchWithin}}
}

type fetcher struct{ client *http.Client }

// checkRedirect follows few redirects, to https addresses only. Their hosts
// are checked as they are dialed.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) >= 4 || r.URL.Scheme != "https" {
		return errRefused
	}
	return nil
}

// Fetch returns the body of a successful answer.
func (f *fetcher) Fetch(ctx context.Context, url string, most int) (data []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	if r.URL.Scheme != "https" || r.URL.User != nil {
		return nil, errRefused
	}
	r.Header.Set("Accept", "image/*")
	r.Header.Set("User-Agent", "tutti")
	response, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	data, err = io.ReadAll(io.LimitReader(response.Body, int64(most)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > most {
		return nil, errors.New("too large")
	}
	return data, nil
}
