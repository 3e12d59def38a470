package webhook

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tutti-run/tutti/internal/orchestration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Secrets of nobody.
const (
	oldSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
	newSecret = "whsec_GBkaGxwdHh8gISIjJCUmJygpKissLS4v"
)

// An outbox is one in memory.
type outbox struct {
	mu    sync.Mutex
	owed  []*orchestration.Owed // in the order that they were owed
	byID  map[string]*orchestration.Owed
	fail  error // what every call answers, if anything
	looks int
	notes int                 // calls of Tried
	tries []orchestration.Try // as noted
}

func (b *outbox) Due(_ context.Context, by time.Time, limit int) ([]orchestration.Owed, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks++
	if b.fail != nil {
		return nil, b.fail
	}
	var due []orchestration.Owed
	for _, o := range b.owed {
		if o.State == orchestration.DeliveryPending && !o.Next.After(by) {
			due = append(due, *o)
		}
	}
	slices.SortStableFunc(due, func(x, y orchestration.Owed) int { return x.Next.Compare(y.Next) })
	return due[:min(len(due), limit)], nil
}

func (b *outbox) Tried(ctx context.Context, id string, t orchestration.Try) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes++
	o := b.byID[id]
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case b.fail != nil:
		return b.fail
	case o == nil:
		return orchestration.ErrNotFound
	}
	b.tries = append(b.tries, t)
	o.Tries++
	o.State, o.Next, o.LastStatus, o.LastError = t.State, t.Next, t.Status, t.Error
	return nil
}

// owe adds a delivery that is due now.
func (b *outbox) owe(id, url string) *orchestration.Owed {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := &orchestration.Owed{
		Delivery: orchestration.Delivery{
			ID: id, Tenant: "acme", Run: "run_1f", Seq: 12, Type: "run.succeeded", Status: orchestration.StatusSucceeded,
			Time: time.Date(2026, 1, 1, 1, 0, 0, 5e6, time.FixedZone("", 3600)), URL: url,
		},
		State: orchestration.DeliveryPending, Next: time.Now(),
	}
	if b.byID == nil {
		b.byID = make(map[string]*orchestration.Owed)
	}
	b.owed, b.byID[id] = append(b.owed, o), o
	return o
}

// forget is what becomes of all when their runs are deleted.
func (b *outbox) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owed, b.byID = nil, nil
}

// redeliver begins a delivery anew.
func (b *outbox) redeliver(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.byID[id]
	o.State, o.Tries, o.Next = orchestration.DeliveryPending, 0, time.Now()
}

func (b *outbox) breakDown(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

func (b *outbox) get(id string) orchestration.Owed {
	b.mu.Lock()
	defer b.mu.Unlock()
	return *b.byID[id]
}

// states counts deliveries by state.
func (b *outbox) states() map[orchestration.DeliveryState]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := make(map[orchestration.DeliveryState]int)
	for _, o := range b.owed {
		n[o.State]++
	}
	return n
}

// A receiver is asked in the place of the network.
type receiver struct {
	answer func(*http.Request) (*http.Response, error) // nil: 204

	mu     sync.Mutex
	got    []received
	atOnce map[string]int // by host, now
	most   map[string]int // by host; "" in all
}

type received struct {
	at     time.Time
	host   string
	header http.Header
	body   []byte
}

func (r *receiver) RoundTrip(q *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	r.enter(q, body)
	defer r.leave(q)
	if r.answer == nil {
		return status(204), nil
	}
	return r.answer(q)
}

func (r *receiver) enter(q *http.Request, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.most == nil {
		r.most, r.atOnce = make(map[string]int), make(map[string]int)
	}
	r.got = append(r.got, received{time.Now(), q.URL.Host, q.Header, body})
	for _, host := range []string{q.URL.Host, ""} {
		r.atOnce[host]++
		r.most[host] = max(r.most[host], r.atOnce[host])
	}
}

func (r *receiver) leave(q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.atOnce[q.URL.Host]--
	r.atOnce[""]--
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// mostAtOnce returns the most requests that were open at once to a host.
func (r *receiver) mostAtOnce(host string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most[host]
}

func status(code int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(bytes.NewReader(nil))}
}

// never answers nothing for as long as it is waited for.
func never(q *http.Request) (*http.Response, error) {
	<-q.Context().Done()
	return nil, q.Context().Err()
}

// send starts a sender of the tenant acme.
func send(t *testing.T, b *outbox, r http.RoundTripper, secrets ...string) *Sender {
	t.Helper()
	s, err := start(Options{Outbox: b, Secrets: map[string][]string{"acme": secrets}}, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// hidden are the parts of an address that nobody else should see.
const hidden = "https://user-7.example.org/path-7?key=secret-7"

func shows(text string) bool {
	return strings.Contains(text, "-7") || strings.Contains(text, strings.TrimPrefix(oldSecret, "whsec_"))
}
