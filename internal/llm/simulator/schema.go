package simulator

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of a schema's value. What does not fit in them is an error.
const (
	maxSchemaDepth = 64      // of nested values, references and combinations
	maxSchemaSteps = 20_000  // of the whole walk
	maxValueBytes  = 1 << 20 // of the value
	fewLevels      = 4       // below this depth, a value that may be null is null
)

var errSchema = errors.New("no value was found for the schema")

// A builder writes a minimal value that satisfies a JSON Schema: what is
// required and no more, the first of every choice, numbers next to zero.
type builder struct {
	root  any
	out   []byte
	steps int
	aim
}

// An aim is what a value is to say where its schema lets it.
type aim struct {
	approve  bool   // a kind verdict: true, and the largest number allowed
	feedback string // the text of a property of that name
	option   string // the choice of one
	mark     string // begins the texts
}

// valueFor returns a value of the schema as JSON text.
func valueFor(schema jsontext.Value, a aim) (string, error) {
	var root any
	if err := json.Unmarshal(schema, &root); err != nil {
		return "", err
	}
	b := &builder{root: root, aim: a}
	if err := b.value(root, "", 0, 0); err != nil {
		return "", err
	}
	return string(b.out), nil
}

// value appends a value for schema. The name is that of the property, for the
// words of a string; nth tells apart the items of an array.
func (b *builder) value(schema any, name string, nth, depth int) error {
	if b.steps++; b.steps > maxSchemaSteps || depth > maxSchemaDepth || len(b.out) > maxValueBytes {
		return fmt.Errorf("%w: it is too large or too deep", errSchema)
	}
	choices, err := b.flatten(schema, depth)
	if err != nil {
		return err
	}
	start := len(b.out)
	for _, s := range choices {
		if err = b.flatValue(s, name, nth, depth); err == nil {
			return nil
		}
		b.out = b.out[:start]
	}
	return err
}

func (b *builder) flatValue(s flat, name string, nth, depth int) error {
	if c, ok := s["const"]; ok {
		return b.literal(c)
	}
	if enum, ok := s["enum"].([]any); ok && len(enum) > 0 {
		if name == "option" && slices.Contains(enum, any(b.option)) {
			return b.literal(b.option)
		}
		return b.literal(enum[nth%len(enum)])
	}
	switch kind := s.kind(depth); kind {
	case "object":
		return b.object(s, nth, depth)
	case "array":
		return b.array(s, name, depth)
	case "number", "integer":
		return b.number(s, kind == "integer", nth)
	case "boolean":
		b.out = strconv.AppendBool(b.out, b.approve)
	case "null":
		b.out = append(b.out, "null"...)
	default:
		return b.text(s, name, nth)
	}
	return nil
}

func (b *builder) literal(v any) error {
	text, err := json.Marshal(v, json.Deterministic(true))
	b.out = append(b.out, text...)
	return err
}

func (b *builder) quote(text string) error {
	out, err := jsontext.AppendQuote(b.out, text)
	b.out = out
	return err
}

// kind is the type of value to write: the first that s allows, or null where
// that is allowed and the value is deep; without a type, what the keywords are about.
func (s flat) kind(depth int) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		if slices.Contains(t, any("null")) && (depth > fewLevels || len(t) == 1) {
			return "null"
		}
		for _, k := range t {
			if k, ok := k.(string); ok && k != "null" {
				return k
			}
		}
	}
	for _, about := range []struct {
		kind string
		keys []string
	}{
		{"object", []string{"properties", "required", "minProperties"}},
		{"array", []string{"items", "prefixItems", "minItems"}},
		{"number", []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}},
	} {
		for _, k := range about.keys {
			if _, ok := s[k]; ok {
				return about.kind
			}
		}
	}
	return "string"
}

func (b *builder) object(s flat, nth, depth int) error {
	properties, _ := s["properties"].(map[string]any)
	names := wantedProperties(s, properties)
	b.out = append(b.out, '{')
	for i, name := range names {
		if i > 0 {
			b.out = append(b.out, ',')
		}
		if err := b.quote(name); err != nil {
			return err
		}
		b.out = append(b.out, ':')
		schema, ok := properties[name]
		if !ok {
			schema = orTrue(s["additionalProperties"])
		}
		if err := b.value(schema, name, nth, depth+1); err != nil {
			return err
		}
	}
	b.out = append(b.out, '}')
	return nil
}

// wantedProperties are the required ones in their order, then as many others
// as make up the least number.
func wantedProperties(s flat, properties map[string]any) []string {
	var names []string
	required, _ := s["required"].([]any)
	for _, r := range required {
		if name, ok := r.(string); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	least := min(s.integer("minProperties", 0), maxSchemaSteps)
	if len(names) >= least {
		return names
	}
	others := make([]string, 0, len(properties))
	for name := range properties {
		others = append(others, name)
	}
	slices.Sort(others)
	for i := range least {
		others = append(others, "property_"+strconv.Itoa(i+1))
	}
	for _, name := range others {
		if len(names) < least && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (b *builder) array(s flat, name string, depth int) error {
	prefix, _ := s["prefixItems"].([]any)
	n := s.integer("minItems", 0)
	b.out = append(b.out, '[')
	for i := range n {
		if i > 0 {
			b.out = append(b.out, ',')
		}
		item := orTrue(s["items"])
		if i < len(prefix) {
			item = prefix[i]
		}
		if err := b.value(item, name, i, depth+1); err != nil {
			return err
		}
	}
	b.out = append(b.out, ']')
	return nil
}

// orTrue is the schema that allows everything where there is none.
func orTrue(schema any) any {
	if schema == nil {
		return true
	}
	return schema
}
