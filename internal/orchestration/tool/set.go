package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
)

// Bounds of a call's arguments.
const (
	maxArguments = 256 << 10 // bytes
	maxDepth     = 64
)

// Options are what a Set is made of.
type Options struct {
	Tools []Config // each must pass [Config.Check]; their names differ
	// Observe is told of every call of a tool that there is; may be nil. The tool's
	// name is one of [Set.Tools].
	Observe func(tool string, outcome Outcome, took time.Duration)
}

// A Set is all tools that there are. It is safe for concurrent use, and must be
// closed.
type Set struct {
	tools   map[string]*tool
	closers []func() // of what stays open between calls
	observe func(string, Outcome, time.Duration)

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
	ctx    context.Context // it ends with the Set, and so do its calls
	stop   context.CancelFunc
}

// A tool is one of a Set.
type tool struct {
	orchestration.Tool
	schema *schema.Schema
	call   call
}

// A call calls a tool with arguments that fit its schema.
type call func(ctx context.Context, arguments map[string]json.RawMessage, key string) ending

// Open returns the Set of all tools, those of the MCP servers among them, which
// are started and asked what they have, all at once. The error has every
// fault: a server that does not answer within its timeout is one.
func Open(ctx context.Context, o Options) (*Set, error) {
	s := &Set{tools: map[string]*tool{}, observe: o.Observe}
	if s.observe == nil {
		s.observe = func(string, Outcome, time.Duration) {}
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	var bad []error
	for _, c := range o.Tools {
		for _, f := range c.Check() {
			bad = append(bad, fmt.Errorf("tool %s: %s: %s", c.Name, strings.Join(f.Path, "."), f.Detail))
		}
	}
	if len(bad) > 0 {
		s.stop()
		return nil, errors.Join(bad...)
	}
	var servers []*server
	for _, c := range o.Tools {
		c = c.withDefaults()
		if c.MCP != nil {
			servers = append(servers, newServer(c))
			continue
		}
		r, err := newRequest(c)
		if err == nil {
			s.closers = append(s.closers, r.close)
			err = s.add(orchestration.Tool{Name: c.Name, Description: c.Description, Schema: c.Schema, ReadOnly: c.ReadOnly}, r.call)
		}
		bad = append(bad, err)
	}
	bad = append(bad, s.open(ctx, servers)...)
	if err := errors.Join(bad...); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// open adds the tools of all servers.
func (s *Set) open(ctx context.Context, servers []*server) (bad []error) {
	lists, errs := make([][]orchestration.Tool, len(servers)), make([]error, len(servers))
	var asked sync.WaitGroup
	for i, server := range servers {
		s.closers = append(s.closers, server.close)
		asked.Go(func() { lists[i], errs[i] = server.open(ctx) })
	}
	asked.Wait()
	for i, server := range servers {
		bad = append(bad, errs[i])
		for _, t := range lists[i] {
			bad = append(bad, s.add(t, server.caller(t.Name)))
		}
	}
	return bad
}

func (s *Set) add(t orchestration.Tool, call call) error {
	compiled, err := schema.Compile(t.Schema)
	switch {
	case err != nil:
		return fmt.Errorf("tool %s: %w", t.Name, err)
	case s.tools[t.Name] != nil:
		return fmt.Errorf("two tools are called %s", t.Name)
	}
	s.tools[t.Name] = &tool{Tool: t, schema: compiled, call: call}
	return nil
}

// Tools returns all tools, by name.
func (s *Set) Tools() []orchestration.Tool {
	list := make([]orchestration.Tool, 0, len(s.tools))
	for _, name := range slices.Sorted(maps.Keys(s.tools)) {
		list = append(list, s.tools[name].Tool)
	}
	return list
}

// Call calls the tool of that name. Arguments are a JSON object; none at all are
// an empty one. The key says which calls are the same one, made again; the tool
// gets it as an idempotency key. It may be empty.
//
// The result is the tool's answer: text in UTF-8, which may be JSON, of which
// nothing is known but its size.
//
// A failure of [orchestration.CodeOutputInvalid] says that nothing went out, as
// there is no such tool or the arguments do not suit it: its detail is for
// whoever wrote them. [orchestration.CodeToolFailed] is the tool's own failure, or
// that of the way to it, [orchestration.CodeOutputTooLarge] an answer that was
// given up, [orchestration.CodeCanceled] the end of ctx or of the Set. Whether a
// call that broke off or timed out had an effect is not known.
func (s *Set) Call(ctx context.Context, name string, arguments json.RawMessage, key string) (string, *orchestration.Failure) {
	t := s.tools[name]
	if t == nil {
		return "", invalid("there is no tool of that name").failure
	}
	if !s.begin() {
		return "", canceled().failure
	}
	defer s.calls.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	started := time.Now()
	e := t.checked(ctx, arguments, key)
	s.observe(name, e.outcome, time.Since(started))
	return e.text, e.failure
}

// checked calls the tool unless the arguments do not suit it.
func (t *tool) checked(ctx context.Context, arguments json.RawMessage, key string) ending {
	arguments, values, err := readArguments(arguments)
	if err != nil {
		return invalid("the arguments cannot be read: %v", err)
	}
	if violations := t.schema.Validate(arguments); len(violations) > 0 {
		said := make([]string, len(violations))
		for i, v := range violations {
			said[i] = v.String()
		}
		return invalid("the arguments do not fit the tool's schema: %s", strings.Join(said, "; "))
	}
	return t.call(ctx, values, key)
}

// readArguments reads a JSON object, within bounds. None at all is an empty one.
func readArguments(arguments json.RawMessage) (json.RawMessage, map[string]json.RawMessage, error) {
	arguments = bytes.TrimSpace(arguments)
	if len(arguments) == 0 {
		arguments = json.RawMessage(`{}`)
	}
	if len(arguments) > maxArguments {
		return nil, nil, fmt.Errorf("they have more than %d bytes", maxArguments)
	}
	d := jsontext.NewDecoder(bytes.NewReader(arguments))
	for {
		_, err := d.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			var values map[string]json.RawMessage
			if json.Unmarshal(arguments, &values) != nil || values == nil {
				return nil, nil, errors.New("want a JSON object")
			}
			return arguments, values, nil
		case errors.Is(err, jsontext.ErrDuplicateName):
			return nil, nil, errors.New("an object names a member twice")
		case err != nil:
			return nil, nil, errors.New("they are not valid JSON")
		case d.StackDepth() > maxDepth:
			return nil, nil, fmt.Errorf("they are nested deeper than %d levels", maxDepth)
		}
	}
}

func (s *Set) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.calls.Add(1)
	return true
}

// Close gives up the calls under way, ends the servers and returns when none of
// them is left.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.calls.Wait()
	var ended sync.WaitGroup
	for _, end := range s.closers {
		ended.Go(end)
	}
	ended.Wait()
}
