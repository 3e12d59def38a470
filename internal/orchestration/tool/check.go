package tool

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration/schema"
)

// A Fault is something that is wrong with a Config.
type Fault struct {
	Path   []string // of keys, as the configuration calls them
	Detail string   // holds no values that may be secret
}

type faults struct{ list []Fault }

func (f *faults) add(detail string, path ...string) {
	f.list = append(f.list, Fault{Path: path, Detail: detail})
}

var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	headerForm = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")
	envForm    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,200}$`)
	// secretName tells what had better be no plain value.
	secretName = regexp.MustCompile(`(?i)auth|token|secret|passw|cookie|credential|api[-_]?key|access[-_]?key|private[-_]?key`)
	hostForm   = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.:-]*[a-z0-9_])?$|^::1?$`)
)

// ours are headers that a request gets from us or from its transport.
var ours = []string{"Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Upgrade", "Te", "Trailer", "Accept-Encoding"}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// Check returns everything that is wrong with it.
func (c Config) Check() []Fault {
	var bad faults
	if !nameForm.MatchString(c.Name) {
		bad.add("a tool's name is made of letters, digits, _ and -, at most 64")
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		bad.add(fmt.Sprintf("it is not between 0 and %s", maxTimeout), "timeout")
	}
	if c.MaxBytes < 0 || c.MaxBytes > maxMaxBytes {
		bad.add(fmt.Sprintf("it is not between 0 and %d", maxMaxBytes), "max_bytes")
	}
	checkHosts(&bad, c.AllowPrivate, "allow_private")
	switch {
	case (c.HTTP == nil) == (c.MCP == nil):
		bad.add("it needs one of http and mcp")
	case c.HTTP != nil:
		c.checkHTTP(&bad)
	default:
		c.checkMCP(&bad)
	}
	return bad.list
}

func (c Config) checkHTTP(bad *faults) {
	h := c.withDefaults().HTTP
	if c.Description == "" {
		bad.add("it needs a description: models know it by nothing else")
	}
	if len(c.Description) > maxDescription {
		bad.add(fmt.Sprintf("it has more than %d bytes", maxDescription), "description")
	}
	known, err := readSchema(c.Schema)
	if err != nil {
		bad.add(err.Error(), "schema")
	}
	if !slices.Contains(methods, h.Method) {
		bad.add("want GET, HEAD, POST, PUT, PATCH or DELETE", "http", "method")
	}
	switch h.Body {
	case BodyJSON, BodyNone:
		if h.Body == BodyJSON && (h.Method == http.MethodGet || h.Method == http.MethodHead) {
			bad.add("a "+h.Method+" has no body", "http", "body")
		}
	default:
		bad.add("want json or none", "http", "body")
	}
	if target, err := parseTarget(h.URL); err != nil {
		bad.add(err.Error(), "http", "url")
	} else {
		checkURL(bad, target.base, c.AllowPrivate, "http", "url")
		if known != nil {
			target.check(bad, known)
		}
	}
	checkHeaders(bad, h.Headers, "http", "headers")
	checkHosts(bad, h.AllowedHosts, "http", "allowed_hosts")
	if name := h.IdempotencyHeader; name != "" && (!headerForm.MatchString(name) || slices.Contains(ours, http.CanonicalHeaderKey(name))) {
		bad.add("it is no name of a header, or one that is ours", "http", "idempotency_header")
	}
}

func (c Config) checkMCP(bad *faults) {
	m := c.MCP
	for key, set := range map[string]bool{"description": c.Description != "", "schema": len(c.Schema) > 0, "read_only": c.ReadOnly} {
		if set {
			bad.add("an MCP server's tools have their own; mcp.read_only lists those that change nothing", key)
		}
	}
	switch {
	case (len(m.Command) == 0) == (m.URL == ""):
		bad.add("it needs one of command and url", "mcp")
	case m.URL != "":
		if u, err := url.Parse(m.URL); err != nil || u.Host == "" || u.Fragment != "" {
			bad.add("it is no address such as https://example.com/mcp", "mcp", "url")
		} else {
			checkURL(bad, u, c.AllowPrivate, "mcp", "url")
		}
		if len(m.Env) > 0 {
			bad.add("it is for a command", "mcp", "env")
		}
	default:
		if m.Command[0] == "" {
			bad.add("it names no program", "mcp", "command")
		}
		if len(m.Headers) > 0 {
			bad.add("they are for a url", "mcp", "headers")
		}
		if len(c.AllowPrivate) > 0 {
			bad.add("it is for a url: where a command connects to is its own affair", "allow_private")
		}
	}
	checkHeaders(bad, m.Headers, "mcp", "headers")
	for _, name := range slices.Sorted(maps.Keys(m.Env)) {
		if !envForm.MatchString(name) {
			bad.add("it is no name of a variable", "mcp", "env", name)
		}
		checkValue(bad, name, m.Env[name], "mcp", "env", name)
	}
	for _, name := range m.ReadOnly {
		if len(m.Allow) > 0 && !slices.Contains(m.Allow, name) {
			bad.add(fmt.Sprintf("%.100q is not in allow", name), "mcp", "read_only")
		}
	}
}

// checkURL judges where a request goes: by https, or by http to a host that is
// named as private.
func checkURL(bad *faults, u *url.URL, private []string, path ...string) {
	switch {
	case u.User != nil:
		bad.add("it holds a user or a password; use headers", path...)
	case u.Scheme == "https":
	case u.Scheme != "http" || !slices.Contains(hosts(private), hostOf(u.Hostname())):
		bad.add("want https, or http to a host that allow_private names", path...)
	}
}

func checkHosts(bad *faults, list []string, path ...string) {
	for i, host := range list {
		if !hostForm.MatchString(hostOf(host)) {
			bad.add("want a host, by its name or IP address, without a port", append(slices.Clone(path), fmt.Sprint(i))...)
		}
	}
}

func checkHeaders(bad *faults, headers map[string]Value, path ...string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		at := append(slices.Clone(path), name)
		if !headerForm.MatchString(name) || slices.Contains(ours, http.CanonicalHeaderKey(name)) {
			bad.add("it is no name of a header, or one that is ours", at...)
		}
		checkValue(bad, name, headers[name], at...)
	}
}

func checkValue(bad *faults, name string, v Value, path ...string) {
	if v.Secret == "" && v.Plain != "" && secretName.MatchString(name) {
		bad.add("it may be a secret: want {env: VARIABLE} or {file: PATH}", path...)
	}
	if strings.ContainsFunc(v.text(), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		bad.add("it holds a line break or another control character", path...)
	}
}

// shape is what must be known of a schema of arguments beside what it checks.
type shape struct {
	Properties map[string]json.RawMessage `json:"properties"`
	Required   []string                   `json:"required"`
}

// readSchema returns the shape of a schema of arguments.
func readSchema(raw json.RawMessage) (*shape, error) {
	if len(raw) == 0 {
		return nil, errors.New("it needs a JSON Schema of its arguments, such as {type: object, properties: {city: {type: string}}, required: [city]}")
	}
	if err := schema.Check(raw); err != nil {
		return nil, err
	}
	var s struct {
		shape
		Type any `json:"type"`
	}
	if err := json.Unmarshal(raw, &s); err != nil || s.Type != "object" {
		return nil, errors.New("arguments are an object: want type: object")
	}
	return &s.shape, nil
}
