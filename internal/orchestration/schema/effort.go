package schema

import (
	"errors"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Bounds of the work that checking one value may be: a few hundred bytes of nested
// anyOf could keep a processor busy for years, and an enum that every item of a long
// list is compared with, for hours. The effort is in evaluations of a schema, or
// comparisons of a number, each some microseconds.
const (
	leastEffort   = 100_000
	effortPerByte = 3
)

// errEffort is what a check is broken off with.
var errEffort = errors.New("too much work")

// meter has every schema pay for its evaluation, by way of its format: the
// library checks that before it goes on to other schemas. A schema of another type,
// const or enum ends before that, so each pays for those that it leads to as well.
func (s *Schema) meter(schema *jsonschema.Schema, seen map[*jsonschema.Schema]bool) error {
	if schema == nil || seen[schema] {
		return nil
	}
	seen[schema] = true
	if schema.DynamicRef != nil || schema.RecursiveRef != nil {
		return errors.New("the JSON Schema has dynamic references, which are not supported")
	}
	format, due := schema.Format, tariffOf(schema)
	schema.Format = &jsonschema.Format{Validate: func(v any) error {
		s.pay(due.of(v))
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

func (s *Schema) pay(effort int) {
	if s.effort -= effort; s.effort < 0 {
		panic(errEffort)
	}
}

// A tariff is what an evaluation of a schema costs.
type tariff struct {
	value    int // whatever the value is
	item     int // for each item of an array
	member   int // for each member of an object
	distinct bool
	named    map[string]int // for a member of that name
}

func tariffOf(s *jsonschema.Schema) tariff {
	t := tariff{value: 1 + len(s.Required), item: 1, member: 1, distinct: s.UniqueItems, named: map[string]int{}}
	of := func(to *int, subs ...*jsonschema.Schema) {
		for _, sub := range subs {
			*to += entry(sub)
		}
	}
	of(&t.value, s.Ref, s.Not, s.If, s.Then, s.Else, s.ContentSchema)
	of(&t.value, s.AllOf...)
	of(&t.value, s.AnyOf...)
	of(&t.value, s.OneOf...)
	of(&t.value, s.PrefixItems...)
	for _, sub := range s.DependentSchemas {
		of(&t.value, sub)
	}
	for _, names := range s.DependentRequired {
		t.value += 1 + len(names)
	}
	for _, either := range s.Dependencies {
		if names, ok := either.([]string); ok {
			t.value += 1 + len(names)
		}
		of(&t.value, among(either)...)
	}
	of(&t.item, s.Items2020, s.Contains, s.UnevaluatedItems)
	of(&t.item, among(s.Items)...)
	of(&t.item, among(s.AdditionalItems)...)
	of(&t.member, s.PropertyNames, s.UnevaluatedProperties)
	of(&t.member, among(s.AdditionalProperties)...)
	for _, sub := range s.PatternProperties {
		of(&t.member, sub)
	}
	for name, sub := range s.Properties {
		t.named[name] = entry(sub)
	}
	return t
}

// of returns what it costs to evaluate the schema on a value.
func (t *tariff) of(v any) int {
	effort := t.value
	switch v := v.(type) {
	case map[string]any:
		effort += len(v) * t.member
		for name := range v {
			effort += t.named[name]
		}
	case []any:
		effort += len(v) * t.item
		if t.distinct { // few items are compared with each other, many are hashed
			effort += comparing(v) * min(len(v), 20) / 2
		}
	case string:
		effort += len(v) / textAtOnce
	}
	return effort
}

// entry is what of a schema's evaluation comes before its format.
func entry(s *jsonschema.Schema) int {
	if s == nil {
		return 0
	}
	n := 1
	if s.Const != nil {
		n += comparing(*s.Const)
	}
	if s.Enum != nil {
		n += comparing(s.Enum.Values)
	}
	return n
}

// textAtOnce is how many bytes of a text, and shortTexts how many texts, are looked at
// for one effort.
const textAtOnce, shortTexts = 32, 16

// comparing is what it may cost to compare a value with another one.
func comparing(v any) int {
	texts := 0
	n := numbers(v, &texts)
	return n + texts/shortTexts
}

// numbers counts the numbers, arrays and objects of a value, and its texts apart.
func numbers(v any, texts *int) int {
	n := 1
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			n += numbers(item, texts)
		}
	case map[string]any:
		for _, member := range v {
			n += numbers(member, texts)
		}
	case string, bool, nil:
		*texts++
		return 0
	}
	return n
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
		subs = append(subs, among(either)...)
	}
	for _, either := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		subs = append(subs, among(either)...)
	}
	return subs
}

// among returns the schemas of a keyword that may have one, several, or something
// else.
func among(of any) []*jsonschema.Schema {
	switch of := of.(type) {
	case *jsonschema.Schema:
		return []*jsonschema.Schema{of}
	case []*jsonschema.Schema:
		return of
	}
	return nil
}
