package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// load reads settings with the file's text, if any, in a folder of its own.
func load(t *testing.T, text string, environ map[string]string, args ...string) (Config, error) {
	t.Helper()
	if environ == nil {
		environ = map[string]string{}
	}
	if text != "" {
		t.Chdir(t.TempDir())
		write(t, "tutti.yaml", text)
		environ["TUTTI_CONFIG"] = "tutti.yaml"
	}
	c, _, err := loadConfig(args, environ)
	return c, err
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t *testing.T, text string, environ map[string]string, args ...string) Config {
	t.Helper()
	c, err := load(t, text, environ, args...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAFlagCountsBeforeTheEnvironmentBeforeTheFileBeforeTheDefault(t *testing.T) {
	const inFile = "model: of-file\nplanner_model: planner-of-file\nsynthesizer_model: synthesizer-of-file\nmax_concurrency: 3\nallow_anonymous: true\n"
	c := mustLoad(t, inFile,
		map[string]string{"TUTTI_MODEL": "of-environment", "TUTTI_PLANNER_MODEL": "planner-of-environment", "TUTTI_JOURNAL": ""},
		"-model=of-flag", "-allow-anonymous=false")
	got := []any{c.Model, c.PlannerModel, c.SynthesizerModel, c.MaxConcurrency, c.Anonymous, c.Journal}
	want := []any{"of-flag", "planner-of-environment", "synthesizer-of-file", 3, false, "sqlite:tutti.db"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Every setting can be set in every place that it names, and each place is told
// from the others where the value is bad.
func TestEverySettingIsReadFromEachOfItsPlaces(t *testing.T) {
	for _, s := range settings {
		if s.env == "OPENAI_API_KEY" || s.env == "TUTTI_WEBHOOK_SECRETS" || s.env == "TUTTI_CONFIG" {
			continue // secrets, and the file itself
		}
		if s.flag == "" || s.yaml == "" {
			t.Errorf("%s is no flag, or no key of the file", s.env)
		}
		if want := strings.ReplaceAll(s.yaml, "_", "-"); s.flag != want {
			t.Errorf("the flag -%s should be -%s, as the key of the file", s.flag, want)
		}
	}
}

func TestHelpListsEveryKeyOfTheFile(t *testing.T) {
	var said strings.Builder
	help(&said)
	words := strings.FieldsFunc(said.String(), func(r rune) bool { return r != '_' && !unicode.IsLetter(r) })
	var missing func(of reflect.Type, where string)
	missing = func(of reflect.Type, where string) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Map || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return
		}
		for i := range of.NumField() {
			f := of.Field(i)
			key := f.Tag.Get("yaml")
			if key == "" || key == "-" {
				continue
			}
			if !slices.Contains(words, key) {
				t.Errorf("there is no word of %s.%s", where, key)
			}
			missing(f.Type, where+"."+key)
		}
	}
	missing(reflect.TypeFor[Config](), "")
}

func TestWithNothingSet(t *testing.T) {
	c := mustLoad(t, "", nil)
	if !c.simulated() || c.Addr != "127.0.0.1:8080" || c.MetricsAddr != c.Addr {
		t.Errorf("simulated %v, on %s and %s", c.simulated(), c.Addr, c.MetricsAddr)
	}
	if c.PlannerModel != "gpt-5-mini" || c.SynthesizerModel != "gpt-5-mini" {
		t.Errorf("the planner is %s, the synthesizer %s", c.PlannerModel, c.SynthesizerModel)
	}
}

func TestProviders(t *testing.T) {
	dir := t.TempDir()
	keyFile := filepath.Join(dir, "key")
	write(t, keyFile, "key-of-file\n")
	for name, tt := range map[string]struct {
		file    string
		environ map[string]string
		want    map[string]Provider
	}{
		"a key alone is OpenAI's": {
			environ: map[string]string{"OPENAI_API_KEY": "k"},
			want:    map[string]Provider{"openai": {BaseURL: "https://api.openai.com/v1", Key: "k"}},
		},
		"an address alone needs no key": {
			environ: map[string]string{"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"},
			want:    map[string]Provider{"openai": {BaseURL: "http://127.0.0.1:11434/v1"}},
		},
		"a key in a file": {
			environ: map[string]string{"OPENAI_API_KEY_FILE": keyFile},
			want:    map[string]Provider{"openai": {BaseURL: "https://api.openai.com/v1", Key: "key-of-file"}},
		},
		"the environment counts before the file": {
			file:    "providers:\n  openai: {base_url: https://file/v1, api_key_env: OTHER}\n  two: {base_url: https://two/v1, api_key_file: " + keyFile + "}\nmodels: {m: {provider: two}}",
			environ: map[string]string{"OPENAI_BASE_URL": "https://environment/v1", "OTHER": "other-key"},
			want: map[string]Provider{
				"openai": {BaseURL: "https://environment/v1", Key: "other-key", APIKeyEnv: "OTHER"},
				"two":    {BaseURL: "https://two/v1", Key: "key-of-file", APIKeyFile: keyFile},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := mustLoad(t, tt.file, tt.environ)
			if diff := cmp.Diff(tt.want, c.Providers); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheWholeFile(t *testing.T) {
	c := mustLoad(t, `
providers:
  local: {base_url: "http://127.0.0.1:9999/v1"}
models:
  small:
    name: vendor/small-1
    context_window: 8000
    price: {input: 2, cached: 0.5, output: 8}
    stream: never
    hedge: true
  big: {price: {input: 10, output: 30}, stream: true, stagger: true}
  hurried: {hedge: true}
workers:
  researcher: {description: looks things up, model: big, system: Be thorough., max_tokens: 500, temperature: 0, reasoning_effort: low}
  writer: {tools: [weather], system: You write., system_first: true}
tools:
  weather:
    description: tells the weather of a city
    schema: {type: object, properties: {city: {type: string}}, required: [city]}
    http: {url: "https://weather.example/{city}"}
tenants:
  acme: {keys: ["`+strings.Repeat("Ab", 32)+`"]}
model: small
planner_model: big
`, nil)
	d := c.runDefaults()
	zero := 0.0
	wantModels := []orchestration.Model{
		{Name: "big", Price: &orchestration.Price{Input: 10, Cached: 10, Output: 30}, Stream: orchestration.StreamAlways, Stagger: true},
		{Name: "hurried", Stream: orchestration.StreamAlways},
		{Name: "small", ContextWindow: 8000, Price: &orchestration.Price{Input: 2, Cached: 0.5, Output: 8}, Stream: orchestration.StreamNever},
	}
	wantWorkers := []orchestration.Worker{
		{
			Name: "researcher", Description: "looks things up", MaxTokens: 500, Temperature: &zero,
			Role: orchestration.Role{Model: "big", System: "Be thorough.", ReasoningEffort: "low"},
		},
		{Name: "writer", Tools: []string{"weather"}, SystemFirst: true, Role: orchestration.Role{System: "You write."}},
	}
	if diff := cmp.Diff(wantModels, d.Models); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(wantWorkers, d.Workers); diff != "" {
		t.Error(diff)
	}
	if d.Planner.Model != "big" || d.Synthesizer.Model != "small" || !d.Exclusive || c.simulated() {
		t.Errorf("planner %s, synthesizer %s, exclusive %v, simulated %v", d.Planner.Model, d.Synthesizer.Model, d.Exclusive, c.simulated())
	}
	if keys := c.tenantKeys()["acme"]; len(keys) != 1 || keys[0][0] != 0xab {
		t.Errorf("the keys are %x", keys)
	}
	if c.Models["small"].Provider != "local" {
		t.Errorf("the model is of provider %q, want the only one", c.Models["small"].Provider)
	}
}

func TestACommandCanBeTurnedOff(t *testing.T) {
	for flag, want := range map[string]command{"-demo": commandDemo, "-demo=true": commandDemo, "-demo=false": commandServe, "-version=0": commandServe} {
		if do, _, err := readFlags([]string{flag}); do != want || err != nil {
			t.Errorf("%s: %q, %v", flag, do, err)
		}
	}
}

func TestBadSettingsNameThemselvesAndWhereTheyAreFrom(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for name, tt := range map[string]struct {
		file    string
		environ map[string]string
		args    []string
		want    []string // parts of the error, one a line
	}{
		"of a wrong type, in the environment": {
			environ: map[string]string{"TUTTI_MAX_CONCURRENCY": "many", "TUTTI_ALLOW_ANONYMOUS": "perhaps"},
			want:    []string{`TUTTI_ALLOW_ANONYMOUS: "perhaps" is not true or false`, `TUTTI_MAX_CONCURRENCY: "many" is not a whole number`},
		},
		"of a wrong type, as a flag": {
			environ: map[string]string{"TUTTI_MAX_CONCURRENCY": "3"},
			args:    []string{"-max-concurrency", "many"}, want: []string{`-max-concurrency: "many" is not a whole number`},
		},
		"of a wrong type, in the file": {
			file: "max_concurrency: many\nmodel: [a]\ntenants: sk-12345",
			want: []string{"tutti.yaml: line 1: `many` is not a whole number", "tutti.yaml: line 2: the value is not text", "tutti.yaml: line 3: the value is not a group of keys"},
		},
		"unknown": {
			file: "addr: 127.0.0.1:0\naddress: x\ntool: {}\nmodels:\n  m: {fall_back: n}\ntenants:\n  t: {budget: 1}",
			want: []string{"line 2: unknown key address", "line 3: unknown key tool", "line 5: unknown key fall_back", "line 7: unknown key budget"},
		},
		"twice":               {file: "addr: a\naddr: b", want: []string{`line 2: mapping key "addr" already defined at line 1`}},
		"two documents":       {file: "addr: 127.0.0.1:0\n---\naddr: b", want: []string{"tutti.yaml: there is a second document in it"}},
		"no YAML":             {file: "a: b\n  c: d", want: []string{"tutti.yaml: line 2: mapping values"}},
		"no file":             {args: []string{"-config", "nowhere"}, want: []string{"-config: open nowhere"}},
		"no flag":             {args: []string{"-webhook"}, want: []string{"-webhook"}},
		"no command":          {args: []string{"-demo=perhaps"}, want: []string{`-demo: "perhaps" is not true or false`}},
		"no secret is a flag": {args: []string{"-openai-api-key", "sk-1"}, want: []string{"flag provided but not defined: -openai-api-key"}},
		"addresses": {
			environ: map[string]string{"TUTTI_ADDR": "8080"}, args: []string{"-metrics-addr", "here:http:"},
			want: []string{`-metrics-addr: "here:http:" is no address`, `TUTTI_ADDR: "8080" is no address`},
		},
		"everybody may come": {
			environ: map[string]string{"TUTTI_ADDR": ":8080"},
			want:    []string{"TUTTI_ADDR: :8080 can be reached from other machines, and nobody would need an API key. Give tenants keys"},
		},
		"journal, engine, level, slots": {
			file: "engine: temporal\nlog_level: loud\njournal: postgres://user:pass-1@host/db\nmax_concurrency: 0\ncache_bytes: -1",
			want: []string{
				"tutti.yaml: line 3: journal: postgres is not supported yet", "tutti.yaml: line 1: engine: temporal is not supported yet",
				"tutti.yaml: line 4: max_concurrency: 0 is not between", "tutti.yaml: line 5: cache_bytes: -1 is negative", `tutti.yaml: line 2: log_level: "loud" is no level`,
			},
		},
		"an address of a model": {
			environ: map[string]string{"OPENAI_BASE_URL": "https://user:pass-1@host/v1"},
			want:    []string{"OPENAI_BASE_URL: the base URL must be"},
		},
		"an address of more than the API": {
			environ: map[string]string{"OPENAI_BASE_URL": "https://host/v1/chat/completions/"},
			want:    []string{"OPENAI_BASE_URL: the base URL ends before /chat/completions"},
		},
		"a key": {environ: map[string]string{"OPENAI_API_KEY": "sk secret"}, want: []string{"OPENAI_API_KEY: the API key holds a blank"}},
		"a key and a file with one": {
			environ: map[string]string{"OPENAI_API_KEY": "k", "OPENAI_API_KEY_FILE": "/dev/null"},
			want:    []string{"OPENAI_API_KEY_FILE: OPENAI_API_KEY is set too", "OPENAI_API_KEY_FILE: /dev/null is empty"},
		},
		"a provider's key": {
			file: "providers:\n  a: {base_url: https://a/v1, api_key_env: UNSET}\n  b:\n    base_url: https://b/v1\n    api_key_file: nowhere\n  c: {api_key_env: A, api_key_file: B}\nmodels:\n  m: {provider: a}",
			want: []string{
				"line 2: providers.a.api_key_env: the environment variable UNSET is not set", "line 5: providers.b.api_key_file: open nowhere",
				"line 6: providers.c: it needs a base_url", "line 6: providers.c: it may have api_key_env or api_key_file, not both",
			},
		},
		"whose model is it?": {
			file: "providers: {a: {base_url: https://a/v1}, b: {base_url: https://b/v1}}",
			want: []string{"models: which of the providers [a b] has which model? List the models"},
		},
		"models": {
			file:    "providers: {a: {base_url: https://a/v1}}\nmodels:\n  m: {provider: c, context_window: -1, price: {input: .nan}}\n  n: {}",
			environ: map[string]string{"TUTTI_PLANNER_MODEL": "p"},
			want: []string{
				"line 3: models.m: its provider must be one of [a]", "line 3: models.m: context_window is negative", "line 3: models.m: a price is no amount",
				`TUTTI_MODEL: "gpt-5-mini" is none of the models [m n]`, `TUTTI_PLANNER_MODEL: "p" is none of the models [m n]`,
			},
		},
		"a stream": {
			file: "models:\n  m: {stream: sometimes, nme: x}\nmodel: [a]",
			want: []string{"tutti.yaml: line 2: stream: want auto, always or never", "tutti.yaml: line 2: unknown key nme", "tutti.yaml: line 3: the value is not text"},
		},
		"a stagger": {file: "models: {m: {stream: never, stagger: true}}", want: []string{"tutti.yaml: line 1: models.m.stagger: it waits for a first token"}},
		"a system":  {file: "workers: {w: {system_first: true}}", want: []string{"tutti.yaml: line 1: workers.w.system_first: there is no system"}},
		"workers": {
			file: "workers:\n  default: {}\n  a b: {temperature: 3, max_tokens: -1, reasoning_effort: 7%}",
			want: []string{
				"line 3: workers.a b: a worker's name", "line 3: workers.a b.max_tokens: it is negative", "line 3: workers.a b.temperature: it is not between 0 and 2",
				"line 3: workers.a b.reasoning_effort: want a word", "line 2: workers.default: default and other stand for",
			},
		},
		"tools": {
			file: "tools:\n  a b: {}\n  web:\n    description: x\n    schema: {type: object, properties: {q: {$ref: file:///etc/passwd}}}\n    http:\n      url: http://example.com/\n      headers:\n        Authorization: Bearer sk-1\n        X-Token: {env: UNSET}\n" +
				"  files:\n    mcp:\n      command: [server]\n      env: {TOKEN: {file: nowhere}}\nworkers:\n  w:\n    tools: [web, files_any, gone, web]",
			want: []string{
				"line 2: tools.a b: a tool's name", "line 2: tools.a b: it needs one of http and mcp", "line 14: tools.files.mcp.env.TOKEN: open nowhere",
				"line 10: tools.web.http.headers.X-Token: the environment variable UNSET is not set", `line 5: tools.web.schema: the JSON Schema cannot be used: failing loading "file:`,
				"line 7: tools.web.http.url: want https", "line 9: tools.web.http.headers.Authorization: it may be a secret",
				`line 17: workers.w.tools.2: there is no tool "gone"`, "line 17: workers.w.tools.3: web is there twice",
			},
		},
		"tools of a wrong shape": {
			file: "tools:\n  a: {http: {url: u, headers: {A: [x], B: {env: X, word: sk-1}, C: {}, D: {env: A, file: B}}}, retry: 1}\n  b: {timeout: soon}",
			want: []string{
				"line 2: want a text, {env: VARIABLE} or {file: PATH}", "line 2: unknown key word", "line 2: want one of env and file", "line 2: want one of env and file",
				"line 2: unknown key retry", "line 3: `soon` is not a duration",
			},
		},
		"no JSON": {file: "tools: {a: {description: x, schema: {type: .inf}, http: {url: u}}}", want: []string{"line 1: tools.a.schema: it is no JSON"}},
		"tenants": {
			file: "tenants:\n  a: {keys: [" + sum + "]}\n  b: {keys: [sk-1234, " + strings.ToUpper(sum) + "]}\n  c: {}\n  d e: {keys: []}",
			want: []string{
				"line 3: tenants.b.keys.0: want the SHA-256 of a key", "line 3: tenants.b.keys.1: tenant a has the same key",
				"line 4: tenants.c: it has no keys", "line 5: tenants.d e: a tenant's name", "line 5: tenants.d e: it has no keys",
			},
		},
		"webhooks": {
			file: "webhook_allow: 10.0.0.1\ntenants:\n  a:\n    keys: [" + sum + "]\n    webhook_secrets:\n      - env:UNSET\n      - file:nowhere\n      - sk-1\n      - whsec_c2stMQ==\n      - whsec_sk-1",
			environ: map[string]string{
				"TUTTI_WEBHOOK_SECRETS": "whsec_sk-1", "TUTTI_WEBHOOK_SECRETS_FILE": "/dev/null",
			},
			want: []string{
				"TUTTI_WEBHOOK_SECRETS_FILE: TUTTI_WEBHOOK_SECRETS is set too", "TUTTI_WEBHOOK_SECRETS_FILE: /dev/null is empty",
				"line 6: tenants.a.webhook_secrets.0: the environment variable UNSET is not set", "line 7: tenants.a.webhook_secrets.1: open nowhere",
				"line 8: tenants.a.webhook_secrets.2: a webhook secret begins with whsec_", "line 9: tenants.a.webhook_secrets.3: a webhook secret has 24 to 64 bytes, this one 4",
				"line 10: tenants.a.webhook_secrets.4: what follows whsec_ is not base64", "tutti.yaml: line 1: webhook_allow: want networks such as",
			},
		},
		"secrets of nobody": {
			file: "tenants: {a: {keys: [" + sum + "]}}", environ: map[string]string{"TUTTI_WEBHOOK_SECRETS": webhookSecretA},
			want: []string{"TUTTI_WEBHOOK_SECRETS: there are tenants"},
		},
		"what is no text, no list, no group of keys": {
			file: "tenants:\n  a:\n    webhook_secrets: [[x]]\n    keys: sk-1\ntools:\n  a:\n    schema: sk-1",
			want: []string{"tutti.yaml: line 3: the value is not text", "tutti.yaml: line 4: the value is not a list", "tutti.yaml: line 7: the value is not a group of keys"},
		},
		"webhook secrets that are no list": {file: "tenants: {a: {webhook_secrets: sk-1}}", want: []string{"tutti.yaml: line 1: the value is not a list"}},
		"no webhook secret is a flag":      {args: []string{"-webhook-secrets", "sk-1"}, want: []string{"flag provided but not defined: -webhook-secrets"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, tt.file, tt.environ, tt.args...)
			if err == nil {
				t.Fatal("nothing was complained about")
			}
			lines := slices.Collect(strings.Lines(err.Error()))
			for i, want := range tt.want {
				if i >= len(lines) || !strings.Contains(lines[i], want) {
					t.Errorf("want line %d to say %q", i, want)
				}
			}
			if len(lines) != len(tt.want) || t.Failed() {
				t.Errorf("%d complaints, want %d:\n%s", len(lines), len(tt.want), err)
			}
			for _, secret := range []string{"pass-1", "sk-1", "sk secret"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q is shown", secret)
				}
			}
		})
	}
}

// Secrets of nobody.
const (
	webhookSecretA = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
	webhookSecretB = "whsec_GBkaGxwdHh8gISIjJCUmJygpKissLS4v"
)

func TestWebhookSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	write(t, path, webhookSecretB+"\n"+webhookSecretA+"\n")
	one := filepath.Join(t.TempDir(), "secret")
	write(t, one, webhookSecretB+"\n")
	key := func(of string) string { return "{keys: [" + strings.Repeat(of, 64) + "], webhook_secrets: " }
	for name, tt := range map[string]struct {
		file    string
		environ map[string]string
		want    map[string][]string
	}{
		"none":           {want: map[string][]string{}},
		"of the default": {environ: map[string]string{"TUTTI_WEBHOOK_SECRETS": webhookSecretA}, want: map[string][]string{"default": {webhookSecretA}}},
		"two of them": {
			environ: map[string]string{"TUTTI_WEBHOOK_SECRETS": webhookSecretA + ", " + webhookSecretB},
			want:    map[string][]string{"default": {webhookSecretA, webhookSecretB}},
		},
		"in a file": {
			environ: map[string]string{"TUTTI_WEBHOOK_SECRETS_FILE": path},
			want:    map[string][]string{"default": {webhookSecretB, webhookSecretA}},
		},
		"of tenants": {
			file:    "tenants:\n  a: " + key("a") + "[env:SECRET, file:" + one + "]}\n  b: " + key("b") + "[" + webhookSecretA + "]}\n  c: " + key("c") + "[]}",
			environ: map[string]string{"SECRET": webhookSecretA},
			want:    map[string][]string{"a": {webhookSecretA, webhookSecretB}, "b": {webhookSecretA}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := mustLoad(t, tt.file, tt.environ)
			if diff := cmp.Diff(tt.want, c.webhookSecrets()); diff != "" {
				t.Error(diff)
			}
			if len(c.webhookTenants()) != len(tt.want) {
				t.Errorf("%v have a secret", c.webhookTenants())
			}
			if text := fmt.Sprintf("%+v %#v", c, c); strings.Contains(text, "whsec_") {
				t.Errorf("a secret is shown: %s", text)
			}
		})
	}
}

func TestWebhookAllow(t *testing.T) {
	for text, want := range map[string]string{
		"": "[] false", "10.1.2.3/8": "[10.0.0.0/8] false", "127.0.0.1/32, fd00::/8": "[127.0.0.1/32 fd00::/8] true", "::1/128": "[::1/128] true",
	} {
		c := mustLoad(t, "", map[string]string{"TUTTI_WEBHOOK_ALLOW": text})
		allow, err := c.webhookAllow()
		if got := fmt.Sprint(allow, c.webhookLoopback()); got != want || err != nil {
			t.Errorf("%q allows %s, %v", text, got, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:80": true, "127.8.8.8:80": true, "[::1]:80": true, "localhost:80": true,
		":80": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "localhost.example.com:80": false,
	} {
		if got := loopback(addr); got != want {
			t.Errorf("loopback(%q) = %v", addr, got)
		}
	}
}

func TestASecretIsNotShown(t *testing.T) {
	c := mustLoad(t, "", map[string]string{"OPENAI_API_KEY": "sk-1"})
	if text := c.APIKey.String() + c.APIKey.GoString() + fmt.Sprintf("%+v %#v", c, c); strings.Contains(text, "sk-1") {
		t.Error(text)
	}
}
