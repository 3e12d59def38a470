package schema

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	good := []string{
		`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, `{}`,
		`{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"next":{"$ref":"#/$defs/tree"}}}}}`,
		`{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"a":{"format":"email"}},"properties":{"a":{"$ref":"#/definitions/a"}}}`,
	}
	for _, schema := range good {
		if err := Check(json.RawMessage(schema)); err != nil {
			t.Errorf("%s: %v", schema, err)
		}
	}
	bad := map[string]string{ // a schema, and a word of what must be said of it
		``: "object", `null`: "object", `true`: "object", `[]`: "object", `{`: "valid JSON", `{} {`: "valid JSON", `{"minimum":1e999999}`: "too large",
		`{"a":1,"a":2}`: "valid JSON",
		`{"properties":{"a":{"type":"thing","minLength":-1}}}`: "cannot be used: /properties/a/minLength: minimum: got -1, want 0; /properties/a/type: got string, want array; /properties/a/type: value must be one of 'array', 'boolean'",
		`{"pattern":"("}`:                                                            "cannot be used",
		`{"$ref":"#/$defs/gone"}`:                                                    "cannot be used",
		`{"$ref":"https://example.com/s"}`:                                           "not followed",
		`{"$ref":"file:///etc/passwd"}`:                                              "not followed",
		`{"$ref":"other.json"}`:                                                      "not followed",
		`{"$schema":"https://example.com"}`:                                          "not followed",
		`{"$dynamicRef":"#a","$defs":{"a":{"$dynamicAnchor":"a"}}}`:                  "dynamic",
		`{"items":{"$ref":"https://json-schema.org/draft/2020-12/schema"}}`:          "dynamic",
		strings.Repeat(`{"items":`, 80) + `{}` + strings.Repeat(`}`, 80):             "deep",
		`{"description":"` + strings.Repeat("x", maxBytes) + `"}`:                    "bytes",
		`{"$id":"schema:///other","properties":{"a":{"$ref":"file:///etc/passwd"}}}`: "not followed",
	}
	for schema, want := range bad {
		err := Check(json.RawMessage(schema))
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > maxError+3 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80s: %v, want %q", schema, err, want)
		}
	}
}

// A few hundred bytes of schema must not keep a processor busy.
func TestCheckingIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, `"d%d":{"anyOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	defs := `"$defs":{` + b.String() + `"d60":{"type":"string"}}}`
	for _, in := range []string{`{"$ref":"#/$defs/d0",` + defs, `{"not":{"$ref":"#/$defs/d0"},` + defs} {
		schema, err := Compile(json.RawMessage(in))
		if err != nil {
			t.Fatal(err)
		}
		if violations := schema.Validate(json.RawMessage(`{}`)); len(violations) != 1 || !strings.Contains(violations[0].Detail, "too involved") {
			t.Errorf("violations %v", violations)
		}
	}
}

// What a schema has to do before it has looked at its value is work, too: comparing it
// with each value of an enum, or being refused for its type, often. So is what it must
// remember of every fault.
func TestWideSchemasAreBounded(t *testing.T) {
	list := func(n int, item string) string { return "[" + strings.Repeat(item+",", n-1) + item + "]" }
	numbers := make([]string, 10_000)
	for i := range numbers {
		numbers[i] = fmt.Sprint(i + 1)
	}
	many := strings.Join(numbers, ",")
	few := strings.Join(numbers[:5000], ",")
	names := `"n` + strings.Join(numbers[:5000], `","n`) + `"`
	for in, value := range map[string]string{
		`{"items":{"enum":[` + many + `]}}`:                                                          list(1000, "0"),
		`{"items":{"not":{"enum":[` + many + `]}}}`:                                                  list(1000, "0"),
		`{"items":{"not":{"anyOf":` + list(3000, `{"type":"null"}`) + `}}}`:                          list(1000, "0"),
		`{"items":{"not":{"required":[` + names + `]}}}`:                                             list(1000, "{}"),
		`{"items":{"not":{"dependentRequired":{"a":[` + names + `]}}}}`:                              list(1000, `{"a":0}`),
		`{"allOf":` + list(2000, `{"uniqueItems":true}`) + `}`:                                       "[" + list(1000, "0") + "," + list(1000, "1") + "]",
		`{"allOf":` + list(1000, `{"$ref":"#/$defs/a"}`) + `,"$defs":{"a":{"const":[` + few + `]}}}`: `[` + few + `]`,
	} {
		s, err := Compile(json.RawMessage(in))
		if err != nil {
			t.Fatalf("%.60s: %v", in, err)
		}
		violations := s.Validate(json.RawMessage(value))
		if len(violations) != 1 || !strings.Contains(violations[0].Detail, "too involved") {
			t.Errorf("%.60s: %d violations: %.200v", in, len(violations), violations)
		}
	}
}

// What people write is not too involved, however much of it there is.
func TestPlainSchemasAreNotBounded(t *testing.T) {
	const record = `{"type":"object","properties":{"id":{"type":["integer","null"]},"code":{"enum":[200,201,204,301,400,401,403,404,500,503]},` +
		`"kind":{"enum":["a","b","c","d","e","f","g","h"]},"note":{"anyOf":[{"type":"string","maxLength":100},{"type":"null"}]}},` +
		`"required":["id","code","kind"],"additionalProperties":false}`
	for in, item := range map[string]string{
		`{"type":"array","items":` + record + `}`:                                `{"id":1,"code":503,"kind":"h","note":null}`,
		`{"type":"array","items":{"type":"number"}}`:                             `0`,
		`{"type":"array","items":{"anyOf":[{"type":"number"},{"type":"null"}]}}`: `0`,
		`{"type":"array","items":{"enum":[1,2]}}`:                                `2`,
		`{"type":"array","items":{"enum":["a","b","c"]}}`:                        `"c"`,
		`{"items":{"properties":{"a":{"type":"integer"}},"required":["a"]}}`:     `{"a":1}`,
	} {
		s, err := Compile(json.RawMessage(in))
		if err != nil {
			t.Fatal(err)
		}
		n := (1 << 18) / (len(item) + 1)
		if violations := s.Validate(json.RawMessage("[" + strings.Repeat(item+",", n-1) + item + "]")); len(violations) > 0 {
			t.Errorf("%.60s: %+v", in, violations[0])
		}
	}
}

// Nor must a pattern, or very many matches of one.
func TestPatternsAreBounded(t *testing.T) {
	for _, in := range []string{
		`{"pattern":"` + strings.Repeat("a{1000}b{1000}", 100) + `"}`,
		`{"anyOf":[` + strings.Repeat(`{"pattern":"a{1000}"},`, 100) + `{}]}`,
	} {
		if err := Check(json.RawMessage(in)); err == nil {
			t.Errorf("%.40s… passes", in)
		}
	}
	schema, err := Compile(json.RawMessage(`{"items":{"pattern":"(.{1,100}){10}x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if violations := schema.Validate(json.RawMessage(`["ab"]`)); len(violations) != 1 || violations[0].Pointer != "/0" {
		t.Errorf("violations %v", violations)
	}
	for n, length := range map[int]int{1: 500_000, 20: 500} {
		value, _ := json.Marshal(slices.Repeat([]string{strings.Repeat("ab", length)}, n))
		if violations := schema.Validate(value); len(violations) != 1 || !strings.Contains(violations[0].Detail, "too involved") {
			t.Errorf("%d texts: violations %v", n, violations)
		}
	}
}

func TestViolationsAreBounded(t *testing.T) {
	schema, err := Compile(json.RawMessage(`{"items":{"enum":["` + strings.Repeat("x", 5000) + `"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	value, _ := json.Marshal(make([]string, 1000))
	violations := schema.Validate(value)
	if len(violations) != maxViolations || len(violations[0].Detail) > maxDetail+3 || violations[0].Pointer != "/0" {
		t.Errorf("%d violations, the first: %+v", len(violations), violations[0])
	}
}

// A number of a few bytes must not become one of a million digits.
func TestNumbersAreBounded(t *testing.T) {
	schema, err := Compile(json.RawMessage(`{"items":{"type":"number","not":{"type":"integer"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []string{"1e999999999", "1e999999", "1e-999999", "-1E+1001", "1e99999999999999999999", strings.Repeat("7", maxDigits+1)} {
		if violations := schema.Validate(json.RawMessage(`[{"a":` + number + `}]`)); len(violations) != 1 || !strings.Contains(violations[0].Detail, "too large") {
			t.Errorf("%.20s: %v", number, violations)
		}
	}
	for _, number := range []string{"1.5e-308", "5e-324", "0.5E-10", "-0.1", strings.Repeat("7", 1000) + ".5"} {
		if violations := schema.Validate(json.RawMessage(`[` + number + `]`)); len(violations) != 0 {
			t.Errorf("%.20s: %v", number, violations)
		}
	}
}

// What is wrong with a schema is told each time, and no more than so many are remembered.
func TestGoodSchemasAreRemembered(t *testing.T) {
	bad := []byte(`{"type":"nothing","$comment":"remembered"}`)
	for i := range mostPassed + 10 {
		if err := Check(fmt.Appendf(nil, `{"type":"object","$comment":"%d"}`, i)); err != nil {
			t.Fatal(err)
		}
		if i < 3 && Check(bad) == nil {
			t.Fatal("a bad schema passes")
		}
	}
	if n := len(passed.names); n > mostPassed || passed.names[sha256.Sum256(bad)] {
		t.Errorf("%d are remembered, the bad one: %v", n, passed.names[sha256.Sum256(bad)])
	}
}
