package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A Provider is an endpoint that serves models.
type Provider struct {
	BaseURL    string `yaml:"base_url"`
	APIKeyEnv  string `yaml:"api_key_env"`
	APIKeyFile string `yaml:"api_key_file"`

	Key secret `yaml:"-"`
}

// A Model is one that runs may name.
type Model struct {
	Provider      string  `yaml:"provider"`
	Name          string  `yaml:"name"` // the provider's; empty: the same as ours
	ContextWindow int     `yaml:"context_window"`
	Price         *Price  `yaml:"price"`
	Stream        *Stream `yaml:"stream"`
	Stagger       bool    `yaml:"stagger"`  // a run's workers wait until the first one is being answered
	Fallback      string  `yaml:"fallback"` // the model to ask when this one has failed
	Hedge         bool    `yaml:"hedge"`    // ask it twice where it is slow to answer
}

// A Price is in US dollars for a million tokens. Without Cached, cached tokens
// cost what others do.
type Price struct {
	Input  float64  `yaml:"input"`
	Cached *float64 `yaml:"cached"`
	Output float64  `yaml:"output"`
}

// A Worker is a specialist.
type Worker struct {
	Description     string   `yaml:"description"`
	Model           string   `yaml:"model"` // empty: the request's, else TUTTI_MODEL
	System          string   `yaml:"system"`
	SystemFirst     bool     `yaml:"system_first"` // it is the system message, and not a part of the prompt's end
	MaxTokens       int      `yaml:"max_tokens"`
	Temperature     *float64 `yaml:"temperature"`
	ReasoningEffort string   `yaml:"reasoning_effort"`
	Tools           []string `yaml:"tools"`    // that it may call
	Fallback        string   `yaml:"fallback"` // the model to ask when its own has failed; empty: that model's fallback
}

// A Tenant is one of those who share the server.
type Tenant struct {
	Keys           []string     `yaml:"keys"` // SHA-256 of each API key, in hexadecimal
	Limits         TenantLimits `yaml:"limits"`
	WebhookSecrets []secret     `yaml:"webhook_secrets"` // env:NAME, file:PATH or the secret itself
}

// TenantLimits bound what all runs of a tenant may do together.
type TenantLimits struct {
	MaxRuns       int     `yaml:"max_runs"`         // that have not ended; 0: any number
	CostUSDPerDay float64 `yaml:"cost_usd_per_day"` // of calls to models, by the UTC day; 0: any amount
}

// A Stream says whether a model's answers are streamed.
type Stream struct{ orchestration.Streaming }

// UnmarshalYAML reads auto, always or never, or true or false.
func (s *Stream) UnmarshalYAML(n *yaml.Node) error {
	switch n.Value {
	case "auto":
		s.Streaming = orchestration.StreamAuto
	case "always", "true":
		s.Streaming = orchestration.StreamAlways
	case "never", "false":
		s.Streaming = orchestration.StreamNever
	default:
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: stream: want auto, always or never", n.Line)}} // of several
	}
	return nil
}

// maxFile is the most bytes of a file with settings, or with a key.
const maxFile = 1 << 20

// A file is the YAML file, kept to tell where in it a value stands.
type file struct {
	path string
	root yaml.Node
}

// readFile sets what the file does.
func (c *Config) readFile() error {
	text, err := readBounded(c.File)
	if err != nil {
		return fmt.Errorf("%s: %w", c.sources["TUTTI_CONFIG"], err)
	}
	c.file = &file{path: c.File}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	switch err := d.Decode(c); {
	case errors.Is(err, io.EOF):
		return nil // nothing but comments
	case err != nil:
		return c.file.explain(err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: there is a second document in it", c.File)
	}
	if err := yaml.Unmarshal(text, &c.file.root); err != nil {
		return c.file.explain(err)
	}
	for _, s := range settings {
		if s.yaml != "" && c.sources[s.env] == "" && c.file.line(s.yaml) > 0 {
			c.sources[s.env] = c.file.where(s.yaml)
		}
	}
	return nil
}

var (
	unknownField = regexp.MustCompile(`field (.+) not found in type \S+`)
	wrongType    = regexp.MustCompile("cannot unmarshal !!\\w+(?: (`.*`))? into (.+)")
)

// kinds names what a value must be, for people.
var kinds = map[string]string{"int": "a whole number", "float64": "a number", "bool": "true or false", "string": "text", "main.secret": "text", "time.Duration": "a duration such as 90s"}

// explain says what is wrong with the file, one fault a line.
func (f *file) explain(err error) error {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return fmt.Errorf("%s: %s", f.path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var bad []error
	for _, fault := range typed.Errors {
		fault = unknownField.ReplaceAllString(fault, "unknown key $1")
		fault = wrongType.ReplaceAllStringFunc(fault, func(text string) string {
			part := wrongType.FindStringSubmatch(text)
			switch kind := kinds[part[2]]; {
			case kind != "":
				return cmp.Or(part[1], "the value") + " is not " + kind
			case strings.HasPrefix(part[2], "[]"):
				return "the value is not a list" // and may be a secret
			}
			return "the value is not a group of keys" // and may be a secret
		})
		bad = append(bad, fmt.Errorf("%s: %s", f.path, fault))
	}
	return errors.Join(bad...)
}

// line returns the line of the value at a path of keys and indexes, 0 where
// there is none.
func (f *file) line(path ...string) int {
	n := &f.root
	if len(n.Content) == 1 {
		n = n.Content[0]
	}
	for _, key := range path {
		if n = child(n, key); n == nil {
			return 0
		}
	}
	return n.Line
}

func child(n *yaml.Node, key string) *yaml.Node {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

// where names a value of the file for people. It works without a file too.
func (f *file) where(path ...string) string {
	name := strings.Join(path, ".")
	if f == nil {
		return name
	}
	for known := path; len(known) > 0; known = known[:len(known)-1] {
		if line := f.line(known...); line > 0 {
			return fmt.Sprintf("%s: line %d: %s", f.path, line, name)
		}
	}
	return f.path + ": " + name
}

// readBounded reads a small file.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxFile:
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return text, nil
}
