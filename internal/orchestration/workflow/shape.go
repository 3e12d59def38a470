package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	tutti "github.com/tutti-run/tutti"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
)

const schemaURL = "tutti:///workflows/schema.json"

// A shape is workflows/schema.json, compiled, and as it is written.
type shape struct {
	schema   *jsonschema.Schema
	document any
}

// theShape is compiled when it is first asked for. It panics when the embedded
// schema cannot be: a test would have told.
var theShape = sync.OnceValue(func() shape {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(tutti.WorkflowSchema))
	if err != nil {
		panic("workflows/schema.json: " + err.Error())
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaURL, document); err != nil {
		panic("workflows/schema.json: " + err.Error())
	}
	compiled := c.MustCompile(schemaURL)
	schema.Bound(compiled, maxFaults)
	return shape{compiled, document}
})

// check returns how the tree's value is not of the shape that templates have.
func (s shape) check(t *tree, value any) []Fault {
	var invalid *jsonschema.ValidationError
	if !errors.As(s.schema.Validate(value), &invalid) {
		return nil
	}
	var faults []Fault
	s.collect(t, invalid, &faults)
	return faults
}

// collect adds the faults at the leaves of the error: what lies between only
// says by which path of the schema they were found.
func (s shape) collect(t *tree, e *jsonschema.ValidationError, faults *[]Fault) {
	at := ""
	for _, key := range e.InstanceLocation {
		at = below(at, key)
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, key := range k.Missing {
			*faults = append(*faults, t.at(below(at, key), "required", "The key "+key+" is missing."))
		}
		return
	case *kind.AdditionalProperties:
		known := s.keys(e.SchemaURL)
		for _, key := range k.Properties {
			if len(known) == 0 { // any name of the right form would do
				*faults = append(*faults, t.atKey(below(at, key), "invalid_name", fmt.Sprintf("The name %q has characters that it may not have, or too many.", shortly(key))))
				continue
			}
			*faults = append(*faults, t.atKey(below(at, key), "unknown_field", fmt.Sprintf("The key %q is unknown%s.", shortly(key), hint(key, known))))
		}
		return
	}
	if len(e.Causes) == 0 {
		code, detail := explain(e)
		*faults = append(*faults, t.at(at, code, detail))
	}
	for _, cause := range e.Causes {
		s.collect(t, cause, faults)
	}
}

// keys returns the keys that an object of a part of the schema may have.
func (s shape) keys(part string) []string {
	_, fragment, _ := strings.Cut(part, "#")
	fragment, err := url.PathUnescape(fragment)
	if err != nil {
		return nil
	}
	at := s.document
	for token := range strings.SplitSeq(strings.TrimPrefix(fragment, "/"), "/") {
		if object, ok := at.(map[string]any); ok && token != "" {
			at = object[token]
		}
	}
	object, _ := at.(map[string]any)
	properties, _ := object["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

var english = message.NewPrinter(language.English)

// explain says in words what is wrong with one value, without repeating it.
func explain(e *jsonschema.ValidationError) (code, detail string) {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		detail = "This must be of type " + strings.Join(k.Want, " or ") + ", not " + k.Got + "."
		if slices.Equal(k.Want, []string{"string"}) && (k.Got == "number" || k.Got == "boolean") {
			detail += " Put it in quotes."
		}
		return "wrong_type", detail
	case *kind.Enum:
		words := make([]string, len(k.Want))
		for i, v := range k.Want {
			words[i] = fmt.Sprint(v)
		}
		got, _ := k.Got.(string)
		return "not_allowed", "This must be one of " + strings.Join(words, ", ") + hint(got, words) + "."
	case *kind.Minimum:
		return "out_of_range", "This must be at least " + decimal(k.Want) + "."
	case *kind.ExclusiveMinimum:
		return "out_of_range", "This must be more than " + decimal(k.Want) + "."
	case *kind.Maximum:
		return "out_of_range", "This must be at most " + decimal(k.Want) + "."
	case *kind.MinLength:
		return "too_short", fmt.Sprintf("This must have at least %d characters.", k.Want)
	case *kind.MaxLength:
		return "too_long", fmt.Sprintf("This must have at most %d characters.", k.Want)
	case *kind.MinItems:
		return "too_few", fmt.Sprintf("This must have at least %d items.", k.Want)
	case *kind.MaxItems:
		return "too_many", fmt.Sprintf("This must have at most %d items.", k.Want)
	case *kind.MaxProperties:
		return "too_many", fmt.Sprintf("This must have at most %d keys.", k.Want)
	case *kind.Pattern:
		return explainPattern(e.SchemaURL, k.Want)
	}
	return "invalid", e.ErrorKind.LocalizedString(english)
}

func explainPattern(part, pattern string) (code, detail string) {
	switch {
	case pattern == `\S`:
		return "blank", "This must not be blank."
	case strings.HasSuffix(part, "/duration"):
		return "invalid_duration", `This must be a duration such as "90s" or "1h30m".`
	case strings.HasSuffix(part, "/version"):
		return "invalid_version", `A version is one to three numbers, such as "1" or "1.2.0".`
	}
	return "invalid_format", "This must match " + pattern + "."
}

func decimal(r *big.Rat) string {
	return strings.TrimSuffix(strings.TrimRight(r.FloatString(6), "0"), ".")
}

// decoded reads the tree's JSON in the form that schemas are checked on.
func (t *tree) decoded() any {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(t.json))
	if err != nil {
		return nil
	}
	return value
}

// prune takes out of a value what cannot be decoded for these faults, or is too much
// of it, so that the rest can still be checked. A text that was written as a number stays one.
func prune(value any, faults []Fault) any {
	for _, f := range faults {
		switch f.Code {
		case "wrong_type", "invalid_duration", "out_of_range", "too_many":
		default:
			continue
		}
		if f.Pointer == "" {
			return map[string]any{}
		}
		tokens := slices.Collect(jsontext.Pointer(f.Pointer).Tokens())
		last := len(tokens) - 1
		parent := value
		for _, token := range tokens[:last] {
			parent = part(parent, token)
		}
		switch parent := parent.(type) {
		case map[string]any:
			key := tokens[last]
			if number, ok := parent[key].(json.Number); ok && key == "id" {
				parent[key] = number.String()
			} else {
				delete(parent, key)
			}
		case []any:
			if i := index(tokens[last], len(parent)); i >= 0 {
				parent[i] = nil
			}
		}
	}
	return value
}
