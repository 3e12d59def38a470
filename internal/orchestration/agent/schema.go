package agent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Bounds of a caller's schema, and of the work that checking one answer may be:
// a few hundred bytes of nested anyOf could keep a processor busy for years.
// The effort is in evaluations of a schema, each some microseconds.
const (
	maxSchemaBytes = 64 << 10
	maxSchemaDepth = 64
	leastEffort    = 100_000
	effortPerByte  = 2
)

// A jsonSchema is a caller's schema, compiled. It is not safe for concurrent use.
type jsonSchema struct {
	schema *jsonschema.Schema
	effort int // left for the answer that is being checked
}

// CheckSchema returns why a JSON Schema cannot be used for a synthesis, nil
// when it can. It must be an object, in itself complete (no reference leads out
// of it, and none is dynamic), of at most 64 kB and 64 levels.
func CheckSchema(raw json.RawMessage) error {
	_, err := compileSchema(raw)
	return err
}

func compileSchema(raw json.RawMessage) (compiled *jsonSchema, err error) {
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
	if err := c.AddResource(place, document); err != nil {
		return nil, schemaError(err)
	}
	schema, err := c.Compile(place)
	if err != nil {
		return nil, schemaError(err)
	}
	compiled = &jsonSchema{schema: schema}
	if err := compiled.meter(schema, map[*jsonschema.Schema]bool{}); err != nil {
		return nil, err
	}
	return compiled, nil
}

func schemaError(err error) error {
	return errors.New(shortly("the JSON Schema cannot be used: "+err.Error(), maxDetail))
}

func checkSize(raw json.RawMessage) error {
	if len(raw) > maxSchemaBytes {
		return fmt.Errorf("the JSON Schema has %d bytes; at most %d are allowed", len(raw), maxSchemaBytes)
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
		case d.StackDepth() > maxSchemaDepth:
			return fmt.Errorf("the JSON Schema is nested too deep; at most %d levels are allowed", maxSchemaDepth)
		}
	}
}

// A noLoader loads nothing: a schema of a caller's must not make us read files
// or open connections.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("references out of the schema are not followed")
}

// errEffort is what a check is broken off with.
var errEffort = errors.New("too much work")

// meter has every schema pay for its evaluation, by way of its format: the
// library checks that before it goes on to other schemas.
func (s *jsonSchema) meter(schema *jsonschema.Schema, seen map[*jsonschema.Schema]bool) error {
	if schema == nil || seen[schema] {
		return nil
	}
	seen[schema] = true
	if schema.DynamicRef != nil || schema.RecursiveRef != nil {
		return errors.New("the JSON Schema has dynamic references, which are not supported")
	}
	format := schema.Format
	schema.Format = &jsonschema.Format{Validate: func(v any) error {
		s.pay(v)
		if format == nil {
			return nil
		}
		return format.Validate(v)
	}}
	if format != nil {
		schema.Format.Name = format.Name
	}
	for _, sub := range subschemas(schema) {
		if err := s.meter(sub, seen); err != nil {
			return err
		}
	}
	return nil
}

func (s *jsonSchema) pay(v any) {
	s.effort--
	switch v := v.(type) {
	case map[string]any:
		s.effort -= len(v)
	case []any:
		s.effort -= len(v)
	case string:
		s.effort -= len(v) / 32
	}
	if s.effort < 0 {
		panic(errEffort)
	}
}

// subschemas returns the schemas that evaluating s may lead to.
func subschemas(s *jsonschema.Schema) []*jsonschema.Schema {
	subs := []*jsonschema.Schema{
		s.Ref, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties,
		s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema,
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		subs = append(subs, list...)
	}
	for _, sub := range s.Properties {
		subs = append(subs, sub)
	}
	for _, sub := range s.PatternProperties {
		subs = append(subs, sub)
	}
	for _, sub := range s.DependentSchemas {
		subs = append(subs, sub)
	}
	for _, either := range s.Dependencies {
		if sub, ok := either.(*jsonschema.Schema); ok {
			subs = append(subs, sub)
		}
	}
	for _, either := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		switch sub := either.(type) {
		case *jsonschema.Schema:
			subs = append(subs, sub)
		case []*jsonschema.Schema:
			subs = append(subs, sub...)
		}
	}
	return subs
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

// A violation is a place where an answer breaks the schema.
type violation struct {
	pointer string // into the answer
	detail  string // may quote the answer
	rule    string // the same without a word of the answer; empty: the detail quotes nothing
}

// check returns where value breaks the schema, at most maxProblems places; nil
// when it satisfies it.
func (s *jsonSchema) check(value json.RawMessage) (violations []violation) {
	defer func() {
		if recover() != nil {
			violations = []violation{{detail: "the answer is too involved to be checked against the schema"}}
		}
	}()
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return []violation{{detail: "the answer is not valid JSON"}}
	}
	if !tame(instance) {
		return []violation{{detail: "the answer has a number that is too large"}}
	}
	s.effort = leastEffort + effortPerByte*len(value)
	var failed *jsonschema.ValidationError
	switch err := s.schema.Validate(instance); {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		violations = leaves(failed, nil, message.NewPrinter(language.English))
	}
	if len(violations) == 0 {
		violations = []violation{{detail: "the answer does not satisfy the schema"}}
	}
	return violations
}

// leaves adds the faults at the ends of a tree of faults.
func leaves(e *jsonschema.ValidationError, found []violation, p *message.Printer) []violation {
	if len(found) == maxProblems {
		return found
	}
	if len(e.Causes) == 0 && e.ErrorKind != nil {
		return append(found, violation{
			pointer: pointerTo(e.InstanceLocation), detail: shortly(e.ErrorKind.LocalizedString(p), maxDescription), rule: ruleOf(e.ErrorKind),
		})
	}
	for _, cause := range e.Causes {
		found = leaves(cause, found, p)
	}
	return found
}

func pointerTo(path []string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, token := range path {
		b.WriteString("/" + escape.Replace(token))
	}
	return shortly(b.String(), maxDescription)
}
