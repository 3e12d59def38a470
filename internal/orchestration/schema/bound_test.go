package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

const bounded = `{
	"type": "object",
	"additionalProperties": false,
	"properties": {
		"list": {"type": "array", "maxItems": 5, "items": {"anyOf": [{"type": "string"}, {"$ref": "#"}]}},
		"any": {"type": "array", "items": {"type": "string", "minLength": 2}},
		"map": {"additionalProperties": {"type": "string"}},
		"labels": {"patternProperties": {"^a": {"type": "string"}, "b$": {"minLength": 2}}, "additionalProperties": false},
		"rest": {"patternProperties": {"^a": {"type": "string"}}, "additionalProperties": {"type": "number"}},
		"open": {"patternProperties": {"^a": {"type": "string"}}},
		"own": {"properties": {"a": {"type": "number"}, "b": {}}, "patternProperties": {"^a": {"minimum": 3}}, "additionalProperties": {"type": "string"}},
		"closed": {"properties": {"b": {}}, "patternProperties": {"^a": {"type": "string"}}, "unevaluatedProperties": false},
		"spare": {"allOf": [{"patternProperties": {"^a": true}}], "items": {"type": "string"}, "unevaluatedProperties": {"type": "number"}},
		"tail": {"prefixItems": [{"type": "number"}], "items": {"type": "string"}},
		"few": {"allOf": [{"items": {"type": "string"}}], "unevaluatedItems": false}
	}
}`

// Below its bound a bounded schema says what the other one says, in the same places.
func TestBoundSaysTheSame(t *testing.T) {
	free, bound := compiled(t, bounded), compiled(t, bounded)
	Bound(bound, 100)
	for _, text := range []string{
		`{}`, `{"x": 1}`, `{"list": ["a", {"list": []}]}`, `{"list": ["a", 1, {"x": 1}]}`, `{"list": ["a", "b", "c", "d", "e", "f"]}`,
		`{"any": ["ab", "cd"]}`, `{"any": ["a", 1, null]}`, `{"any": 7}`, `{"map": {"a": "x", "b": "y"}}`, `{"map": {"a": 1, "b": "y", "c": []}}`,
		`{"labels": {"a": "x", "b": "yz"}}`, `{"labels": {"a": 1, "ab": 2, "b": "y", "c": 1, "d": 1}}`, `{"labels": {"ab": "x"}}`,
		`{"rest": {"a": "x", "b": 1}}`, `{"rest": {"a": 1, "b": "x"}}`, `{"open": {"a": "x", "b": 1}}`, `{"open": {"a": 1, "b": 1}}`, `{"map": 1, "rest": []}`,
		`{"own": {"a": 1, "b": 1, "ac": 2, "c": "x"}}`, `{"own": {"a": "x", "b": 1, "c": 1}}`, `{"closed": {"a": "x", "b": 1}}`, `{"closed": {"a": 1, "c": 1}}`,
		`{"spare": {"a": "x", "b": 1}}`, `{"spare": {"a": 1, "b": "x"}}`, `{"spare": [1, "a"]}`, `{"tail": [1, "a"]}`, `{"tail": ["a", 1]}`, `{"few": ["a", "b"]}`, `{"few": [1]}`,
	} {
		if want, got := faultsOf(t, free, text), faultsOf(t, bound, text); !slices.Equal(want, got) {
			t.Errorf("%s:\nwant %q\ngot  %q", text, want, got)
		}
	}
}

func TestBoundStops(t *testing.T) {
	bound := compiled(t, bounded)
	Bound(bound, 3)
	for text, want := range map[string]int{
		`{"any": [` + strings.Repeat("1,", 50) + `1]}`:                             3,
		`{"map": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}}`:                        3,
		`{"labels": {"c": 1, "d": 1, "e": 1, "f": 1}}`:                             1, // which names three
		`{"list": [` + strings.Repeat(`"a",`, 5) + strings.Repeat("1,", 9) + `1]}`: 1, // too many
	} {
		if got := faultsOf(t, bound, text); len(got) != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// An old draft's lists are bounded, too.
func TestBoundOfOldDrafts(t *testing.T) {
	const old = `{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {
		"list": {"items": {"type": "string"}}, "tuple": {"items": [{"type": "string"}], "additionalItems": {"type": "number"}}}}`
	free, bound := compiled(t, old), compiled(t, old)
	Bound(bound, 3)
	for _, text := range []string{`{"list": ["a"], "tuple": ["a", 1]}`, `{"list": ["a", 1]}`, `{"tuple": [1, "a"]}`} {
		if want, got := faultsOf(t, free, text), faultsOf(t, bound, text); !slices.Equal(want, got) {
			t.Errorf("%s:\nwant %q\ngot  %q", text, want, got)
		}
	}
	if got := faultsOf(t, bound, `{"list": [1, 2, 3, 4, 5, 6]}`); len(got) != 3 {
		t.Errorf("got %q", got)
	}
}

// A value in which everything is wrong costs about what one costs that is right.
func TestManyViolationsCostLittle(t *testing.T) {
	list := json.RawMessage("[" + strings.Repeat("1,", 500_000) + "1]")
	took := func(text string, violations int) uint64 {
		s, err := Compile(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := s.Validate(list)
		runtime.ReadMemStats(&after)
		if len(got) != violations {
			t.Errorf("%s: %v", text, got)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	right := took(`{"items": {"type": "number"}}`, 0)
	for _, text := range []string{
		`{"items": {"type": "string"}}`, `{"$schema": "http://json-schema.org/draft-07/schema#", "items": {"type": "string"}}`,
	} {
		if wrong := took(text, maxViolations); wrong > right {
			t.Errorf("%s takes %d MB, and one that is right %d", text, wrong>>20, right>>20)
		}
	}
}

func compiled(t *testing.T, text string) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("tutti:///test", document); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("tutti:///test")
}

// faultsOf returns what is wrong with a value, each with its place.
func faultsOf(t *testing.T, s *jsonschema.Schema, text string) (faults []string) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(s.Validate(value), &invalid) {
		return nil
	}
	p := message.NewPrinter(language.English)
	var leaf func(e *jsonschema.ValidationError)
	leaf = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			faults = append(faults, fmt.Sprint(e.InstanceLocation, " ", e.SchemaURL, " ", sorted(e.ErrorKind.LocalizedString(p))))
		}
		for _, cause := range e.Causes {
			leaf(cause)
		}
	}
	leaf(invalid)
	slices.Sort(faults)
	return faults
}

// sorted puts the names that a sentence lists in an order.
func sorted(sentence string) string {
	words := strings.Fields(strings.ReplaceAll(sentence, ",", ""))
	slices.Sort(words)
	return strings.Join(words, " ")
}
