package schema

import (
	"maps"
	"slices"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Bound has a schema that was compiled, and is not used yet, look no further into a list
// or a map once it has found so many faults there, nor at more items than a list may
// have. By itself it makes an error of each fault: of a body of a megabyte in which
// everything is wrong, half a gigabyte of them.
func Bound(s *jsonschema.Schema, faults int) {
	bound(s, faults, make(map[*jsonschema.Schema]bool))
}

func bound(s *jsonschema.Schema, faults int, seen map[*jsonschema.Schema]bool) {
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	for _, sub := range subschemas(s) {
		bound(sub, faults, seen)
	}
	if each, ok := s.Items.(*jsonschema.Schema); ok && s.AdditionalItems == nil { // of drafts before 2020-12
		s.Extensions = append(s.Extensions, items{each, s.MaxItems, faults})
		s.Items = nil
	}
	if s.Items2020 != nil && len(s.PrefixItems) == 0 {
		s.Extensions = append(s.Extensions, items{s.Items2020, s.MaxItems, faults})
		s.Items2020 = nil
	}
	if _, others := s.AdditionalProperties.(*jsonschema.Schema); others || len(s.PatternProperties) > 0 {
		s.Extensions = append(s.Extensions, members{s.Properties, s.PatternProperties, s.AdditionalProperties, faults})
		s.PatternProperties, s.AdditionalProperties = nil, nil
	}
}

// items stands in the place of the keyword of that name.
type items struct {
	each   *jsonschema.Schema
	most   *int // as maxItems has it; nil: any number
	faults int
}

// Validate holds the items to their schema.
func (s items) Validate(ctx *jsonschema.ValidatorContext, v any) {
	list, _ := v.([]any)
	if s.most != nil {
		list = list[:min(len(list), *s.most)]
	}
	at, found := make([]string, 1), 0
	for i := 0; i < len(list) && found < s.faults; i++ {
		at[0] = strconv.Itoa(i)
		found += report(ctx, ctx.Validate(s.each, list[i], at))
	}
}

// members stands in the place of patternProperties and additionalProperties.
type members struct {
	own      map[string]*jsonschema.Schema // properties, which the library looks at itself
	patterns map[jsonschema.Regexp]*jsonschema.Schema
	others   any // nil, a bool or a schema
	faults   int
}

// Validate holds the members to their schemas.
func (s members) Validate(ctx *jsonschema.ValidatorContext, v any) {
	object, _ := v.(map[string]any)
	var unknown []string
	at, found := make([]string, 1), 0
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if found >= s.faults {
			break
		}
		at[0] = name
		_, matched := s.own[name]
		for pattern, schema := range s.patterns {
			if pattern.MatchString(name) {
				matched = true
				ctx.EvaluatedProp(name)
				found += report(ctx, ctx.Validate(schema, object[name], at))
			}
		}
		switch others := s.others.(type) {
		case *jsonschema.Schema:
			if !matched {
				found += report(ctx, ctx.Validate(others, object[name], at))
			}
		case bool:
			if !matched && !others {
				unknown = append(unknown, name)
				found++
			}
		}
	}
	if len(unknown) > 0 {
		ctx.AddError(&kind.AdditionalProperties{Properties: unknown})
	}
}

// report adds what is wrong with a part, if anything is, and counts it.
func report(ctx *jsonschema.ValidatorContext, err error) int {
	broken, ok := err.(*jsonschema.ValidationError) //nolint:errorlint // the library returns it as it is
	if !ok {
		return 0
	}
	ctx.AddErr(broken)
	return count(broken)
}

// count returns how many faults an error tells of.
func count(e *jsonschema.ValidationError) int {
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		return len(k.Missing)
	case *kind.AdditionalProperties:
		return len(k.Properties)
	case *kind.AnyOf, *kind.OneOf: // it is one fault, whatever each of them lacks
		return 1
	}
	n := 0
	for _, cause := range e.Causes {
		n += count(cause)
	}
	return max(n, 1)
}
