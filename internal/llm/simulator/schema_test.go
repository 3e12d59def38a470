package simulator

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// validate holds a value against its schema by a library that the simulator does not use.
func validate(t failer, schema, value string) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatalf("%v: %s", err, schema)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("mem:///schema.json", doc); err != nil {
		t.Fatalf("%v: %s", err, schema)
	}
	compiled, err := compiler.Compile("mem:///schema.json")
	if err != nil {
		t.Fatalf("%v: %s", err, schema)
	}
	got, err := jsonschema.UnmarshalJSON(strings.NewReader(value))
	if err != nil {
		t.Fatalf("%v: %s", err, value)
	}
	if err := compiled.Validate(got); err != nil {
		t.Fatalf("%v\nschema %s\nvalue %s", err, schema, value)
	}
}

func TestValuesOfSchemas(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"object","required":["b","a"],"properties":{"a":{"type":"integer"},"b":{"type":"boolean"},"c":{"type":"string"}}}`: `{"b":false,"a":0}`,
		`{"enum":["x","y"]}`:                      `"x"`,
		`{"const":{"b":1,"a":2}}`:                 `{"a":2,"b":1}`,
		`true`:                                    `"[simulated]"`,
		`{"type":["null","integer"]}`:             `0`,
		`{"type":"null"}`:                         `null`,
		`{"type":"array","items":{}}`:             `[]`,
		`{"type":"number","minimum":2.5}`:         `2.5`,
		`{"type":"integer","minimum":2.5}`:        `3`,
		`{"type":"integer","exclusiveMaximum":0}`: `-1`,
		`{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}`:                            `0.25`,
		`{"type":"number","minimum":0.25,"multipleOf":0.1}`:                                      `0.3`,
		`{"type":"integer","minimum":1,"multipleOf":2.5}`:                                        `5`,
		`{"type":"integer","exclusiveMinimum":2.5}`:                                              `3`,
		`{"type":"string","minLength":20,"maxLength":20}`:                                        `"[simulated] The firs"`,
		`{"type":"string","maxLength":3}`:                                                        `"[si"`,
		`{"type":"string","format":"date"}`:                                                      `"2026-01-02"`,
		`{"type":"array","minItems":2,"uniqueItems":true,"items":{"enum":["a","b","c"]}}`:        `["a","b"]`,
		`{"type":"array","minItems":2,"prefixItems":[{"const":1}],"items":{"type":"boolean"}}`:   `[1,false]`,
		`{"type":"object","minProperties":2,"properties":{"x":{"const":1}}}`:                     `{"x":1,"property_1":"[simulated] property 1"}`,
		`{"anyOf":[false,{"type":"integer","minimum":3}]}`:                                       `3`,
		`{"allOf":[{"minimum":1},{"minimum":4,"type":"integer"}]}`:                               `4`,
		`{"$ref":"#/$defs/a~1b","$defs":{"a/b":{"const":7}}}`:                                    `7`,
		`{"required":["next"],"properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}}}`:   `{"next":{"next":{"next":{"next":{"next":null}}}}}`,
		`{"type":"object","required":["x"],"additionalProperties":{"type":"integer"}}`:           `{"x":0}`,
		`{"oneOf":[{"type":"string","minLength":5,"maxLength":2},{"type":"integer","const":2}]}`: `2`,
	} {
		got, err := valueFor([]byte(schema), aim{})
		if err != nil || got != want {
			t.Errorf("%s: %s, %v", schema, got, err)
			continue
		}
		validate(t, schema, got)
	}
}

func TestSchemasWithoutAValue(t *testing.T) {
	for _, schema := range []string{
		`false`,
		`7`,
		`{"$ref":"#"}`,
		`{"$ref":"#/$defs/none"}`,
		`{"$ref":"https://example.com/"}`,
		`{"type":"integer","minimum":3,"maximum":2}`,
		`{"type":"string","minLength":1e12}`,
		`{"type":"array","minItems":1e12}`,
		`{"required":["a"],"properties":{"a":{"$ref":"#"}}}`,
		`{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}`,
		`{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}]}}}`,
		`{"type":"array","minItems":1000,"items":{"type":"array","minItems":1000,"items":{"type":"array","minItems":1000}}}`,
	} {
		if got, err := valueFor([]byte(schema), aim{}); err == nil {
			t.Errorf("%s: %.100s", schema, got)
		}
	}
	body := `{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"$ref":"#"}}}}`
	if got := post(t, New(Options{}), body); got.status != 400 || got.errorBody(t).param() != "response_format" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A small schema of many keys and many branches does not take all memory.
func TestWideSchemas(t *testing.T) {
	var wide strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&wide, `"k%d":1,`, i)
	}
	branches := strings.Repeat("{},", 9000)
	for name, schema := range map[string]string{
		"beside anyOf": `{` + wide.String() + `"anyOf":[` + branches + `{}]}`,
		"beside allOf": `{` + wide.String() + `"allOf":[` + branches + `{}]}`,
		"of items":     `{"type":"array","minItems":6000,"items":{` + wide.String() + `"$ref":"#/$defs/a"},"$defs":{"a":{` + wide.String() + `"const":1}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = valueFor([]byte(schema), aim{}) // there may be none that is found
			runtime.ReadMemStats(&after)
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 100 {
				t.Errorf("%d MB for a schema of %d kB", mb, len(schema)>>10)
			}
		})
	}
}

func TestVerdictApproves(t *testing.T) {
	_, c := serve(t, Options{})
	schema := `{"type":"object","required":["pass","score","feedback"],"properties":{"pass":{"type":"boolean"},
		"score":{"type":"integer","minimum":0,"maximum":10},"feedback":{"type":"string"}}}`
	req := ask("Judge this.")
	req.ResponseFormat = jsonSchema("verdict", schema)
	if got := text(t, c, req); got != `{"pass":true,"score":10,"feedback":"[simulated] Nothing to object to."}` {
		t.Error(got)
	}
}

// schemas draws schemas of the kinds that the simulator knows, each of which
// some value satisfies.
func schemas(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](map[string]any{"type": "boolean"}),
		rapid.Just[any](map[string]any{"$ref": "#/$defs/leaf"}),
		rapid.SampledFrom([]any{map[string]any{"enum": []any{"a", nil, 3}}, map[string]any{"const": []any{1, "x"}}, map[string]any{"type": []any{"string", "null"}}}),
		rapid.Custom(numbers),
		rapid.Custom(words),
	}
	if depth > 0 {
		kinds = append(
			kinds,
			rapid.Custom(func(t *rapid.T) any { return objects(t, depth) }),
			rapid.Custom(func(t *rapid.T) any { return lists(t, depth) }),
			rapid.Custom(func(t *rapid.T) any {
				return map[string]any{"anyOf": rapid.SliceOfN(schemas(depth-1), 1, 3).Draw(t, "branches")}
			}),
			rapid.Custom(func(t *rapid.T) any { return map[string]any{"allOf": []any{schemas(depth-1).Draw(t, "part")}} }),
		)
	}
	return rapid.OneOf(kinds...)
}

func numbers(t *rapid.T) any {
	s := map[string]any{"type": rapid.SampledFrom([]string{"number", "integer"}).Draw(t, "type")}
	lo := rapid.IntRange(-50, 50).Draw(t, "lo")
	set := func(key string, value any) {
		if rapid.Bool().Draw(t, key) {
			s[key] = value
		}
	}
	set("minimum", lo)
	set("exclusiveMinimum", lo-1)
	set("maximum", lo+20)
	set("exclusiveMaximum", lo+21)
	set("multipleOf", rapid.SampledFrom([]float64{1, 2, 7, 0.5, 2.5, 0.1}).Draw(t, "step"))
	return s
}

func words(t *rapid.T) any {
	s := map[string]any{"type": "string"}
	if rapid.Bool().Draw(t, "of a format") {
		s["format"] = rapid.SampledFrom([]string{"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid", "json-pointer", "regex", "uri-reference"}).Draw(t, "format")
		return s
	}
	least := rapid.IntRange(0, 100).Draw(t, "least")
	s["minLength"], s["maxLength"] = least, least+rapid.IntRange(0, 5).Draw(t, "more")
	return s
}

func objects(t *rapid.T, depth int) any {
	properties := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b_c", "日本", "d"}), schemas(depth-1), 0, 3).Draw(t, "properties")
	required := []string{}
	for _, name := range []string{"日本", "a", "b_c", "d"} {
		if properties[name] != nil && rapid.Bool().Draw(t, name) {
			required = append(required, name)
		}
	}
	return map[string]any{
		"type": "object", "properties": properties, "required": required, "additionalProperties": false,
		"minProperties": rapid.IntRange(0, len(properties)).Draw(t, "least"),
	}
}

func lists(t *rapid.T, depth int) any {
	return map[string]any{"type": "array", "minItems": rapid.IntRange(0, 3).Draw(t, "least"), "items": schemas(depth-1).Draw(t, "items")}
}

func TestValuesSatisfyTheirSchemas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		root := map[string]any{
			"allOf": []any{schemas(3).Draw(t, "schema")},
			"$defs": map[string]any{"leaf": map[string]any{"type": "integer", "minimum": 1}},
		}
		schema, err := json.Marshal(root)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, approve := range []bool{false, true} {
			value, err := valueFor(schema, aim{approve: approve})
			if err != nil {
				t.Fatalf("%v: %s", err, schema)
			}
			validate(t, string(schema), value)
		}
	})
}
