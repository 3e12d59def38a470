// Package webhook delivers what the outbox holds: it tells receivers that
// their runs ended, or wait for a person, by the Standard Webhooks scheme.
//
// A message is delivered at least once. It is sent again when its receiver
// does not answer with 2xx, and also when the process dies, or the storage
// fails, between the answer and the note of it; always under the same
// webhook-id, by which a receiver knows what it has seen. Messages may come in
// another order than their events: seq says which is the later one.
//
// One loop reads what is due and starts tries, each in a goroutine of its own:
// so many at once, and few of them to the same host or of the same tenant, so
// that one slow receiver stops nobody else. What it remembers is what is under
// way; all else is read anew.
package webhook

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// An Outbox keeps deliveries until they are made.
type Outbox interface {
	// Due returns the pending deliveries whose next try is not after that time,
	// those due first first, at most limit of them.
	Due(ctx context.Context, by time.Time, limit int) ([]orchestration.Owed, error)
	// Tried notes what a try led to. A delivery that is no more is an
	// [orchestration.ErrNotFound].
	Tried(ctx context.Context, id string, t orchestration.Try) error
}

// Options are what a Sender is made of.
type Options struct {
	Outbox  Outbox
	Secrets map[string][]string // by tenant; see [CheckSecret]
	Allow   []netip.Prefix      // addresses to deliver to that are not public
	Logger  *zap.Logger         // nil logs nothing
}

// A Sender delivers until it is closed.
type Sender struct {
	outbox    Outbox
	signers   map[string]signer
	transport http.RoundTripper
	log       *zap.Logger

	woken chan struct{}
	stop  context.CancelFunc
	ended chan struct{}
}

// New starts a Sender. It must be closed. The error is of a secret that is
// none, and does not show it.
func New(o Options) (*Sender, error) { return start(o, newTransport(newDialer(o.Allow))) }

func start(o Options, transport http.RoundTripper) (*Sender, error) {
	s := &Sender{
		outbox: o.Outbox, signers: make(map[string]signer, len(o.Secrets)), transport: transport, log: o.Logger,
		woken: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	for tenant, secrets := range o.Secrets {
		var err error
		if s.signers[tenant], err = newSigner(secrets); err != nil {
			return nil, fmt.Errorf("tenant %s: %w", tenant, err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer close(s.ended)
		(&loop{Sender: s}).run(ctx)
	}()
	return s, nil
}

// Wake says that the outbox has something new. It does not block.
func (s *Sender) Wake() {
	select {
	case s.woken <- struct{}{}:
	default: // it will look anyway
	}
}

// Close breaks off the tries under way, which are made again by the next
// process, and returns when none is left: at once, unless the storage takes its
// time with the note of one that had just been answered.
func (s *Sender) Close() {
	s.stop()
	<-s.ended
}
