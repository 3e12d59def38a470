package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"go.uber.org/zap"
)

// An exchange is what is known of a request and its answer. Every handler
// finds it in its context.
type exchange struct {
	request     *http.Request
	answer      http.ResponseWriter
	requestID   string
	traceParent string
	tenant      string
	operation   *operation
	raw         []byte // the body as it came
	unread      *bytes.Reader
	gone        bool // the caller left before the answer
}

// forget lets go of the body: a caller may wait for minutes for the answer.
func (x *exchange) forget() {
	x.raw = nil
	x.unread.Reset(nil)
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{}
}

var (
	requestIDForm   = regexp.MustCompile(`^[\x21-\x7e]{1,128}$`)
	traceParentForm = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
)

// begin names the request, watches over its answer, and tells of it.
func (s *server) begin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		x := &exchange{requestID: r.Header.Get("X-Request-Id")}
		if !requestIDForm.MatchString(x.requestID) {
			x.requestID = rand.Text()
		}
		h := w.Header()
		h.Set("X-Request-Id", x.requestID)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if t := r.Header.Get("traceparent"); traceParentForm.MatchString(t) {
			x.traceParent = t
			h.Set("traceparent", t)
		}
		answer := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
		x.request, x.answer = r, answer
		defer s.finish(answer, r, started)
		next.ServeHTTP(answer, r)
	})
}

// finish is deferred round everything: it turns a panic into an answer and
// tells of the request, never of bodies, queries or keys.
func (s *server) finish(w middleware.WrapResponseWriter, r *http.Request, started time.Time) {
	x := exchangeOf(r.Context())
	broken := recover()
	if broken != nil && broken != http.ErrAbortHandler { //nolint:errorlint // it is compared as net/http does
		s.log.Error("panic", zap.String("request_id", x.requestID), zap.String("panic", panicText(broken)), zap.ByteString("stack", debug.Stack()))
		if w.Status() == 0 {
			s.fail(w, r, fmt.Errorf("panic: %T", broken))
			broken = nil
		}
	}
	s.tell(w.Status(), r, time.Since(started))
	if broken != nil {
		panic(http.ErrAbortHandler) // so that a cut answer does not look whole
	}
}

// panicText shows what the runtime says, and only the type of what others say:
// it may hold text of a caller.
func panicText(v any) string {
	if err, ok := v.(interface {
		error
		RuntimeError()
	}); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}

func (s *server) tell(status int, r *http.Request, took time.Duration) {
	x := exchangeOf(r.Context())
	switch {
	case x.gone && status == 0:
		status = 499 // as nginx has it: the caller left
	case status == 0:
		status = http.StatusOK
	}
	route := chi.RouteContext(r.Context()).RoutePattern()
	if route == "" || route == "/*" {
		route = "unmatched"
	}
	method := r.Method
	if !slices.Contains(methods, method) {
		method = "other"
	}
	if s.Observe != nil {
		s.Observe(route, method, status, took)
	}
	level := zap.InfoLevel
	if x.operation != nil && x.operation.open {
		level = zap.DebugLevel
	}
	if entry := s.log.Check(level, "request"); entry != nil {
		entry.Write(
			zap.String("method", method), zap.String("route", route), zap.Int("status", status), zap.Duration("duration", took),
			zap.String("request_id", x.requestID), zap.String("tenant", x.tenant), zap.String("traceparent", x.traceParent),
		)
	}
}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace,
}
