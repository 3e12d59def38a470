package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"go.uber.org/zap/zapcore"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/internal/orchestration/tool"
)

// A Config is every setting of the server. Those with a usage are a flag, an
// environment variable and a key of the file, in that order of precedence;
// secrets are never a flag. What is below them comes from the file alone.
//
// A Config made by hand begins with defaults and must pass [Config.check].
type Config struct {
	File        string `flag:"config" env:"TUTTI_CONFIG" yaml:"-" usage:"the YAML file with settings; none unless set"`
	Addr        string `flag:"addr" env:"TUTTI_ADDR" yaml:"addr" usage:"the address to serve on; one that is not loopback needs tenants with keys in the file, or TUTTI_ALLOW_ANONYMOUS"`
	MetricsAddr string `flag:"metrics-addr" env:"TUTTI_METRICS_ADDR" yaml:"metrics_addr" usage:"the address to serve /metrics on; unless set, the same one"`
	Anonymous   bool   `flag:"allow-anonymous" env:"TUTTI_ALLOW_ANONYMOUS" yaml:"allow_anonymous" usage:"serve everybody who can reach the address, without an API key"`

	BaseURL          string `flag:"openai-base-url" env:"OPENAI_BASE_URL" yaml:"openai_base_url" usage:"the endpoint, any that speaks OpenAI's chat API; OpenAI's own when only a key is set. With neither, the embedded simulator answers"`
	APIKey           secret `env:"OPENAI_API_KEY" yaml:"-" usage:"the endpoint's key"`
	APIKeyFile       string `flag:"openai-api-key-file" env:"OPENAI_API_KEY_FILE" yaml:"openai_api_key_file" usage:"a file with the endpoint's key"`
	Model            string `flag:"model" env:"TUTTI_MODEL" yaml:"model" usage:"the model that works"`
	PlannerModel     string `flag:"planner-model" env:"TUTTI_PLANNER_MODEL" yaml:"planner_model" usage:"the model that plans; unless set, TUTTI_MODEL"`
	SynthesizerModel string `flag:"synthesizer-model" env:"TUTTI_SYNTHESIZER_MODEL" yaml:"synthesizer_model" usage:"the model that makes the final answer; unless set, TUTTI_MODEL"`

	Journal        string        `flag:"journal" env:"TUTTI_JOURNAL" yaml:"journal" usage:"where runs are kept: sqlite:FILE, or mem: for as long as the process lives"`
	Engine         string        `flag:"engine" env:"TUTTI_ENGINE" yaml:"engine" usage:"what drives runs: local"`
	MaxConcurrency int           `flag:"max-concurrency" env:"TUTTI_MAX_CONCURRENCY" yaml:"max_concurrency" usage:"slots of the process: the most calls to models in flight at once"`
	MaxRuns        int           `flag:"max-runs" env:"TUTTI_MAX_RUNS" yaml:"max_runs" usage:"the most runs at work at once; more are accepted and queue"`
	MaxQueuedRuns  int           `flag:"max-queued-runs" env:"TUTTI_MAX_QUEUED_RUNS" yaml:"max_queued_runs" usage:"the most runs that queue; what comes then is refused with 503"`
	ShutdownGrace  time.Duration `flag:"shutdown-grace" env:"TUTTI_SHUTDOWN_GRACE" yaml:"shutdown_grace" usage:"how long calls to models in flight may go on after SIGTERM; what they say is kept, and the rest is resumed by the next start"`
	Retention      time.Duration `flag:"retention" env:"TUTTI_RETENTION" yaml:"retention" usage:"how long ended runs are kept, such as 720h; 0 keeps them until they are deleted"`
	CacheBytes     int           `flag:"cache-bytes" env:"TUTTI_CACHE_BYTES" yaml:"cache_bytes" usage:"the most bytes of outputs that the cache keeps in the journal, of all tenants together; 0 keeps none"`

	Workflows string `flag:"workflows" env:"TUTTI_WORKFLOWS" yaml:"workflows" usage:"the folder of workflow templates, *.yaml; read at the start and again on SIGHUP"`

	WebhookSecrets     secret `env:"TUTTI_WEBHOOK_SECRETS" yaml:"-" usage:"what webhooks are signed with where there are no tenants: one secret, or while it is being replaced two, with a comma between"`
	WebhookSecretsFile string `flag:"webhook-secrets-file" env:"TUTTI_WEBHOOK_SECRETS_FILE" yaml:"webhook_secrets_file" usage:"a file with them"`
	WebhookAllow       string `flag:"webhook-allow" env:"TUTTI_WEBHOOK_ALLOW" yaml:"webhook_allow" usage:"networks that are not public and that webhooks may be in, such as 10.0.0.0/8,127.0.0.0/8; none unless set"`

	LogLevel string `flag:"log-level" env:"TUTTI_LOG_LEVEL" yaml:"log_level" usage:"debug, info, warn or error"`

	Backup string `yaml:"-"` // the file that the command backup writes

	Providers map[string]Provider `yaml:"providers"`
	Models    map[string]Model    `yaml:"models"`
	Workers   map[string]Worker   `yaml:"workers"` // nil: the shipped ones
	Tools     map[string]Tool     `yaml:"tools"`
	Tenants   map[string]Tenant   `yaml:"tenants"`

	sources   map[string]string // by variable: what set it, for people
	file      *file
	tools     []tool.Config
	simulator simulator.Options // of the embedded one
}

// defaults returns the Config of a server for which nothing is set.
func defaults() Config {
	return Config{
		Addr:           "127.0.0.1:8080",
		Model:          "gpt-5-mini",
		Journal:        "sqlite:tutti.db",
		Engine:         "local",
		MaxConcurrency: 64,
		MaxRuns:        1000,
		MaxQueuedRuns:  10_000,
		ShutdownGrace:  30 * time.Second,
		CacheBytes:     256 << 20,
		Workflows:      "workflows",
		LogLevel:       "info",
		sources:        map[string]string{},
		simulator: simulator.Options{
			Latency: 100 * time.Millisecond, FirstToken: 200 * time.Millisecond, TokenInterval: 4 * time.Millisecond,
		},
	}
}

// A secret is never shown.
type secret string

func (s secret) String() string   { return "(secret)" }
func (s secret) GoString() string { return s.String() }

// A setting is a field of Config that can be set in several places.
type setting struct {
	field           int
	flag, env, yaml string // empty: it cannot be set there
	usage           string
	kind            reflect.Kind
}

var settings = readSettings()

func readSettings() []setting {
	var list []setting
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		f := t.Field(i)
		if usage := f.Tag.Get("usage"); usage != "" {
			list = append(list, setting{
				field: i, usage: usage, kind: f.Type.Kind(),
				flag: f.Tag.Get("flag"), env: f.Tag.Get("env"), yaml: strings.TrimPrefix(f.Tag.Get("yaml"), "-"),
			})
		}
	}
	return list
}

// loadConfig reads all settings, from the arguments, the environment and the
// file, and checks them. Its error names every bad value and where it is from.
func loadConfig(args []string, environ map[string]string) (Config, command, error) {
	c := defaults()
	if len(args) > 0 && args[0] == string(commandBackup) {
		if len(args) == 1 || strings.HasPrefix(args[1], "-") {
			return c, commandBackup, errors.New("backup: want the FILE to copy to: server backup FILE [flags]")
		}
		c.Backup, args = args[1], args[2:]
	}
	do, flags, err := readFlags(args)
	if c.Backup != "" && do == commandServe {
		do = commandBackup
	}
	if err != nil || do == commandHelp || do == commandVersion {
		return c, do, err
	}
	// A flag is put in the place of its variable: so both are read alike.
	environ = maps.Clone(environ)
	for _, s := range settings {
		switch value, given := flags[s.flag]; {
		case given && s.flag != "":
			environ[s.env] = value
			c.sources[s.env] = "-" + s.flag
		case environ[s.env] != "":
			c.sources[s.env] = s.env
		}
	}
	if c.File = environ["TUTTI_CONFIG"]; c.File != "" {
		if err := c.readFile(); err != nil {
			return c, do, err
		}
	}
	if err := c.readEnvironment(environ); err != nil {
		return c, do, err
	}
	err = c.check(environ)
	return c, do, err
}

// A command is what the server is asked to do.
type command string

const (
	commandServe       command = ""
	commandDemo        command = "demo"
	commandHealthcheck command = "healthcheck"
	commandBackup      command = "backup"
	commandVersion     command = "version"
	commandHelp        command = "h"
)

// readFlags returns the command and the settings among the arguments, as text.
func readFlags(args []string) (command, map[string]string, error) {
	do := commandServe
	given := map[string]string{}
	var bad []error
	fs := flag.NewFlagSet("server", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	for _, s := range settings {
		set := func(value string) error { given[s.flag] = value; return nil }
		switch {
		case s.flag == "":
		case s.kind == reflect.Bool:
			fs.BoolFunc(s.flag, s.usage, set)
		default:
			fs.Func(s.flag, s.usage, set)
		}
	}
	for _, c := range []command{commandDemo, commandHealthcheck, commandVersion} {
		fs.BoolFunc(string(c), "", func(value string) error {
			on, err := strconv.ParseBool(value)
			switch {
			case err != nil:
				bad = append(bad, fmt.Errorf("-%s: %.100q is not true or false", c, value))
			case on:
				do = c
			}
			return nil // the flag package would word it
		})
	}
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return commandHelp, nil, nil
	case err != nil:
		return do, nil, err
	case fs.NArg() > 0:
		return do, nil, fmt.Errorf("%q is no flag; server -h lists them", fs.Arg(0))
	}
	return do, given, errors.Join(bad...)
}

// readEnvironment sets what the environment does, flags included.
func (c *Config) readEnvironment(environ map[string]string) error {
	err := env.ParseWithOptions(c, env.Options{Environment: environ})
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	t := reflect.TypeFor[Config]()
	var bad []error
	for _, err := range all.Errors {
		var one env.ParseError
		if !errors.As(err, &one) {
			bad = append(bad, err)
			continue
		}
		i := slices.IndexFunc(settings, func(s setting) bool { return t.Field(s.field).Name == one.Name })
		name := settings[i].env
		want := "a whole number"
		switch settings[i].kind {
		case reflect.Bool:
			want = "true or false"
		case reflect.Int64:
			want = "a duration such as 90s"
		}
		bad = append(bad, fmt.Errorf("%s: %.100q is not %s", c.sources[name], environ[name], want))
	}
	return errors.Join(bad...)
}

// logLevel is the level that was set. Unless it was, the demo keeps the terminal
// for itself.
func (c *Config) logLevel(do command) zapcore.Level {
	if do == commandDemo && c.sources["TUTTI_LOG_LEVEL"] == "" {
		return zapcore.ErrorLevel
	}
	level, err := zapcore.ParseLevel(c.LogLevel)
	if err != nil {
		return zapcore.InfoLevel // it was checked
	}
	return level
}
