package main

import (
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/llm/openai"
	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// models are the way to every model that a run may name.
type models struct {
	router    *llm.Router
	clients   []*openai.Client
	simulator *simulator.Server // nil: there are providers
}

// newModels makes a client for each provider. Without any, the simulator is
// the one provider, behind the same client as all others.
func newModels(c *Config, log *zap.Logger) (models, error) {
	var m models
	providers := c.Providers
	if c.simulated() {
		var err error
		if m.simulator, err = simulator.Listen(c.simulator); err != nil {
			return m, err
		}
		providers = map[string]Provider{"": {BaseURL: m.simulator.URL()}}
	}
	clients := map[string]llm.Client{}
	for _, name := range sorted(providers) {
		p := providers[name]
		client, err := openai.New(openai.Options{BaseURL: p.BaseURL, APIKey: string(p.Key)})
		if err != nil {
			m.close()
			return models{}, fmt.Errorf("provider %s: %w", name, err)
		}
		clients[name], m.clients = &reach{Client: client, provider: name, log: log}, append(m.clients, client)
	}
	// A breaker for each model of a provider, as one may be down without the
	// others; where callers may name any, one for them all.
	breakers := map[string]llm.Client{}
	m.router = &llm.Router{Routes: map[string]llm.Route{}}
	for name, model := range c.Models {
		provider := model.Provider
		if c.simulated() {
			provider = ""
		}
		m.router.Routes[name] = llm.Route{Provider: provider, Name: model.Name}
		upstream := m.router.Upstream(name)
		if breakers[upstream] == nil {
			breakers[upstream] = llm.NewBreaker(clients[provider])
		}
		m.router.Routes[name] = llm.Route{Client: breakers[upstream], Provider: provider, Name: model.Name}
	}
	if len(c.Models) == 0 {
		m.router.Default = &llm.Route{Client: llm.NewBreaker(clients[c.provider()]), Provider: c.provider()}
	}
	return m, nil
}

func (m *models) close() {
	for _, c := range m.clients {
		c.Close()
	}
	if m.simulator != nil {
		_ = m.simulator.Close()
	}
}

// knownModels are the models listed or, where none are, those that a setting
// names, by name.
func (c *Config) knownModels() []orchestration.Model {
	names := sorted(c.Models)
	if len(names) == 0 {
		names = []string{c.Model, c.PlannerModel, c.SynthesizerModel}
		for _, w := range c.Workers {
			names = append(names, w.Model, w.Fallback)
		}
		slices.Sort(names)
		names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
	}
	known := make([]orchestration.Model, 0, len(names))
	for _, name := range names {
		listed := c.Models[name]
		m := orchestration.Model{Name: name, ContextWindow: listed.ContextWindow, Fallback: listed.Fallback, Stagger: listed.Stagger}
		if p := listed.Price; p != nil {
			m.Price = &orchestration.Price{Input: p.Input, Cached: p.Input, Output: p.Output}
			if p.Cached != nil {
				m.Price.Cached = *p.Cached
			}
		}
		switch {
		case listed.Stream != nil:
			m.Stream = listed.Stream.Streaming
		case listed.Hedge: // that an answer is slow to come shows early only where it is streamed
			m.Stream = orchestration.StreamAlways
		}
		known = append(known, m)
	}
	return known
}
