package main

import (
	"slices"
	"strings"

	"github.com/tutti-run/tutti/internal/llm/openai"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// openaiProvider is the provider that OPENAI_BASE_URL and OPENAI_API_KEY describe.
const openaiProvider = "openai"

// openaiURL is its address when only a key is set.
const openaiURL = "https://api.openai.com/v1"

// checkProviders also finds the keys, and makes the environment's endpoint the
// provider openai: what the environment says of it counts before the file.
func (c *Config) checkProviders(bad *faults, environ map[string]string) {
	providers := make(map[string]Provider, len(c.Providers)+1)
	for _, name := range sorted(c.Providers) {
		p := c.Providers[name]
		where := c.file.where("providers", name)
		if p.BaseURL == "" && name != openaiProvider {
			bad.add(where, "it needs a base_url")
		}
		switch {
		case p.APIKeyEnv != "" && p.APIKeyFile != "":
			bad.add(where, "it may have api_key_env or api_key_file, not both")
		case p.APIKeyEnv != "":
			if p.Key = secret(environ[p.APIKeyEnv]); p.Key == "" {
				bad.add(c.file.where("providers", name, "api_key_env"), "the environment variable %s is not set", p.APIKeyEnv)
			}
		case p.APIKeyFile != "":
			p.Key = keyFromFile(bad, c.file.where("providers", name, "api_key_file"), p.APIKeyFile)
		}
		providers[name] = p
	}
	if c.APIKey != "" && c.APIKeyFile != "" {
		bad.add(c.from("OPENAI_API_KEY_FILE"), "OPENAI_API_KEY is set too; want one of them")
	}
	key := c.APIKey
	if c.APIKeyFile != "" {
		key = keyFromFile(bad, c.from("OPENAI_API_KEY_FILE"), c.APIKeyFile)
	}
	if c.BaseURL != "" || key != "" {
		p := providers[openaiProvider]
		if c.BaseURL != "" {
			p.BaseURL = c.BaseURL
		}
		if key != "" {
			p.Key = key
		}
		providers[openaiProvider] = p
	}
	c.Providers = providers
	for _, name := range sorted(providers) {
		p := providers[name]
		if p.BaseURL == "" {
			p.BaseURL = openaiURL
		}
		providers[name] = p
		if _, err := openai.New(openai.Options{BaseURL: p.BaseURL}); err != nil {
			bad.add(c.whereURL(name), "%w", err)
		} else if _, err := openai.New(openai.Options{BaseURL: p.BaseURL, APIKey: string(p.Key)}); err != nil {
			bad.add(c.whereKey(name), "%w", err)
		}
	}
}

func (c *Config) whereURL(provider string) string {
	if provider == openaiProvider && c.BaseURL != "" {
		return c.from("OPENAI_BASE_URL")
	}
	return c.file.where("providers", provider, "base_url")
}

func (c *Config) whereKey(provider string) string {
	switch {
	case provider == openaiProvider && c.APIKey != "":
		return c.from("OPENAI_API_KEY")
	case provider == openaiProvider && c.APIKeyFile != "":
		return c.from("OPENAI_API_KEY_FILE")
	case c.Providers[provider].APIKeyEnv != "":
		return c.file.where("providers", provider, "api_key_env")
	}
	return c.file.where("providers", provider, "api_key_file")
}

func keyFromFile(bad *faults, where, path string) secret {
	text, err := readBounded(path)
	if err != nil {
		bad.add(where, "%w", err)
		return ""
	}
	key := strings.TrimSpace(string(text))
	if key == "" {
		bad.add(where, "%s is empty", path)
	}
	return secret(key)
}

// checkModels also gives each model its provider, and the roles their models.
func (c *Config) checkModels(bad *faults) {
	for _, name := range sorted(c.Models) {
		m := c.Models[name]
		where := c.file.where("models", name)
		if m.Provider == "" {
			m.Provider = c.provider()
		}
		if _, known := c.Providers[m.Provider]; !known && !c.simulated() {
			bad.add(where, "its provider must be one of %s", sorted(c.Providers))
		}
		if m.ContextWindow < 0 {
			bad.add(where, "context_window is negative")
		}
		if p := m.Price; p != nil && (!amount(p.Input) || !amount(p.Output) || p.Cached != nil && !amount(*p.Cached)) {
			bad.add(where, "a price is no amount: 0 or more")
		}
		if m.Stagger && m.Stream != nil && m.Stream.Streaming == orchestration.StreamNever {
			bad.add(c.file.where("models", name, "stagger"), "it waits for a first token, and stream is never")
		}
		if m.Fallback != "" {
			where := c.file.where("models", name, "fallback")
			c.checkModel(bad, where, m.Fallback)
			if m.Fallback == name {
				bad.add(where, "a model is no fallback for itself")
			}
		}
		if name == "" || len(name) > 200 {
			bad.add(where, "a model's name has 1 to 200 bytes")
		}
		c.Models[name] = m
	}
	if len(c.Models) == 0 && len(c.Providers) > 1 && c.provider() == "" {
		bad.add(c.file.where("models"), "which of the providers %s has which model? List the models", sorted(c.Providers))
	}
	if len(c.Models) == 1 && c.sources["TUTTI_MODEL"] == "" {
		c.Model = sorted(c.Models)[0] // there is no choice
	}
	c.checkRole(bad, "TUTTI_MODEL", &c.Model)
	c.checkRole(bad, "TUTTI_PLANNER_MODEL", &c.PlannerModel)
	c.checkRole(bad, "TUTTI_SYNTHESIZER_MODEL", &c.SynthesizerModel)
}

// checkRole also has a role that names no model take the one of TUTTI_MODEL.
func (c *Config) checkRole(bad *faults, variable string, model *string) {
	if *model == "" {
		*model = c.Model
		return
	}
	c.checkModel(bad, c.from(variable), *model)
}

func (c *Config) checkModel(bad *faults, where, model string) {
	if _, listed := c.Models[model]; !listed && len(c.Models) > 0 {
		bad.add(where, "%.100q is none of the models %s", model, sorted(c.Models))
	}
}

// provider returns the provider of a model that names none, "" if that is
// none, or not clear.
func (c *Config) provider() string {
	names := sorted(c.Providers)
	switch {
	case slices.Contains(names, openaiProvider):
		return openaiProvider
	case len(names) == 1:
		return names[0]
	}
	return ""
}

// simulated reports whether the embedded simulator answers.
func (c *Config) simulated() bool { return len(c.Providers) == 0 }
