package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tutti-run/tutti/internal/api"
	"github.com/tutti-run/tutti/internal/metrics"
	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/agent"
	"github.com/tutti-run/tutti/internal/orchestration/expr"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/local"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
	"github.com/tutti-run/tutti/internal/orchestration/webhook"
)

func newMetrics(c *Config) *metrics.Metrics {
	var names []string
	for _, m := range c.knownModels() {
		names = append(names, m.Name)
	}
	return metrics.New(metrics.Options{Version: version(), Models: names, Workers: sorted(c.Workers)})
}

// language is what expressions are written in.
var language = expr.New()

// A service is what has the journal: it drives runs.
type service struct {
	handler http.Handler
	driver  *local.Driver
	journal journal.Journal
	chores  sync.WaitGroup // what goes on beside the runs, until stop is called
	stop    context.CancelFunc

	webhooks *webhook.Sender
}

// takeOver opens the journal and goes on with its runs.
func (s *server) takeOver(ctx context.Context) (*service, error) {
	j, err := s.openJournal(ctx)
	if err != nil {
		return nil, err
	}
	kept := record{j, s.metrics}
	performer := agent.New(agent.Options{
		Client: s.client, Texts: kept, Logger: s.log, Holds: treasury{j, s.config.dailyBudgets()},
		Tools: s.tools, Cache: kept,
	})
	driver := local.New(local.Options{
		Journal: kept, Agent: performer, Logger: s.log, Appended: s.metrics.Appended,
		Funcs:   orchestration.Funcs{Tokens: agent.Tokens, Expressions: language},
		MaxRuns: s.config.MaxRuns, MaxQueued: s.config.MaxQueuedRuns, Shed: newPressure().high,
		MaxRunsOf: func(tenant string) int { return s.config.Tenants[tenant].Limits.MaxRuns },
	})
	unfinished, err := j.Unfinished(ctx)
	if err == nil {
		s.metrics.Resumed(len(unfinished))
		err = driver.Resume(ctx)
	}
	if err != nil {
		driver.Close()
		err = errors.Join(err, j.Close())
		if ctx.Err() != nil {
			return nil, errStopped
		}
		return nil, err
	}
	s.metrics.Queue(driver)
	v := &service{
		handler: api.New(s.options(func(o *api.Options) { o.Driver, o.Reader, o.Deliveries = driver, kept, kept })),
		driver:  driver,
		journal: j,
		stop:    func() {},
	}
	if v.webhooks, err = s.newSender(j); err != nil {
		return nil, errors.Join(err, v.close(0))
	}
	chores, stop := context.WithCancel(context.Background())
	v.stop = stop
	v.chores.Go(func() { wake(chores, v.webhooks, j.Owing()) })
	v.chores.Go(func() { expire(chores, j, s.config.Retention, s.log) })
	return v, nil
}

// close lets calls end within the grace period, and then lets the journal go, to
// be taken over.
func (s *service) close(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	s.driver.Stop(ctx)
	s.stop()
	s.chores.Wait()
	if s.webhooks != nil {
		s.webhooks.Close()
	}
	return s.journal.Close()
}

// newSender returns what delivers the journal's webhooks.
func (s *server) newSender(j journal.Journal) (*webhook.Sender, error) {
	allow, err := s.config.webhookAllow()
	if err != nil {
		return nil, err
	}
	return webhook.New(webhook.Options{Outbox: j, Secrets: s.config.webhookSecrets(), Allow: allow, Logger: s.log})
}

// wake tells the sender of what is new in its outbox, until ctx ends.
func wake(ctx context.Context, s *webhook.Sender, owing <-chan struct{}) {
	for {
		select {
		case <-owing:
			s.Wake()
		case <-ctx.Done():
			return
		}
	}
}

// options are what the API is made of, with what more is set.
func (s *server) options(set func(*api.Options)) api.Options {
	o := api.Options{
		Checker:   checker{},
		Fetcher:   api.NewFetcher(),
		Workflows: s.workflows,
		Defaults:  s.runDefaults(),
		Tenants:   s.config.tenantKeys(),
		Budgeted:  func(tenant string) bool { return s.config.Tenants[tenant].Limits.CostUSDPerDay > 0 },

		WebhookTenants:  s.config.webhookTenants(),
		WebhookLoopback: s.config.webhookLoopback(),

		Logger:    s.log,
		Observe:   s.metrics.HTTP,
		Draining:  s.draining,
		Simulated: s.config.simulated(),
		Version:   version(),
	}
	if s.scraped == nil {
		o.Metrics = s.metrics.Handler()
	}
	set(&o)
	return o
}

// A record is the journal as the others want it.
type record struct {
	journal.Journal
	metrics *metrics.Metrics
}

// Append makes a commit durable, and measures it.
func (r record) Append(ctx context.Context, c orchestration.Commit) error {
	started := time.Now()
	err := r.Journal.Append(ctx, c)
	r.metrics.JournalAppend(time.Since(started))
	return err
}

// Delete removes a run, and counts one that has not ended no more.
func (r record) Delete(ctx context.Context, tenant, run string) error {
	row, err := r.Row(ctx, tenant, run)
	if err == nil {
		err = r.Journal.Delete(ctx, tenant, run)
	}
	if err == nil && !row.Status.Ended() {
		r.metrics.Deleted()
	}
	return err
}

// Text returns the body of an event.
func (r record) Text(ctx context.Context, run string, seq int64) (string, error) {
	e, err := r.Event(ctx, run, seq)
	return e.Body(), err
}

// A checker asks the agent what is wrong with a run that is not yet accepted.
type checker struct{}

// Check returns every fault.
func (checker) Check(spec *orchestration.Spec) []orchestration.Problem {
	found := agent.CheckPrompts(spec)
	if len(spec.Synthesizer.JSONSchema) > 0 {
		if err := schema.Check(spec.Synthesizer.JSONSchema); err != nil {
			found = append(found, orchestration.Problem{Pointer: "/synthesizer/json_schema", Code: "invalid_request", Detail: err.Error()})
		}
	}
	if fault := agent.Fits(spec); fault != nil && len(found) == 0 {
		found = append(found, *fault)
	}
	return found
}

// runDefaults are what a request that does not say otherwise gets from a server
// with these tools.
func (s *server) runDefaults() api.Defaults {
	d := s.config.runDefaults()
	d.Tools = s.tools.Tools()
	return d
}

// runDefaults are what a request that does not say otherwise gets.
func (c *Config) runDefaults() api.Defaults {
	return api.Defaults{
		Planner:     orchestration.Planner{Role: orchestration.Role{Model: c.PlannerModel}},
		Worker:      orchestration.Worker{Role: orchestration.Role{Model: c.Model}},
		Synthesizer: orchestration.Synthesizer{Role: orchestration.Role{Model: c.SynthesizerModel}, Mode: orchestration.SynthesizeModel},
		Evaluator:   orchestration.Role{Model: c.Model},
		Limits: orchestration.Limits{
			MaxConcurrency: 10, Timeout: 10 * time.Minute, SubtaskTimeout: time.Minute,
			MaxAttempts: 3, MaxSubtasks: 100, MaxOutputBytes: 1 << 20,
			MaxReplans: 3, ReplanCooldown: time.Minute, MaxIterations: orchestration.DefaultIterations,
		},
		Workers:     c.specialists(),
		Models:      c.knownModels(),
		Exclusive:   len(c.Models) > 0,
		Expressions: language,
		Schema:      schema.Check,
	}
}

// tenantKeys are the SHA-256 sums of all API keys.
func (c *Config) tenantKeys() map[string][][sha256.Size]byte {
	keys := make(map[string][][sha256.Size]byte, len(c.Tenants))
	for name, t := range c.Tenants {
		for _, key := range t.Keys {
			sum, _ := hex.DecodeString(key) // it was checked
			keys[name] = append(keys[name], [sha256.Size]byte(sum))
		}
	}
	return keys
}

// released is set by the linker, for builds outside of version control.
var released string

// version returns the server's version.
func version() string {
	if released != "" {
		return released
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
