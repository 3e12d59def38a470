package simulator

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Simulator is an [http.Handler] that speaks the chat completions API. It is
// safe for concurrent use.
type Simulator struct {
	opts     Options
	calls    atomic.Int64 // that have arrived
	inFlight atomic.Int64
	peak     atomic.Int64
	cache    prefixCache
	ledger   ledger
	buffers  sync.Pool
}

// New makes a simulator.
//
// Its answer to a JSON Schema is a minimal value: what is required and no more.
// It knows type, enum, const, the bounds of numbers, strings, arrays and
// objects, the usual formats, properties, items, prefixItems, $ref within the
// schema, allOf, anyOf and oneOf. A schema for which it finds no value of at
// most 1 MiB and 64 levels gets a 400.
//
// [Reset], [Cut] and [Hang] end by panicking with [http.ErrAbortHandler], which
// is how a handler breaks its connection.
func New(opts Options) *Simulator {
	s := &Simulator{opts: opts, ledger: ledger{size: opts.Ledger}}
	s.buffers.New = func() any { return new(bytes.Buffer) }
	return s
}

// Requests returns the latest calls, as many as [Options.Ledger] keeps, in the
// order of arrival. A body that could not be read as a request is not among them.
func (s *Simulator) Requests() []Record { return s.ledger.list() }

// Counts are numbers of calls.
type Counts struct {
	Calls    int // that have arrived
	InFlight int
	Peak     int // the most that were in flight at once
}

// Counts returns the numbers of calls so far.
func (s *Simulator) Counts() Counts {
	return Counts{int(s.calls.Load()), int(s.inFlight.Load()), int(s.peak.Load())}
}

const modelList = `{"object":"list","data":[` +
	`{"id":"gpt-5","object":"model","created":1754000000,"owned_by":"simulator"},` +
	`{"id":"gpt-5-mini","object":"model","created":1754000000,"owned_by":"simulator"},` +
	`{"id":"simulator","object":"model","created":1754000000,"owned_by":"simulator"}]}`

// ServeHTTP implements [http.Handler]. Any model's name is taken, and any base path.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	chat, models := strings.HasSuffix(r.URL.Path, "/chat/completions"), strings.HasSuffix(r.URL.Path, "/models")
	switch {
	case chat && r.Method == http.MethodPost:
		s.chat(w, r)
	case models && r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, modelList)
	case chat || models:
		(&apiError{http.StatusMethodNotAllowed, "invalid_request_error", "method_not_supported", "", "Not allowed to " + r.Method + " on this URL."}).write(w)
	default:
		(&apiError{http.StatusNotFound, "invalid_request_error", "unknown_url", "", "Unknown request URL. Please check the URL for typos."}).write(w)
	}
}

// chat performs one call.
func (s *Simulator) chat(w http.ResponseWriter, r *http.Request) {
	inFlight := s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	for peak := s.peak.Load(); inFlight > peak && !s.peak.CompareAndSwap(peak, inFlight); {
		peak = s.peak.Load()
	}
	body, fail := s.readRequest(w, r)
	if fail != nil {
		s.calls.Add(1)
		fail.write(w)
		return
	}
	c := s.newCall(w, r, body)
	defer s.ledger.edit(func() { c.record.Ended = time.Now() })
	if s.opts.Capacity > 0 && inFlight > int64(s.opts.Capacity) {
		c.fail(faultErrors[RateLimited])
		return
	}
	if fail := body.check(s.opts.Unsupported); fail != nil {
		c.fail(fail)
		return
	}
	if fail := c.measure(); fail != nil {
		c.fail(fail)
		return
	}
	c.perform(s.fault(c))
}

// newCall numbers a call and opens its record.
func (s *Simulator) newCall(w http.ResponseWriter, r *http.Request, body *chatRequest) *call {
	req := Request{
		Index:     int(s.calls.Add(1) - 1),
		Time:      time.Now(),
		Model:     body.Model,
		Messages:  make([]Message, len(body.Messages)),
		Stream:    body.Stream,
		MaxTokens: body.tokenLimit(),
		Header:    r.Header,
		ctx:       r.Context(),
	}
	if body.schema() != nil {
		req.Schema = body.ResponseFormat.JSONSchema.Name
	}
	for i, m := range body.Messages {
		req.Messages[i] = Message{
			Author: m.Role, Text: m.Content.text, Images: m.Content.images,
			ToolCalls: toolCallsOf(m.ToolCalls), Answers: m.ToolCallID,
		}
	}
	for _, t := range body.Tools {
		req.Tools = append(req.Tools, t.Function.Name)
	}
	req.Role = roleOf(req.Schema, body.schema(), req.Messages)
	const stream = 0x7475747469 // any: it keeps these draws apart from those of the answers
	return &call{
		sim: s, w: w, body: body, record: s.ledger.open(req, body.digest), Request: req, continues: continued(req.Messages),
		rng: rand.New(rand.NewPCG(s.opts.Seed^stream, uint64(req.Index))),
	}
}

// fault decides what goes wrong with a call.
func (s *Simulator) fault(c *call) Fault {
	drawn := pick(s.opts.Faults, numFaults, c.rng.Float64())
	if s.opts.Fail != nil {
		if f := s.opts.Fail(c.Request); f != NoFault {
			return f
		}
	}
	return drawn
}
