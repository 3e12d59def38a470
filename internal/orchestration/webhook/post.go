package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"code.dny.dev/ssrf"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tutti-run/tutti/internal/orchestration"
)

const (
	timeout   = 15 * time.Second // of a try, from the host's name to the end of the answer
	maxAnswer = 4 << 10          // bytes of an answer's body that are read, to no other end than to be polite
)

// A message is what a receiver is told: that it should look, not what it will
// see. It is the same at every try.
type message struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"` // of the event
	Data      data      `json:"data"`
}

type data struct {
	RunID  string               `json:"run_id"`
	Seq    int64                `json:"seq"`
	Status orchestration.Status `json:"status"`
}

// post tries a delivery once. Redirects are not followed: that a receiver has
// moved is for its owner to say.
func (s *Sender) post(ctx context.Context, d orchestration.Delivery) verdict {
	signer := s.signers[d.Tenant]
	if len(signer) == 0 {
		return verdict{fault: "the tenant has no webhook secret", final: true}
	}
	target, err := url.Parse(d.URL)
	if err != nil || !allowed(target) {
		return verdict{fault: "not an https address", final: true}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := newRequest(ctx, target, signer, d)
	if err != nil {
		return verdict{fault: "the message cannot be made", final: true}
	}
	answer, err := s.transport.RoundTrip(request)
	if err != nil {
		return verdict{fault: explain(err)}
	}
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	_ = answer.Body.Close() // what is left of it is not waited for
	return judge(answer)
}

func newRequest(ctx context.Context, target *url.URL, signer signer, d orchestration.Delivery) (*http.Request, error) {
	body, err := json.Marshal(message{
		Type: d.Type, Timestamp: d.Time.UTC(), Data: data{RunID: d.Run, Seq: d.Seq, Status: d.Status},
	})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	signature, err := signer.sign(d.ID, now, body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "tutti")
	r.Header.Set(standardwebhooks.HeaderWebhookID, d.ID)
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return r, nil
}

// judge says what an answer means.
func judge(answer *http.Response) verdict {
	v := verdict{status: answer.StatusCode}
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return v
	case code == http.StatusGone:
		v.fault, v.final = "answered with 410: nobody is there any more", true
	case code >= 300 && code < 400:
		v.fault = fmt.Sprintf("answered with %d: redirects are not followed", code)
	default:
		v.fault = fmt.Sprintf("answered with %d", code)
	}
	if answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusServiceUnavailable {
		v.after = retryAfter(answer, time.Now())
	}
	return v
}

// explain says in our words why there was no answer. The error's own hold
// addresses, of the receiver and of what its name resolves to.
func explain(err error) string {
	var name *net.DNSError
	var dial *net.OpError
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork):
		return "the address is not a public one"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer within " + timeout.String()
	case errors.As(err, &name):
		return "the host's name cannot be resolved"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "no connection"
	}
	return "the connection broke, or no TLS could be agreed on"
}
