package simulator

import "maps"

// merge returns a schema that both a and b are part of: of bounds the stricter
// one, of properties and what is required all, of other keywords b's.
func merge(a, b flat) flat {
	out := maps.Clone(a)
	for key, y := range b {
		out[key] = mergeKeyword(key, out[key], y)
	}
	return out
}

func mergeKeyword(key string, x, y any) any {
	switch key {
	case "minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties":
		if x, ok := x.(float64); ok {
			if y, ok := y.(float64); ok {
				return max(x, y)
			}
		}
	case "maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties":
		if x, ok := x.(float64); ok {
			if y, ok := y.(float64); ok {
				return min(x, y)
			}
		}
	case "required":
		if x, ok := x.([]any); ok {
			if y, ok := y.([]any); ok {
				return append(x[:len(x):len(x)], y...)
			}
		}
	case "properties":
		if x, ok := x.(map[string]any); ok {
			if y, ok := y.(map[string]any); ok {
				return mergeProperties(x, y)
			}
		}
	case "type":
		if x == "integer" && y == "number" { // the one is part of the other
			return x
		}
	}
	return y
}

func mergeProperties(x, y map[string]any) map[string]any {
	out := maps.Clone(x)
	for name, schema := range y {
		if other, ok := out[name]; ok {
			schema = map[string]any{"allOf": []any{other, schema}}
		}
		out[name] = schema
	}
	return out
}
