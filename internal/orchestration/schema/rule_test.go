package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

// A rule says where and how a value breaks the schema, without its words.
func TestRulesQuoteNothing(t *testing.T) {
	const secret = "s3cr3t"
	text := json.RawMessage(`"` + secret + `"`)
	for schema, rule := range map[string]string{
		`{"type":["number","null"]}`:  "it is of type string, and must be null or number",
		`{"enum":["a",1]}`:            "it must be one of [a 1]",
		`{"const":7}`:                 "it must be 7",
		`{"pattern":"^x"}`:            "it does not match the pattern ^x",
		`{"minLength":100}`:           "it is shorter than 100 characters",
		`{"maxLength":2}`:             "it is longer than 2 characters",
		`{"not":{"type":"string"}}`:   "it does not satisfy the schema",
		`{"anyOf":[{"type":"null"}]}`: "it is of type string, and must be null",
		`{"type":"object","required":["a","b"]}` + "\n" + `{"x":"` + secret + `"}`: `it lacks "a", "b"`,
		`{"additionalProperties":false}` + "\n" + `{"` + secret + `":1}`:           "it has members that the schema does not know",
		`{"minimum":9}` + "\n" + `-5`:                                              "it breaks the schema's minimum",
		`{"items":false}` + "\n" + `["` + secret + `"]`:                            "nothing may stand there",
	} {
		value := text
		schema, own, found := strings.Cut(schema, "\n")
		if found {
			value = json.RawMessage(own)
		}
		compiled, err := Compile(json.RawMessage(schema))
		if err != nil {
			t.Fatal(err)
		}
		violations := compiled.Validate(value)
		if len(violations) == 0 || violations[0].Rule != rule || strings.Contains(violations[0].Rule, secret) {
			t.Errorf("%s: %+v, want %q", schema, violations, rule)
		}
	}
}
