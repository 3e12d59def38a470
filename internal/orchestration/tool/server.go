package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/time/rate"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
)

// Bounds of what a server says.
const (
	maxTools    = 128
	maxToolName = 64
	maxOverhead = 1 << 20 // bytes of a message beside an answer: names, schemas, escapes
	copies      = 3       // of an answer in a message: structured, and as text whose quotes are escaped
)

// A process that dies is started again by the calls that come: at once for a few
// times, and then this often. A session over HTTP costs no more than a call.
const (
	restartsAtOnce = 3
	restartEvery   = 20 * time.Second
)

// A server is an MCP server. Its session is made when it is needed.
type server struct {
	Config
	censor   *strings.Replacer
	original map[string]string // the server's names of its tools, by ours
	restarts *rate.Limiter

	// turn holds the session, nil when there is none. Whoever has taken it out may
	// make a new one.
	turn chan *session
}

func newServer(c Config) *server {
	s := &server{
		Config: c, censor: newCensor(c.secrets()), original: map[string]string{},
		restarts: rate.NewLimiter(rate.Every(restartEvery), restartsAtOnce), turn: make(chan *session, 1),
	}
	s.turn <- nil
	return s
}

// open connects to the server and returns the tools that it has and may be
// called, under our names.
func (s *server) open(ctx context.Context) ([]orchestration.Tool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	session, err := connect(ctx, s.Config)
	<-s.turn
	s.turn <- session
	if err != nil {
		return nil, fmt.Errorf("tool %s: the MCP server does not answer: %s", s.Name, s.why(ctx, err))
	}
	list, err := s.list(ctx, session)
	if err != nil {
		return nil, fmt.Errorf("tool %s: the MCP server's tools: %w", s.Name, err)
	}
	return list, nil
}

func (s *server) list(ctx context.Context, session *session) ([]orchestration.Tool, error) {
	var tools []orchestration.Tool
	var bad []error
	missing := slices.Clone(s.MCP.Allow)
	for t, err := range session.Tools(ctx, nil) {
		if err != nil {
			return nil, errors.New(s.why(ctx, err))
		}
		if len(s.MCP.Allow) > 0 && !slices.Contains(s.MCP.Allow, t.Name) {
			continue
		}
		if len(tools) == maxTools {
			return nil, fmt.Errorf("there are more than %d; list those to be used in allow", maxTools)
		}
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == t.Name })
		one, err := s.adopt(t)
		bad, tools = append(bad, err), append(tools, one)
	}
	for _, name := range missing {
		bad = append(bad, fmt.Errorf("it has no %.100q, which allow names", name))
	}
	for _, name := range s.MCP.ReadOnly {
		if !slices.ContainsFunc(tools, func(t orchestration.Tool) bool { return s.original[t.Name] == name }) {
			bad = append(bad, fmt.Errorf("it has no %.100q, which read_only names", name))
		}
	}
	return tools, errors.Join(bad...)
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// adopt returns a server's tool as one of ours.
func (s *server) adopt(t *mcp.Tool) (orchestration.Tool, error) {
	name := s.Name + "_" + notInName.ReplaceAllString(t.Name, "_")
	if len(name) > maxToolName {
		return orchestration.Tool{}, fmt.Errorf("%.100q has too long a name: %s_%.100s is longer than %d bytes", t.Name, s.Name, t.Name, maxToolName)
	}
	raw, err := jsonv2.Marshal(t.InputSchema, jsonv2.Deterministic(true))
	if err == nil {
		err = schema.Check(raw)
	}
	if err != nil {
		return orchestration.Tool{}, fmt.Errorf("%s cannot be used, leave it out of allow: %w", name, err)
	}
	s.original[name] = t.Name
	description := strings.ToValidUTF8(t.Description, "")
	return orchestration.Tool{
		Name: name, Description: shortly(description, maxDescription), Schema: raw, ReadOnly: slices.Contains(s.MCP.ReadOnly, t.Name),
	}, nil
}

// caller returns what calls the server's tool of that name of ours.
func (s *server) caller(name string) func(context.Context, map[string]json.RawMessage, string) ending {
	return func(ctx context.Context, arguments map[string]json.RawMessage, key string) ending {
		patient := ctx
		ctx, cancel := context.WithTimeout(ctx, s.Timeout)
		defer cancel()
		session, trouble := s.session(ctx, patient)
		if trouble != nil {
			return *trouble
		}
		params := &mcp.CallToolParams{Name: s.original[name], Arguments: arguments}
		if key != "" {
			params.Meta = mcp.Meta{"idempotency-key": keyOf(key)}
		}
		result, below, err := session.call(ctx, params)
		if err != nil {
			return s.broke(patient, below, err)
		}
		return s.read(result)
	}
}

// session returns a session that is not known to be dead, a new one if need be.
func (s *server) session(ctx, patient context.Context) (*session, *ending) {
	var current *session
	select {
	case current = <-s.turn:
	case <-ctx.Done():
		e := broke(patient, ctx.Err(), s.Timeout)
		return nil, &e
	}
	defer func() { s.turn <- current }()
	if current.alive() {
		return current, nil
	}
	current.close()
	current = nil
	if s.MCP.URL == "" && !s.restarts.Allow() {
		e := failed(Unavailable, true, "the tool's server has ended too often; it is started again later")
		e.failure.RetryAfter = restartEvery
		return nil, &e
	}
	fresh, err := connect(ctx, s.Config)
	if err != nil {
		e := s.broke(patient, new(trace), err)
		return nil, &e
	}
	current = fresh
	return current, nil
}

// codeRejected is what the SDK says of an answer by HTTP that leaves the session
// as it is, such as a 503.
const codeRejected = -32005

// broke says why there was no result.
func (s *server) broke(patient context.Context, below *trace, err error) ending {
	var said *jsonrpc.Error
	met := below.answer.Load()
	switch {
	case patient.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, mcp.ErrSessionMissing):
		return broke(patient, err, s.Timeout)
	case below.tooLong.Load(), errors.As(err, &said) && said.Code == codeTooLong:
		return tooLarge(s.MaxBytes)
	case errors.As(err, &said) && said.Code != codeRejected:
		return failed(Refused, false, "the tool's server refused the call: %s", words(s.censor.Replace(said.Message)))
	case met != nil:
		return refused(met.status, met.header, "")
	}
	return broke(patient, err, s.Timeout)
}

// why says for the operator why a server could not be asked.
func (s *server) why(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "not within " + s.Timeout.String()
	}
	return words(s.censor.Replace(err.Error()))
}

// read returns what a result says: its structured content if there is any, else
// its texts.
func (s *server) read(result *mcp.CallToolResult) ending {
	var texts []string
	for _, c := range result.Content {
		switch c := c.(type) {
		case *mcp.TextContent:
			texts = append(texts, c.Text)
		case *mcp.EmbeddedResource:
			if c.Resource != nil && c.Resource.Text != "" {
				texts = append(texts, c.Resource.Text)
			}
		}
	}
	text := strings.Join(texts, "\n")
	if result.IsError {
		return failed(Refused, false, "the tool failed: %s", words(s.censor.Replace(text)))
	}
	if result.StructuredContent != nil {
		raw, err := jsonv2.Marshal(result.StructuredContent, jsonv2.Deterministic(true))
		if err != nil {
			return failed(Unreadable, false, "the tool's answer cannot be read")
		}
		text = string(raw)
	}
	switch {
	case len(text) > s.MaxBytes:
		return tooLarge(s.MaxBytes)
	case result.NeedsInput(), text == "" && len(result.Content) > len(texts), !utf8.ValidString(text):
		return failed(Unreadable, false, "the tool answered with what is no text")
	}
	return ending{outcome: OK, text: s.censor.Replace(text)}
}

// close ends the session, and with it the process. No call is under way.
func (s *server) close() {
	current := <-s.turn
	current.close()
	s.turn <- nil
}
