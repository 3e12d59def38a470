package openai

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/go-json-experiment/json"
)

// strict reports whether a schema keeps to the part of JSON Schema that OpenAI
// enforces: its root is an object, every object is closed and requires all its
// properties, and no keyword is used that would get the request refused.
// Endpoints that are not OpenAI's take strict schemas, or do not care.
func strict(schema []byte) bool {
	if last := judged.Load(); last != nil && bytes.Equal(last.schema, schema) {
		return last.strict
	}
	now := &verdict{bytes.Clone(schema), judge(schema)}
	judged.Store(now)
	return now.strict
}

// judged is the schema that was asked about last: most often it is that of plans,
// again and again.
var judged atomic.Pointer[verdict]

type verdict struct {
	schema []byte
	strict bool
}

func judge(schema []byte) bool {
	var root map[string]any
	if json.Unmarshal(schema, &root) != nil || root["type"] != "object" {
		return false
	}
	return strictSchema(root, 0)
}

// maxStrictDepth is how deep OpenAI lets schemas nest.
const maxStrictDepth = 10

func strictSchema(v any, depth int) bool {
	schema, ok := v.(map[string]any)
	if !ok || depth > maxStrictDepth {
		return false
	}
	says := false // what a value may be
	for key, value := range schema {
		switch key {
		case "type", "enum", "const", "$ref":
			says = true
		case "description", "title", "$schema", "required", "additionalProperties",
			"pattern", "format", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
			"minItems", "maxItems":
		case "anyOf":
			says = true
			schemas, ok := value.([]any)
			if !ok || slices.ContainsFunc(schemas, func(v any) bool { return !strictSchema(v, depth+1) }) {
				return false
			}
		case "items":
			if !strictSchema(value, depth+1) {
				return false
			}
		case "properties", "$defs", "definitions":
			schemas, ok := value.(map[string]any)
			if !ok {
				return false
			}
			for _, v := range schemas {
				if !strictSchema(v, depth+1) {
					return false
				}
			}
		default:
			return false
		}
	}
	return says && (!mayBeObject(schema) || closed(schema))
}

func mayBeObject(schema map[string]any) bool {
	if types, ok := schema["type"].([]any); ok {
		return slices.Contains(types, any("object"))
	}
	return schema["type"] == "object" || schema["properties"] != nil
}

// closed reports whether an object has all its properties and no others.
func closed(schema map[string]any) bool {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for name := range properties {
		if !slices.Contains(required, any(name)) {
			return false
		}
	}
	others, told := schema["additionalProperties"].(bool)
	return told && !others
}
