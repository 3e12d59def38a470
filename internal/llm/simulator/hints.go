package simulator

import (
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// planHints reads what the schema of a plan says about it. It returns false
// for a schema that a plan of ours would not satisfy.
func planHints(schema jsontext.Value) (hints, bool) {
	var root any
	if len(schema) == 0 || json.Unmarshal(schema, &root) != nil {
		return hints{}, false
	}
	b := &builder{root: root}
	plan := b.properties(root)
	list := b.one(plan["subtasks"])
	subtask := b.properties(list["items"])
	if !fits(b.one(root), "analysis", "subtasks") || !fits(b.one(list["items"]), "id", "type", "description", "depends_on") {
		return hints{}, false
	}
	h := hints{least: list.integer("minItems", 0), most: list.integer("maxItems", 0)}
	enum, _ := b.one(subtask["type"])["enum"].([]any)
	for _, v := range enum {
		if name, ok := v.(string); ok {
			h.types = append(h.types, name)
		}
	}
	return h, true
}

// fits says whether an object of s may have just these keys.
func fits(s flat, keys ...string) bool {
	properties, _ := s["properties"].(map[string]any)
	for _, key := range keys {
		if properties[key] == nil {
			return false
		}
	}
	required, _ := s["required"].([]any)
	for _, r := range required {
		if name, _ := r.(string); !slices.Contains(keys, name) {
			return false
		}
	}
	return true
}

func (b *builder) one(schema any) flat {
	choices, err := b.flatten(schema, 0)
	if err != nil {
		return nil
	}
	return choices[0]
}

func (b *builder) properties(schema any) map[string]any {
	properties, _ := b.one(schema)["properties"].(map[string]any)
	return properties
}
