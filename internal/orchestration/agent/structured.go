package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
)

// schemaWords asks for JSON in words, as not every endpoint takes a schema.
func schemaWords(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	return "\n\nAnswer with JSON that satisfies the following JSON Schema, and with nothing else:\n" + string(raw)
}

// structured has an answer made that satisfies the caller's schema. One that
// does not is revised once.
func (p *performance) structured(ctx context.Context, d *dialog, raw json.RawMessage) (string, *orchestration.Failure) {
	compiled, err := schema.Compile(raw)
	if err != nil {
		return "", &orchestration.Failure{Code: orchestration.CodeInternal, Detail: shortly(err.Error(), maxDetail)}
	}
	d.request.Schema = &llm.Schema{Name: "answer", JSON: raw}
	answer, failure := d.ask(ctx)
	if failure != nil {
		return "", failure
	}
	value, violations := read(compiled, answer)
	if len(violations) > 0 {
		d.reply(answerKept(answer), revisionWords(violations))
		if d.spent(&d.request) {
			failure = violated(violations)
			failure.Retryable = true // the core knows what is left for another attempt
			return "", failure
		}
		if answer, failure = d.ask(ctx); failure != nil {
			if failure.Code == orchestration.CodeContextTooLong {
				return "", violated(violations)
			}
			return "", failure
		}
		if value, violations = read(compiled, answer); len(violations) > 0 {
			return "", violated(violations)
		}
	}
	return value, nil
}

// read returns an answer as compact JSON, or what is wrong with it.
func read(compiled *schema.Schema, answer string) (string, []schema.Violation) {
	found, err := readJSON(answer)
	if err != nil {
		return "", unreadable(shortly(err.Error(), maxDescription))
	}
	value, violations := strictly(string(found))
	if len(violations) > 0 {
		return "", violations
	}
	return string(value), compiled.Validate(value)
}

// strictly returns JSON in its compact form. What is checked is what every reader
// will see: an object names nothing twice, since some would take the first and
// some the last, and half a surrogate is U+FFFD.
func strictly(text string) (json.RawMessage, []schema.Violation) {
	value, err := jsontext.AppendFormat(nil, []byte(text), jsontext.AllowInvalidUTF8(true))
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, unreadable("an object of the answer names a member twice")
	case err != nil:
		return nil, unreadable("the answer is not valid JSON")
	}
	return value, nil
}

func revisionWords(violations []schema.Violation) string {
	return "Your answer does not satisfy the JSON Schema:\n" + violationLines(violations) +
		"\nAnswer again with the whole JSON, mended, and with nothing else."
}

// violationLines lists violations for the model that wrote what breaks the schema.
func violationLines(violations []schema.Violation) string {
	var b strings.Builder
	for _, v := range violations {
		b.WriteString("- " + v.String() + "\n")
	}
	return b.String()
}

// rules lists violations without a word of what breaks the schema, but for the
// names in it.
func rules(violations []schema.Violation) string {
	lines := make([]string, len(violations))
	for i, v := range violations {
		v.Detail = v.Rule
		lines[i] = v.String()
	}
	return strings.Join(lines, "; ")
}

// unreadable is what is wrong with an answer that no schema can be held against.
func unreadable(words string) []schema.Violation {
	return []schema.Violation{{Detail: words, Rule: words}}
}

// violated says where an answer breaks the schema, without quoting it.
func violated(violations []schema.Violation) *orchestration.Failure {
	where := "as a whole"
	if pointer := violations[0].Pointer; pointer != "" {
		where = "first at " + pointer
	}
	return invalidOutput(fmt.Sprintf("the answer does not satisfy json_schema, even after a revision: %d faults, %s", len(violations), where), false)
}
