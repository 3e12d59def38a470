package tool

import (
	"encoding/json"
	"net/http"
	"time"
)

// A Config declares one tool (HTTP) or a server of tools (MCP): exactly one of
// the two is set. It must pass [Config.Check].
type Config struct {
	Name        string          // letters, digits, _ and -, at most 64; of a server: what its tools' names begin with
	Description string          // for the models; of a server: its tools have their own
	Schema      json.RawMessage // of the arguments, a JSON Schema of an object; of a server: likewise
	ReadOnly    bool            // it changes nothing

	Timeout      time.Duration // of a call; 0: 30 s
	MaxBytes     int           // of an answer; 0: 1 MB
	AllowPrivate []string      // hosts, by name or IP address, that may be at addresses that are not public

	HTTP *HTTP
	MCP  *MCP
}

// HTTP is a tool that is one request.
type HTTP struct {
	Method string // empty: GET
	// URL may hold arguments in its path and its query, as {name}: they are
	// percent-encoded. A pair of the query is left out with an argument that was
	// not given and makes up all of its value.
	URL     string
	Headers map[string]Value
	// Body says where the arguments go that the URL does not name.
	Body Body
	// AllowedHosts are those that a redirect of a GET may lead to. Headers do not go
	// there. Unless there are any, redirects are not followed.
	AllowedHosts []string
	// IdempotencyHeader carries the call's key; empty: Idempotency-Key. The word
	// none sends none.
	IdempotencyHeader string
}

// MCP is a server of tools: a process, or an address.
type MCP struct {
	Command []string         // the program and its arguments
	Env     map[string]Value // of the process, beside PATH, HOME, LANG, TMPDIR and TZ
	URL     string           // of streamable HTTP
	Headers map[string]Value
	// Allow are those of its tools that may be called, by its own names; empty: all.
	Allow    []string
	ReadOnly []string // those of its tools that change nothing
}

// A Value is a plain text that a secret may follow, such as "Bearer " and a token.
type Value struct {
	Plain  string
	Secret Secret
}

func (v Value) text() string { return v.Plain + string(v.Secret) }

// A Secret is never shown.
type Secret string

func (Secret) String() string { return "(secret)" }

// GoString is what %#v shows.
func (Secret) GoString() string { return "(secret)" }

// A Body says where the arguments go that the URL does not name.
type Body string

const (
	// BodyDefault is BodyJSON for POST, PUT and PATCH, and BodyNone for others.
	BodyDefault Body = ""
	// BodyJSON sends them as a JSON object.
	BodyJSON Body = "json"
	// BodyNone sends no body: they go into the query.
	BodyNone Body = "none"
)

// What holds where a Config says nothing.
const (
	defaultTimeout           = 30 * time.Second
	defaultMaxBytes          = 1 << 20
	defaultIdempotencyHeader = "Idempotency-Key"
	noHeader                 = "none"
)

// Ceilings of what a Config may say.
const (
	maxTimeout  = time.Hour
	maxMaxBytes = 16 << 20
)

// withDefaults fills in what was not said.
func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.HTTP == nil {
		return c
	}
	h := *c.HTTP
	if h.Method == "" {
		h.Method = http.MethodGet
	}
	if h.Body == BodyDefault {
		h.Body = BodyNone
		if h.Method == http.MethodPost || h.Method == http.MethodPut || h.Method == http.MethodPatch {
			h.Body = BodyJSON
		}
	}
	switch h.IdempotencyHeader {
	case "":
		h.IdempotencyHeader = defaultIdempotencyHeader
	case noHeader:
		h.IdempotencyHeader = ""
	}
	c.HTTP = &h
	return c
}

// secrets are all that the tool's answers must not give away.
func (c Config) secrets() []string {
	var all []string
	for _, values := range c.values() {
		for _, v := range values {
			if v.Secret != "" {
				all = append(all, string(v.Secret))
			}
		}
	}
	return all
}

func (c Config) values() []map[string]Value {
	var all []map[string]Value
	if c.HTTP != nil {
		all = append(all, c.HTTP.Headers)
	}
	if c.MCP != nil {
		all = append(all, c.MCP.Headers, c.MCP.Env)
	}
	return all
}
