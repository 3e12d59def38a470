package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/api"
	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/metrics"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/tool"
	"github.com/tutti-run/tutti/internal/orchestration/workflow"
)

// How long parts of HTTP may take. A caller that stops sending, or takes no answer,
// must not keep a connection and what was read or written for it. Package api moves
// the bound of an answer where a request waits, and that of a stream with each frame.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = time.Minute     // of a whole request: images may come with it
	writeTimeout   = 3 * time.Minute // from a request's headers to the end of its answer
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 32 << 10
	drainTimeout   = 15 * time.Second
)

// A server is the whole service in one value: it listens from newServer on,
// and serves in Run.
type server struct {
	config  Config
	log     *zap.Logger
	metrics *metrics.Metrics

	workflows *workflow.Store

	models   models // where calls go
	client   llm.Client
	tools    *tool.Set
	listener net.Listener
	scraped  net.Listener // of /metrics, if it has an address of its own

	handler  atomic.Pointer[http.Handler] // standing by at first
	hangups  chan os.Signal
	draining chan struct{} // closed when streams and waits must end
	ready    chan struct{} // closed when runs are taken
}

// newServer returns a server that listens. Its Run must be called.
func newServer(ctx context.Context, c Config, log *zap.Logger) (_ *server, err error) {
	s := &server{
		config: c, log: log, metrics: newMetrics(&c),
		draining: make(chan struct{}), ready: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	s.heedHangups()
	if s.models, err = newModels(&c, log); err != nil {
		return nil, err
	}
	pool := llm.NewPool(s.models.router, c.MaxConcurrency, s.models.router.Upstream)
	pool.Hedge(func(model string) bool { return c.Models[model].Hedge })
	s.metrics.Pool(pool)
	s.client = s.metrics.Client(pool)
	if err := s.openTools(ctx); err != nil {
		return nil, err
	}
	if s.workflows, err = s.newWorkflows(); err != nil {
		return nil, err
	}

	var listen net.ListenConfig
	if s.listener, err = listen.Listen(ctx, "tcp", c.Addr); err != nil {
		return nil, fmt.Errorf("%s: %w", c.from("TUTTI_ADDR"), err)
	}
	if c.MetricsAddr != c.Addr {
		if s.scraped, err = listen.Listen(ctx, "tcp", c.MetricsAddr); err != nil {
			return nil, fmt.Errorf("%s: %w", c.from("TUTTI_METRICS_ADDR"), err)
		}
	}
	standby := api.New(s.options(func(o *api.Options) { o.Standby = func() bool { return true } }))
	s.handler.Store(&standby)
	return s, nil
}

// openTools starts the servers of tools. One that does not answer stops the start,
// as does a worker that names a tool which there is not: better now than in the
// middle of a run.
func (s *server) openTools(ctx context.Context) (err error) {
	s.tools, err = tool.Open(ctx, tool.Options{
		Tools:   s.config.tools,
		Observe: func(name string, o tool.Outcome, d time.Duration) { s.metrics.Tool(name, string(o), d) },
	})
	if err != nil {
		return err
	}
	return s.config.checkKnownTools(s.tools.Tools())
}

// URL is where the API is served, as seen from this machine.
func (s *server) URL() string { return "http://" + reachable(s.listener.Addr().String()) }

// Ready is closed once runs are taken.
func (s *server) Ready() <-chan struct{} { return s.ready }

// Run serves until ctx ends, then drains: nothing new is accepted, streams and
// waits are told to end, calls to models have a while to end, and the runs under
// way are left to be resumed.
func (s *server) Run(ctx context.Context) error {
	defer s.release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	front := s.serve(s.listener, http.HandlerFunc(s.answer), cancel)
	servers := []*http.Server{front}
	if s.scraped != nil {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", s.metrics.Handler())
		servers = append(servers, s.serve(s.scraped, mux, cancel))
	}
	s.announce()
	defer s.reloadWorkflows()()

	service, err := s.takeOver(ctx)
	switch {
	case errors.Is(err, errStopped):
		err = nil
	case err == nil:
		s.handler.Store(&service.handler)
		close(s.ready)
		s.log.Info("ready")
		<-ctx.Done()
		s.log.Info("draining")
	}
	close(s.draining)
	var web sync.WaitGroup
	web.Go(func() { shutdown(servers) })
	if service != nil {
		err = service.close(s.config.ShutdownGrace)
	}
	web.Wait()
	if failed := context.Cause(ctx); failed != nil && !errors.Is(failed, context.Canceled) {
		err = errors.Join(failed, err)
	}
	if err == nil {
		s.log.Info("stopped")
	}
	return err
}

// answer hands a request to whoever is in charge now.
func (s *server) answer(w http.ResponseWriter, r *http.Request) { (*s.handler.Load()).ServeHTTP(w, r) }

// serve serves in the background. It calls failed when it can no longer.
func (s *server) serve(l net.Listener, h http.Handler, failed context.CancelCauseFunc) *http.Server {
	errorLog, _ := zap.NewStdLogAt(s.log, zap.WarnLevel) // fails for unknown levels alone
	web := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          errorLog,
	}
	go func() {
		if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("serve %s: %w", l.Addr(), err))
		}
	}()
	return web
}

// shutdown lets the requests under way end, within a time, and then breaks what
// is left of them.
func shutdown(servers []*http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	for _, web := range servers {
		if web.Shutdown(ctx) != nil {
			_ = web.Close()
		}
	}
}

// announce says what has been started, without secrets.
func (s *server) announce() {
	c := &s.config
	s.log.Info("serving", zap.String("version", version()), zap.String("url", s.URL()),
		zap.String("journal", c.Journal), zap.Bool("simulated", c.simulated()),
		zap.String("model", c.Model), zap.String("planner_model", c.PlannerModel), zap.String("synthesizer_model", c.SynthesizerModel),
		zap.Strings("providers", sorted(c.Providers)), zap.Strings("models", sorted(c.Models)),
		zap.Strings("workers", sorted(c.Workers)), zap.Strings("tools", sorted(c.Tools)), zap.Strings("tenants", sorted(c.Tenants)),
		zap.Strings("workflows", workflowNames(s.workflows)),
		zap.Int("max_concurrency", c.MaxConcurrency))
	if c.simulated() {
		s.log.Warn("no model is configured: the embedded simulator answers; set OPENAI_BASE_URL or OPENAI_API_KEY to change that")
	}
}

// errStopped is what a start returns that was told to stop.
var errStopped = errors.New("told to stop before the journal was taken over")

// openJournal waits for the journal if another process has it.
func (s *server) openJournal(ctx context.Context) (journal.Journal, error) {
	j, err := journal.Open(ctx, s.config.Journal, journal.Options{
		Standby:    func() { s.log.Warn("standing by: another process has the journal") },
		CacheBytes: int64(s.config.CacheBytes),
	})
	switch {
	case err == nil:
		return j, nil
	case ctx.Err() != nil:
		return nil, errStopped
	}
	return nil, fmt.Errorf("%s: %w", s.config.from("TUTTI_JOURNAL"), err)
}

// release gives back what newServer took, whatever of it there is.
func (s *server) release() {
	defer signal.Stop(s.hangups)
	for _, l := range []net.Listener{s.listener, s.scraped} {
		if l != nil {
			_ = l.Close() // closed already after a drain
		}
	}
	if s.tools != nil {
		s.tools.Close()
	}
	s.models.close()
}

// reachable returns an address that this machine can ask for one that it
// listens on.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}
