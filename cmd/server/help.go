package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

const helpStart = `Tutti turns one task into an orchestrated run: a planner model breaks it into
subtasks, workers perform them, a synthesizer makes one answer.

Usage:
  server [flags]               serve until SIGTERM or SIGINT
  server -demo [flags]         serve, send one example run, and show it
  server -healthcheck [flags]  ask the server on the address whether it lives
  server backup FILE [flags]   copy the journal, also while a server uses it
  server -version
  server -h

Every setting is a flag, an environment variable and a key of one YAML file, in
that order of precedence. Secrets are never a flag.

`

const helpEnd = `
Only in the file:

  providers: {NAME: {base_url, api_key_env | api_key_file}}
        endpoints; the one named openai is what OPENAI_BASE_URL and
        OPENAI_API_KEY describe
  models: {NAME: {provider, name, context_window, price: {input, cached, output},
                  stream: auto | always | never, stagger, hedge, fallback}}
        once models are listed, no others can be named; prices are in US dollars
        for a million tokens; a fallback is the model to ask when this one failed
  workers: {NAME: {description, model, system, system_first, max_tokens,
                   temperature, reasoning_effort, tools: [NAME], fallback}}
        specialists: each performs the subtasks whose type is its name
  tools: {NAME: {description, schema, read_only, timeout, max_bytes, allow_private,
                 http: {method, url, headers, body, allowed_hosts,
                        idempotency_header} |
                 mcp: {command, env, url, headers, allow, read_only}}}
        what workers and plans may use: a request over HTTP, or a server of
        tools that speaks MCP
  tenants: {NAME: {keys: [SHA-256 of an API key, in hexadecimal],
                   webhook_secrets: [env:VARIABLE | file:PATH | whsec_...],
                   limits: {max_runs, cost_usd_per_day}}}
        once there are any, every /v1 request needs a key; webhooks are signed
        with each of the secrets
`

// help writes what server -h shows.
func help(w io.Writer) {
	_, _ = io.WriteString(w, helpStart)
	c := reflect.ValueOf(defaults())
	for _, s := range settings {
		line := "  "
		if s.flag != "" {
			line += "-" + s.flag + ", "
		}
		line += s.env
		if s.yaml != "" {
			line += ", " + s.yaml
		}
		if v := c.Field(s.field); !v.IsZero() {
			line += fmt.Sprintf(" (default %v)", v)
		}
		_, _ = fmt.Fprintf(w, "%s\n%s", line, wrap(s.usage, "        ", 80))
	}
	_, _ = io.WriteString(w, helpEnd)
}

// wrap breaks text into indented lines of at most width bytes.
func wrap(text, indent string, width int) string {
	var out strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		switch {
		case line == indent:
			line += word
		case len(line)+1+len(word) > width:
			out.WriteString(line + "\n")
			line = indent + word
		default:
			line += " " + word
		}
	}
	return out.String() + line + "\n"
}
