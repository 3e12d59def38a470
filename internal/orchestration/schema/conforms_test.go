package schema

import (
	"encoding/json"
	"testing"
)

func TestConforms(t *testing.T) {
	const person = `{"type": "object", "required": ["name"], "properties": {"age": {"type": "integer"}}}`
	for _, c := range []struct{ name, schema, value, want string }{
		{"it does", person, `{"name": "Ada", "age": 36}`, ""},
		{"deep", person, `{"name": "Ada", "age": "old"}`, "/age: got string, want integer"},
		{"whole", person, `{}`, "missing property 'name'"},
		{"no schema", `{"$ref": "file:///etc/passwd"}`, `1`, "error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Conforms(json.RawMessage(c.schema), json.RawMessage(c.value))
			switch {
			case c.want == "" && err != nil, c.want != "" && err == nil, c.want != "error" && err != nil && err.Error() != c.want:
				t.Errorf("it says %v, want %q", err, c.want)
			}
		})
	}
}
