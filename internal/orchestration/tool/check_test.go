package tool

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Config)
		want   []string // "path: part of the detail", in order
	}{
		"fine": {func(*Config) {}, nil},
		"fine, whole": {func(c *Config) {
			c.Schema = json.RawMessage(`{"type":"object","properties":{"a":{},"b":{}},"required":["a"]}`)
			c.HTTP = &HTTP{Method: "PATCH", URL: "https://example.com:8443/{a}?b={b}", Body: BodyJSON, AllowedHosts: []string{"cdn.example.com"}, Headers: map[string]Value{"Accept": {Plain: "text/csv"}, "Cookie": {Plain: "session=", Secret: "x"}}}
		}, nil},
		"nothing":   {func(c *Config) { *c = Config{} }, []string{": a tool's name", ": it needs one of http and mcp"}},
		"both":      {func(c *Config) { c.MCP = &MCP{} }, []string{": it needs one of http and mcp"}},
		"bounds":    {func(c *Config) { c.Timeout, c.MaxBytes = -1, 1<<40 }, []string{"timeout: it is not", "max_bytes: it is not"}},
		"a timeout": {func(c *Config) { c.Timeout = 25 * time.Hour }, []string{"timeout: it is not"}},
		"hosts": {
			func(c *Config) {
				c.AllowPrivate, c.HTTP.AllowedHosts = append(c.AllowPrivate, "a/b", ""), []string{"https://x"}
			},
			[]string{"allow_private.1: want a host", "allow_private.2: want a host", "http.allowed_hosts.0: want a host"},
		},
		"no words":       {func(c *Config) { c.Description = "" }, []string{": it needs a description"}},
		"too many words": {func(c *Config) { c.Description = strings.Repeat("x", 5000) }, []string{"description: it has more"}},
		"no schema":      {func(c *Config) { c.Schema = nil }, []string{"schema: it needs a JSON Schema"}},
		"no object":      {func(c *Config) { c.Schema = json.RawMessage(`{"type":"string"}`) }, []string{"schema: arguments are an object"}},
		"a file":         {func(c *Config) { c.Schema = json.RawMessage(`{"type":"object","$ref":"file:///etc/passwd"}`) }, []string{"schema: the JSON Schema cannot be used"}},
		"another host":   {func(c *Config) { c.Schema = json.RawMessage(`{"type":"object","$ref":"http://127.0.0.1/s"}`) }, []string{"schema: the JSON Schema cannot be used"}},
		"a method":       {func(c *Config) { c.HTTP.Method = "get" }, []string{"http.method: want GET"}},
		"a body of GET":  {func(c *Config) { c.HTTP.Body = BodyJSON }, []string{"http.body: a GET has no body"}},
		"a body":         {func(c *Config) { c.HTTP.Body = "form" }, []string{"http.body: want json or none"}},
		"plain HTTP":     {func(c *Config) { c.HTTP.URL = "http://example.com" }, []string{"http.url: want https"}},
		"a file's URL":   {func(c *Config) { c.HTTP.URL = "file:///etc/passwd" }, []string{"http.url: it is no address"}},
		"another scheme": {func(c *Config) { c.HTTP.URL = "ftp://127.0.0.1/" }, []string{"http.url: want https"}},
		"a password":     {func(c *Config) { c.HTTP.URL = "https://a:hunter2@example.com" }, []string{"http.url: it holds a user or a password"}},
		"no URL":         {func(c *Config) { c.HTTP.URL = "/x" }, []string{"http.url: it is no address"}},
		"a fragment":     {func(c *Config) { c.HTTP.URL = "https://example.com/#x" }, []string{"http.url: it is no address"}},
		"a host":         {func(c *Config) { c.HTTP.URL = "https://{host}/" }, []string{"http.url: arguments may stand in its path"}},
		"a host's part":  {func(c *Config) { c.HTTP.URL = "https://a{host}?x" }, []string{"http.url: arguments may stand in its path"}},
		"a key":          {func(c *Config) { c.HTTP.URL = "https://example.com/?{k}=v" }, []string{"http.url: in its query, arguments stand for values"}},
		"braces":         {func(c *Config) { c.HTTP.URL = "https://example.com/{a b}" }, []string{"http.url: a { or } is no placeholder"}},
		"unknown":        {func(c *Config) { c.HTTP.URL = "https://example.com/{a}?b={b}" }, []string{"http.url: {a} is none", "http.url: {b} is none"}},
		"not required": {func(c *Config) {
			c.HTTP.URL, c.Schema = "https://example.com/{a}?b=x{b}&c={c}", json.RawMessage(`{"type":"object","properties":{"a":{},"b":{},"c":{}}}`)
		}, []string{"http.url: {a} must be required", "http.url: {b} must be required"}},
		"headers": {func(c *Config) {
			c.HTTP.Headers = map[string]Value{"a b": {Plain: "x"}, "host": {Plain: "x"}, "X-Api-Key": {Plain: "hunter2"}, "Authorization": {Plain: "Bearer hunter2"}, "X-Line": {Secret: "a\nhunter2"}}
		}, []string{
			"http.headers.Authorization: it may be a secret", "http.headers.X-Api-Key: it may be a secret", "http.headers.X-Line: it holds a line break",
			"http.headers.a b: it is no name", "http.headers.host: it is no name",
		}},
		"an idempotency header": {func(c *Config) { c.HTTP.IdempotencyHeader = "content-type" }, []string{"http.idempotency_header: it is no name"}},
		"fine, a command":       {func(c *Config) { *c = stdio("well") }, nil},
		"fine, an address":      {func(c *Config) { *c = Config{Name: "m", MCP: &MCP{URL: "https://example.com/mcp"}} }, nil},
		"a server": {func(c *Config) {
			*c = Config{Name: "m", Description: "x", MCP: &MCP{URL: "http://example.com", Command: []string{""}}}
		}, []string{"description: an MCP server's tools have their own", "mcp: it needs one of command and url"}},
		"a server's address": {func(c *Config) {
			*c = Config{Name: "m", MCP: &MCP{URL: "http://example.com", Env: map[string]Value{"A": {}}, Headers: map[string]Value{"Authorization": {Plain: "x"}}}}
		}, []string{"mcp.url: want https", "mcp.env: it is for a command", "mcp.headers.Authorization: it may be a secret"}},
		"a server's command": {func(c *Config) {
			*c = Config{Name: "m", AllowPrivate: []string{"a"}, MCP: &MCP{Command: []string{""}, Headers: map[string]Value{"A": {}}, Env: map[string]Value{"A=B": {}, "MY_TOKEN": {Plain: "x"}}, Allow: []string{"a"}, ReadOnly: []string{"b"}}}
		}, []string{
			"mcp.command: it names no program", "mcp.headers: they are for a url", "allow_private: it is for a url", "mcp.env.A=B: it is no name of a variable",
			"mcp.env.MY_TOKEN: it may be a secret", `mcp.read_only: "b" is not in allow`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := here("https://example.com/x")
			tt.change(&c)
			got := c.Check()
			for i := range max(len(got), len(tt.want)) {
				switch {
				case i >= len(got):
					t.Errorf("want %q", tt.want[i])
				case i >= len(tt.want) || !strings.HasPrefix(strings.Join(got[i].Path, ".")+": "+got[i].Detail, tt.want[i]):
					t.Errorf("got %v", got[i])
				}
			}
			for _, f := range got {
				if strings.Contains(f.Detail, "hunter2") {
					t.Errorf("a secret is shown: %v", f)
				}
			}
			if len(got) > 0 {
				if _, err := Open(t.Context(), Options{Tools: []Config{c}}); err == nil {
					t.Error("it was opened all the same")
				}
			}
		})
	}
}

func TestTwoOfAName(t *testing.T) {
	_, err := Open(t.Context(), Options{Tools: []Config{here("https://a.example"), here("https://b.example")}})
	if err == nil || !strings.Contains(err.Error(), "two tools are called web") {
		t.Error(err)
	}
}

func TestToolsAreListed(t *testing.T) {
	second := here("https://a.example")
	second.Name, second.ReadOnly, second.Schema = "all", true, json.RawMessage(`{"type":"object","properties":{}}`)
	s, _ := open(t, here("https://b.example"), second)
	list := s.Tools()
	if len(list) != 2 || list[0].Name != "all" || !list[0].ReadOnly || string(list[0].Schema) != string(second.Schema) ||
		list[1].Name != "web" || list[1].ReadOnly || list[1].Description != "asks the web" {
		t.Errorf("got %+v", list)
	}
}
