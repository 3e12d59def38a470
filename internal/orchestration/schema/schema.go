// Package schema checks JSON against JSON Schemas that strangers wrote: callers,
// models' tools, templates. Neither a schema nor a value can make it read files,
// open connections or keep a processor busy.
package schema

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Bounds of a schema.
const (
	maxBytes = 64 << 10
	maxDepth = 64
)

// Bounds of what is said about it, in faults and in bytes.
const (
	maxViolations = 20
	maxDetail     = 200
	maxError      = 500
)

// A Schema is a JSON Schema, compiled. It is safe for concurrent use; it checks
// one value after the other.
type Schema struct {
	schema *jsonschema.Schema

	patterns int // instructions of all of them

	mu     sync.Mutex
	effort int // left for the value that is being checked
}

// passed are the hashes of schemas that were found to be good lately: templates and
// callers bring the same ones with every run. When there are many it begins anew.
var passed struct {
	sync.Mutex
	names map[[sha256.Size]byte]bool
}

const mostPassed = 1000

// Check returns why a JSON Schema cannot be used, nil when it can. It must be an
// object, in itself complete (no reference leads out of it, and none is dynamic),
// of at most 64 kB and 64 levels.
func Check(raw json.RawMessage) error {
	name := sha256.Sum256(raw)
	passed.Lock()
	known := passed.names[name]
	passed.Unlock()
	if known {
		return nil
	}
	if _, err := Compile(raw); err != nil {
		return err
	}
	passed.Lock()
	defer passed.Unlock()
	if passed.names == nil || len(passed.names) >= mostPassed {
		passed.names = map[[sha256.Size]byte]bool{}
	}
	passed.names[name] = true
	return nil
}

// Compile returns the Schema that raw is. Its errors are those of [Check].
func Compile(raw json.RawMessage) (compiled *Schema, err error) {
	if err := checkSize(raw); err != nil {
		return nil, err
	}
	defer func() {
		if recover() != nil { // the library is fed what nobody has checked
			compiled, err = nil, errors.New("the JSON Schema cannot be used")
		}
	}()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, errors.New("the JSON Schema is not valid JSON")
	}
	if !tame(document) {
		return nil, errors.New("the JSON Schema has a number that is too large")
	}
	const place = "schema:///json_schema"
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	compiled = new(Schema)
	c.UseRegexpEngine(compiled.pattern)
	if err := c.AddResource(place, document); err != nil {
		return nil, schemaError(err)
	}
	schema, err := c.Compile(place)
	if err != nil {
		return nil, schemaError(err)
	}
	compiled.schema = schema
	if err := compiled.meter(schema, map[*jsonschema.Schema]bool{}); err != nil {
		return nil, err
	}
	Bound(schema, maxViolations)
	return compiled, nil
}

// schemaError says in one line why a schema cannot be used: where it breaks the
// rules for schemas, and which, or what the library says of it.
func schemaError(err error) error {
	said := err.Error()
	var invalid *jsonschema.SchemaValidationError
	var failed *jsonschema.ValidationError
	if errors.As(err, &invalid) && errors.As(invalid.Err, &failed) {
		var faults []string
		for _, v := range leaves(failed, nil, message.NewPrinter(language.English)) {
			faults = append(faults, v.String())
		}
		slices.Sort(faults) // the library finds them in any order
		said = strings.Join(faults, "; ")
	}
	return errors.New(shortly("the JSON Schema cannot be used: "+said, maxError))
}

func checkSize(raw json.RawMessage) error {
	if len(raw) > maxBytes {
		return fmt.Errorf("the JSON Schema has %d bytes; at most %d are allowed", len(raw), maxBytes)
	}
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if d.PeekKind() != '{' {
		return errors.New("the JSON Schema must be an object")
	}
	for {
		switch _, err := d.ReadToken(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errors.New("the JSON Schema is not valid JSON")
		case d.StackDepth() > maxDepth:
			return fmt.Errorf("the JSON Schema is nested too deep; at most %d levels are allowed", maxDepth)
		}
	}
}

// A noLoader loads nothing: a stranger's schema must not make us read files or
// open connections.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("references out of the schema are not followed")
}

// Bounds of a number: its characters and its power of ten. The library writes
// numbers out in full, so that a few bytes like 1e999999 keep it busy for long.
const (
	maxDigits   = 1100
	maxExponent = 1000
)

// tame reports whether all numbers of a value are within their bounds.
func tame(v any) bool {
	switch v := v.(type) {
	case json.Number:
		_, power, _ := strings.Cut(strings.ToLower(string(v)), "e")
		n, err := strconv.Atoi(cmp.Or(power, "0"))
		return len(v) <= maxDigits && err == nil && n >= -maxExponent && n <= maxExponent
	case []any:
		return !slices.ContainsFunc(v, func(v any) bool { return !tame(v) })
	case map[string]any:
		for _, v := range v {
			if !tame(v) {
				return false
			}
		}
	}
	return true
}

// A Violation is a place where a value breaks the schema.
type Violation struct {
	Pointer string // into the value; empty: all of it
	Detail  string // may quote the value
	Rule    string // the same without a word of the value, but for the names in it
}

// String returns both, for people.
func (v Violation) String() string {
	if v.Pointer == "" {
		return v.Detail
	}
	return v.Pointer + ": " + v.Detail
}

// plainly is a violation of the whole value, whose words are ours.
func plainly(words string) Violation { return Violation{Detail: words, Rule: words} }

// Validate returns where value breaks the schema, at most 20 places; nil when it
// satisfies it.
func (s *Schema) Validate(value json.RawMessage) (violations []Violation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		if recover() != nil {
			violations = []Violation{plainly("it is too involved to be checked against the schema")}
		}
	}()
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return []Violation{plainly("it is not valid JSON")}
	}
	if !tame(instance) {
		return []Violation{plainly("it has a number that is too large")}
	}
	s.effort = leastEffort + effortPerByte*len(value)
	s.pay(entry(s.schema))
	var failed *jsonschema.ValidationError
	switch err := s.schema.Validate(instance); {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		violations = leaves(failed, nil, message.NewPrinter(language.English))
	}
	if len(violations) == 0 {
		violations = []Violation{plainly("it does not satisfy the schema")}
	}
	return violations
}

// leaves adds the faults at the ends of a tree of faults.
func leaves(e *jsonschema.ValidationError, found []Violation, p *message.Printer) []Violation {
	if len(found) == maxViolations {
		return found
	}
	if len(e.Causes) == 0 && e.ErrorKind != nil {
		return append(found, Violation{pointerTo(e.InstanceLocation), shortly(e.ErrorKind.LocalizedString(p), maxDetail), ruleOf(e.ErrorKind)})
	}
	for _, cause := range e.Causes {
		found = leaves(cause, found, p)
	}
	return found
}

func pointerTo(path []string) string {
	var p jsontext.Pointer
	for _, token := range path {
		if p = p.AppendToken(token); len(p) > maxDetail {
			break
		}
	}
	return shortly(string(p), maxDetail)
}

// shortly cuts a text that is longer than most bytes, between characters.
func shortly(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
