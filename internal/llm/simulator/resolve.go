package simulator

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A flat schema is one without references and combinations.
type flat map[string]any

// flatten resolves a schema's references and combinations into the flat
// schemas of which a value may satisfy any: one, unless there is anyOf or oneOf.
func (b *builder) flatten(schema any, depth int) ([]flat, error) {
	if b.steps++; b.steps > maxSchemaSteps || depth > maxSchemaDepth {
		return nil, fmt.Errorf("%w: its references do not end", errSchema)
	}
	if allowed, ok := schema.(bool); ok && allowed {
		return []flat{{}}, nil
	}
	object, ok := schema.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: nothing satisfies it", errSchema)
	}
	choices := []flat{object}
	if ref, ok := object["$ref"].(string); ok {
		target, err := b.resolve(ref)
		if err != nil {
			return nil, err
		}
		if choices, err = b.and(choices, target, depth); err != nil {
			return nil, err
		}
	}
	all, _ := object["allOf"].([]any)
	for _, part := range all {
		var err error
		if choices, err = b.and(choices, part, depth); err != nil {
			return nil, err
		}
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if branches, ok := object[key].([]any); ok {
			var err error
			if choices, err = b.or(choices, branches, depth); err != nil {
				return nil, err
			}
		}
	}
	return choices, nil
}

// maxChoices bounds the ways to satisfy a schema that are tried.
const maxChoices = 16

// keysPerStep is how many keys of schemas are joined in a step.
const keysPerStep = 16

// and joins each choice with each of another schema.
func (b *builder) and(choices []flat, other any, depth int) ([]flat, error) {
	others, err := b.flatten(other, depth+1)
	if err != nil {
		return nil, err
	}
	var out []flat
	for _, c := range choices {
		for _, o := range others {
			if len(out) < maxChoices {
				b.steps += (len(c) + len(o)) / keysPerStep
				out = append(out, merge(c, o))
			}
		}
	}
	return out, nil
}

// or joins each choice with each branch; null comes first when the value is deep.
func (b *builder) or(choices []flat, branches []any, depth int) ([]flat, error) {
	var out []flat
	var failed error
	if depth > fewLevels {
		branches = slices.SortedStableFunc(slices.Values(branches), nullFirst)
	}
	for _, branch := range branches {
		if len(out) >= maxChoices {
			break
		}
		joined, err := b.and(choices, branch, depth)
		if err != nil {
			failed = err
			continue
		}
		out = append(out, joined...)
	}
	if len(out) == 0 {
		return nil, errors.Join(errSchema, failed)
	}
	if depth > fewLevels { // references are resolved now
		slices.SortStableFunc(out, func(x, y flat) int { return nullness(y) - nullness(x) })
	}
	return out[:min(len(out), maxChoices)], nil
}

func nullFirst(x, y any) int {
	a, _ := x.(map[string]any)
	b, _ := y.(map[string]any)
	return nullness(b) - nullness(a)
}

func nullness(s flat) int {
	if s["type"] == "null" {
		return 1
	}
	return 0
}

// resolve finds what a reference within the schema points to.
func (b *builder) resolve(ref string) (any, error) {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, fmt.Errorf("%w: %.80q points outside of it", errSchema, ref)
	}
	if p, err := url.PathUnescape(pointer); err == nil {
		pointer = p
	}
	at := b.root
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch v := at.(type) {
		case map[string]any:
			at = v[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return nil, fmt.Errorf("%w: %.80q points to nothing", errSchema, ref)
			}
			at = v[i]
		}
	}
	if at == nil {
		return nil, fmt.Errorf("%w: %.80q points to nothing", errSchema, ref)
	}
	return at, nil
}
