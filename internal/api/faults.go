package api

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// maxFaults is the most faults that one answer lists, and about as many as are looked for.
const maxFaults = 100

// check holds a value to a schema and returns what is wrong with it, by place.
// prefix goes before the pointers.
func check(schema *jsonschema.Schema, value any, prefix string) []Fault {
	err := schema.Validate(value)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return []Fault{{Pointer: prefix, Code: "invalid", Detail: "cannot be checked"}}
	}
	var faults []Fault
	collect(invalid, prefix, &faults)
	slices.SortFunc(faults, func(a, b Fault) int { return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Code, b.Code)) })
	faults = slices.Compact(faults)
	return faults[:min(len(faults), maxFaults)]
}

// collect adds the faults at the leaves of the error: what lies between only
// says by which path of the schema they were found.
func collect(e *jsonschema.ValidationError, prefix string, faults *[]Fault) {
	const most = 10 * maxFaults // a body may have one in every other byte
	if len(*faults) >= most {
		return
	}
	at := prefix
	for _, key := range e.InstanceLocation {
		at += "/" + escape(key)
	}
	add := func(pointer, code, detail string, args ...any) {
		if len(*faults) < most {
			*faults = append(*faults, Fault{Pointer: pointer, Code: code, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf:
		if missing := alternatives(e); len(missing) > 0 {
			add(at+"/"+escape(missing[0]), "required", "required, unless %s is given", strings.Join(missing[1:], " or "))
			return
		}
	case *kind.Required:
		for _, key := range k.Missing {
			add(at+"/"+escape(key), "required", "required")
		}
		return
	case *kind.AdditionalProperties:
		for _, key := range k.Properties {
			if strings.HasSuffix(e.SchemaURL, "/Labels") {
				add(at+"/"+escape(key), "invalid_name", "a label's name has 1 to 63 letters, digits and _ . / -")
				continue
			}
			add(at+"/"+escape(key), "unknown_field", "unknown field")
		}
		return
	}
	if len(e.Causes) == 0 {
		code, detail := explain(e)
		add(at, code, "%s", detail)
	}
	for _, cause := range e.Causes {
		collect(cause, prefix, faults)
	}
}

// alternatives returns the keys of which one is missing.
func alternatives(e *jsonschema.ValidationError) (missing []string) {
	for _, cause := range e.Causes {
		if k, ok := cause.ErrorKind.(*kind.Required); ok {
			missing = append(missing, k.Missing...)
		}
		missing = append(missing, alternatives(cause)...)
	}
	return missing
}

var english = message.NewPrinter(language.English)

// explain says in words what is wrong with one value, without repeating it.
func explain(e *jsonschema.ValidationError) (code, detail string) {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return "wrong_type", "must be of type " + strings.Join(k.Want, " or ") + ", not " + k.Got
	case *kind.Enum:
		return "not_allowed", "must be one of " + join(k.Want)
	case *kind.Minimum:
		return "out_of_range", "must be at least " + decimal(k.Want)
	case *kind.ExclusiveMinimum:
		return "out_of_range", "must be more than " + decimal(k.Want)
	case *kind.Maximum:
		return "out_of_range", "must be at most " + decimal(k.Want)
	case *kind.MinLength:
		return "too_short", fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return "too_long", fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.MinItems:
		return "too_few", fmt.Sprintf("must have at least %d items, and has %d", k.Want, k.Got)
	case *kind.MinProperties:
		return "too_few", fmt.Sprintf("must have at least %d keys, and has %d", k.Want, k.Got)
	case *kind.MaxItems:
		return "too_many", fmt.Sprintf("must have at most %d items, and has %d", k.Want, k.Got)
	case *kind.MaxProperties:
		return "too_many", fmt.Sprintf("must have at most %d keys, and has %d", k.Want, k.Got)
	case *kind.Pattern:
		return explainPattern(e, k.Want)
	case *kind.Format:
		if k.Want == "date-time" {
			return "invalid_format", "must be a time such as 2026-11-20T09:00:00Z; in a URL its + is written %2B"
		}
		return "invalid_format", "must be a " + k.Want
	}
	return "invalid", e.ErrorKind.LocalizedString(english)
}

func explainPattern(e *jsonschema.ValidationError, pattern string) (code, detail string) {
	switch {
	case pattern == `\S`:
		return "blank", "must not be blank"
	case pattern == `^[!-~][ -~]*$`:
		return "invalid_format", "must be ASCII, and begin with no blank"
	case strings.HasSuffix(pattern, "{1,63}:"):
		return "invalid_format", "must be a label, as key:value"
	case strings.HasSuffix(e.SchemaURL, "/Duration"):
		return "invalid_duration", `must be a duration such as "90s" or "1h30m"`
	}
	return "invalid_format", "must match " + pattern
}

func join(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ", ")
}

func decimal(r *big.Rat) string {
	return strings.TrimRight(strings.TrimRight(r.FloatString(6), "0"), ".")
}
