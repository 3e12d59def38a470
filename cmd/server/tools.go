package main

import (
	"encoding/json"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tutti-run/tutti/internal/orchestration/tool"
)

// A Tool is one that workers and plans may use: a request over HTTP, or a server
// of tools that speaks MCP.
type Tool struct {
	Description  string         `yaml:"description"`
	Schema       map[string]any `yaml:"schema"` // of its arguments
	ReadOnly     bool           `yaml:"read_only"`
	Timeout      time.Duration  `yaml:"timeout"`
	MaxBytes     int            `yaml:"max_bytes"`
	AllowPrivate []string       `yaml:"allow_private"`
	HTTP         *HTTPTool      `yaml:"http"`
	MCP          *MCPServer     `yaml:"mcp"`
}

// An HTTPTool is a request.
type HTTPTool struct {
	Method            string           `yaml:"method"`
	URL               string           `yaml:"url"`
	Headers           map[string]Value `yaml:"headers"`
	Body              string           `yaml:"body"`
	AllowedHosts      []string         `yaml:"allowed_hosts"`
	IdempotencyHeader string           `yaml:"idempotency_header"`
}

// An MCPServer is a process, or an address.
type MCPServer struct {
	Command  []string         `yaml:"command"`
	Env      map[string]Value `yaml:"env"`
	URL      string           `yaml:"url"`
	Headers  map[string]Value `yaml:"headers"`
	Allow    []string         `yaml:"allow"`
	ReadOnly []string         `yaml:"read_only"`
}

// A Value is a plain one, or {env: VARIABLE} or {file: PATH} for a secret,
// with a prefix before it if need be.
type Value struct {
	Plain, Prefix, Env, File string
}

// UnmarshalYAML reads either.
func (v *Value) UnmarshalYAML(n *yaml.Node) error {
	fault := func(line int, format string, args ...any) error {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: ", line) + fmt.Sprintf(format, args...)}}
	}
	if n.Kind == yaml.ScalarNode {
		v.Plain = n.Value
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return fault(n.Line, "want a text, {env: VARIABLE} or {file: PATH}")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := map[string]*string{"prefix": &v.Prefix, "env": &v.Env, "file": &v.File}[key.Value]
		switch {
		case field == nil:
			return fault(key.Line, "unknown key %.100s", key.Value)
		case value.Kind != yaml.ScalarNode || value.Value == "" || *field != "":
			return fault(value.Line, "%s is not a text, or is there twice", key.Value)
		}
		*field = value.Value
	}
	if (v.Env == "") == (v.File == "") {
		return fault(n.Line, "want one of env and file")
	}
	return nil
}

// value returns the value with the secret that it names.
func (v Value) value(bad *faults, where string, environ map[string]string) tool.Value {
	switch {
	case v.Env != "":
		if environ[v.Env] == "" {
			bad.add(where, "the environment variable %s is not set", v.Env)
		}
		return tool.Value{Plain: v.Prefix, Secret: tool.Secret(environ[v.Env])}
	case v.File != "":
		return tool.Value{Plain: v.Prefix, Secret: tool.Secret(keyFromFile(bad, where, v.File))}
	}
	return tool.Value{Plain: v.Plain}
}

// checkTools also finds the secrets, and makes the tools' own configuration.
func (c *Config) checkTools(bad *faults, environ map[string]string) {
	c.tools = nil
	for _, name := range sorted(c.Tools) {
		path := []string{"tools", name}
		values := func(given map[string]Value, key ...string) map[string]tool.Value {
			all := make(map[string]tool.Value, len(given))
			for _, n := range sorted(given) {
				where := c.file.where(append(append(path[:2:2], key...), n)...)
				all[n] = given[n].value(bad, where, environ)
			}
			return all
		}
		t := c.Tools[name]
		made := tool.Config{
			Name: name, Description: t.Description, ReadOnly: t.ReadOnly, Timeout: t.Timeout, MaxBytes: t.MaxBytes, AllowPrivate: t.AllowPrivate,
		}
		if t.Schema != nil {
			var err error
			if made.Schema, err = json.Marshal(t.Schema); err != nil {
				bad.add(c.file.where("tools", name, "schema"), "it is no JSON: want texts as keys, and no numbers such as .inf")
				continue
			}
		}
		if h := t.HTTP; h != nil {
			made.HTTP = &tool.HTTP{
				Method: h.Method, URL: h.URL, Headers: values(h.Headers, "http", "headers"), Body: tool.Body(h.Body),
				AllowedHosts: h.AllowedHosts, IdempotencyHeader: h.IdempotencyHeader,
			}
		}
		if m := t.MCP; m != nil {
			made.MCP = &tool.MCP{
				Command: m.Command, Env: values(m.Env, "mcp", "env"), URL: m.URL, Headers: values(m.Headers, "mcp", "headers"),
				Allow: m.Allow, ReadOnly: m.ReadOnly,
			}
		}
		for _, f := range made.Check() {
			bad.add(c.file.where(append(path[:2:2], f.Path...)...), "%s", f.Detail)
		}
		c.tools = append(c.tools, made)
	}
}
