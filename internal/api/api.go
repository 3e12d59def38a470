// Package api serves Tutti over HTTP, exactly as openapi.yaml says.
//
// A request passes, from the outside in: [server.begin] (its name, the log,
// panics), the router, [server.locate] (its operation in openapi.yaml),
// [server.authenticate], [server.hold] (parameters and body against
// openapi.yaml, every fault at once) and the handler, which openapi.gen.go
// calls with what it decoded. A handler returns a reply, a stream, or an
// error; [server.fail] alone writes problems.
//
// What a caller is shown of a run is folded anew from the journal's events for
// each answer (view.go). The stored form of events and their form in the API
// (events.go) are kept apart: the stored one may hold more, and may change.
package api

//go:generate go tool -modfile=../../tools/go.mod oapi-codegen -config oapi.yaml ../../openapi.yaml

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"go.uber.org/zap"

	tutti "github.com/tutti-run/tutti"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// A Driver carries out runs.
type Driver interface {
	// Room returns the error that Start would refuse any run of the tenant with now, nil for
	// none. It is quick: a server with too much to do must be able to say so.
	Room(tenant string) error
	// Start accepts a run. When it returns a row, the run is durable. The error
	// is a [*orchestration.KeyTaken] when the tenant used the key before, and
	// wraps [orchestration.ErrUnavailable] when the storage failed, and
	// [orchestration.ErrOverloaded] when there is no room; then there is no run.
	// The attachments are the bytes of spec.Attachments in order; key may be nil.
	Start(ctx context.Context, spec *orchestration.Spec, attachments [][]byte, key *orchestration.Key) (orchestration.Row, error)
	// Cancel takes the wish to end a run; what becomes of it shows in its rows. The
	// error wraps [orchestration.ErrNotFound] for a run that has ended or is not driven.
	Cancel(ctx context.Context, run, detail string) error
	// Drives reports whether a run is under way, or is about to be: what is done to it
	// behind the driver's back would clash with what that does.
	Drives(run string) bool
	// Decide takes what a person decides: an [orchestration.DecideSubtask] or an
	// [orchestration.DecidePlan]. It returns nil once that is durable,
	// [orchestration.ErrNotWaiting] when it does not wait for a decision (any more),
	// and an [*orchestration.DecisionError] for one that cannot be taken.
	Decide(ctx context.Context, run string, said orchestration.Said) error
	// Deltas calls notify with pieces of outputs as they are written, as well
	// as it can. notify must not block, and is not called after stop returned.
	Deltas(run string, notify func(orchestration.Delta)) (stop func())
}

// A Reader reads the journal. Its errors wrap [orchestration.ErrNotFound] for
// what does not exist or is another tenant's, and [orchestration.ErrUnavailable]
// when the storage failed.
type Reader interface {
	Row(ctx context.Context, tenant, run string) (orchestration.Row, error)
	Rows(ctx context.Context, tenant string, filter orchestration.Filter) ([]orchestration.Row, error)
	// Events returns the events after that seq in order, at most limit of them and none
	// only where there are none, and an [orchestration.ErrUnreadable] where it cannot.
	Events(ctx context.Context, run string, after int64, limit int) ([]orchestration.Event, error)
	// Attachment returns the bytes of the run's attachment at that place, from 0.
	Attachment(ctx context.Context, run string, i int) ([]byte, error)
	// Key returns for which run the tenant used the key, and with which body.
	Key(ctx context.Context, tenant, key string) (run string, hash [32]byte, err error)
	// Delete removes all of a run that has ended or cannot be read; any other one is an
	// [orchestration.ErrConflict].
	Delete(ctx context.Context, tenant, run string) error
	// Watch calls notify with the run's row after each append. notify must not
	// block, and is not called after stop returned.
	Watch(run string, notify func(orchestration.Row)) (stop func())
	Ready(ctx context.Context) error
}

// Deliveries are what runs owe their webhooks. Errors are as those of a [Reader].
type Deliveries interface {
	// Deliveries returns the tenant's, newest first. A filter.Before that is none
	// of them is an [orchestration.ErrNotFound].
	Deliveries(ctx context.Context, tenant string, filter orchestration.DeliveryFilter) ([]orchestration.Owed, error)
	// Redeliver has a delivery tried anew from now on.
	Redeliver(ctx context.Context, tenant, id string, now time.Time) error
}

// A Checker finds what is wrong with a run that nobody but the roles' agents
// can know: names that prompts use, schemas, prompts that do not fit a model.
// A fault's pointer is into the request. Its code is that of a problem, such as
// missing_prompt_variable. The spec's plan is nil where it has faults of its own.
type Checker interface {
	Check(spec *orchestration.Spec) []Fault
}

// Defaults are what a request that does not say otherwise gets.
type Defaults struct {
	Planner     orchestration.Planner
	Worker      orchestration.Worker
	Synthesizer orchestration.Synthesizer
	Evaluator   orchestration.Role
	Limits      orchestration.Limits
	Workers     []orchestration.Worker // the specialists, by name; without a model they ask what the default worker does
	Tools       []orchestration.Tool   // that runs may call, by name
	Models      []orchestration.Model  // what is known of models, by name
	Exclusive   bool                   // a request may name no other models

	Expressions orchestration.Expressions          // checks those of plans; nil: a plan may have none
	Schema      func(schema json.RawMessage) error // says what is wrong with a JSON Schema; nil: nothing is
}

// Options are what the API is made of.
type Options struct {
	Driver   Driver
	Reader   Reader
	Checker  Checker // nil finds nothing
	Fetcher  Fetcher // nil refuses attachments by url
	Defaults Defaults

	Workflows Workflows // nil: there are none

	Deliveries      Deliveries      // nil refuses webhooks
	WebhookTenants  map[string]bool // those with a secret to sign messages with
	WebhookLoopback bool            // webhooks may be on this machine

	// Budgeted reports whether a tenant has a budget that pays for its calls; nil:
	// none has.
	Budgeted func(tenant string) bool
	// Tenants holds the SHA-256 of the API keys of each tenant. Empty: no key is
	// needed, and all is the default tenant's.
	Tenants map[string][][sha256.Size]byte

	Logger *zap.Logger // nil logs nothing
	// Observe is told of every answer; route is a pattern, so that it and method
	// can be labels of metrics. May be nil.
	Observe func(route, method string, status int, took time.Duration)
	Metrics http.Handler // nil: /metrics is not served here
	Standby func() bool  // true while another process has the journal; nil: never
	// Draining is closed when the server is about to stop: streams end and
	// those who wait are answered, so that they come again to another process.
	Draining <-chan struct{}

	Simulated bool   // answered by the embedded simulator
	Version   string // of the server
}

type server struct {
	Options
	contract *contract
	log      *zap.Logger
	router   chi.Router
}

// New returns the handler of everything that openapi.yaml names. It panics
// when the embedded openapi.yaml cannot be compiled.
func New(o Options) http.Handler {
	c, err := theContract()
	if err != nil {
		panic("openapi.yaml: " + err.Error())
	}
	s := &server{Options: o, contract: c, log: o.Logger, router: chi.NewRouter()}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	s.router.Use(s.begin, middleware.GetHead)
	s.router.NotFound(s.notFound)
	s.router.MethodNotAllowed(s.methodNotAllowed)
	checked := s.router.With(s.locate, s.authenticate, s.hold)
	HandlerWithOptions(
		NewStrictHandlerWithOptions(s, nil, StrictHTTPServerOptions{RequestErrorHandlerFunc: s.undecoded, ResponseErrorHandlerFunc: s.fail}),
		ChiServerOptions{BaseRouter: checked, ErrorHandlerFunc: s.undecoded},
	)
	checked.Get("/openapi.yaml", s.document)
	if s.Metrics != nil {
		checked.Get("/metrics", s.Metrics.ServeHTTP)
	}
	return s.router
}

// undecoded answers what passed the contract and still could not be decoded,
// such as an integer that no int can hold.
func (s *server) undecoded(w http.ResponseWriter, r *http.Request, err error) {
	s.log.Debug("not decoded", zap.String("request_id", exchangeOf(r.Context()).requestID), zap.Error(err))
	s.fail(w, r, problem(codeInvalidRequest, "A value of the request cannot be decoded."))
}

func (s *server) document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	if _, err := w.Write(tutti.OpenAPI); err != nil {
		s.log.Debug("answer not written", zap.Error(err))
	}
}

func (s *server) notFound(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, problem(codeNotFound, "There is nothing at this path."))
}

func (s *server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	for _, m := range methods {
		if s.router.Match(chi.NewRouteContext(), m, r.URL.Path) {
			w.Header().Add("Allow", m)
			if m == http.MethodGet {
				w.Header().Add("Allow", http.MethodHead)
			}
		}
	}
	w.Header().Add("Allow", http.MethodOptions)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.fail(w, r, problem(codeInvalidRequest, "The path does not know this method.").with(http.StatusMethodNotAllowed))
}
