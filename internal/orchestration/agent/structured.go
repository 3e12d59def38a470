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
	if len(violations) > 0 && d.spent() {
		failure = violated(violations)
		failure.Retryable = true // the core knows what is left for another attempt
		return "", failure
	}
	if len(violations) > 0 {
		d.reply(answer[:runeStart(answer, min(len(answer), maxAnswer))], revisionWords(violations))
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

// read returns an answer as compact JSON, or what is wrong with it. What is
// checked is what every reader will see: an object names nothing twice, since
// some would take the first and some the last, and half a surrogate is U+FFFD.
func read(compiled *schema.Schema, answer string) (string, []schema.Violation) {
	found, err := ReadJSON(answer)
	if err != nil {
		return "", []schema.Violation{{Detail: shortly(err.Error(), maxDescription)}}
	}
	value, err := jsontext.AppendFormat(nil, found, jsontext.AllowInvalidUTF8(true))
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return "", []schema.Violation{{Detail: "an object of the answer names a member twice"}}
	}
	if err != nil {
		return "", []schema.Violation{{Detail: "the answer is not valid JSON"}}
	}
	return string(value), compiled.Validate(value)
}

func revisionWords(violations []schema.Violation) string {
	var b strings.Builder
	b.WriteString("Your answer does not satisfy the JSON Schema:\n")
	for _, v := range violations {
		b.WriteString("- " + v.String() + "\n")
	}
	b.WriteString("\nAnswer again with the whole JSON, mended, and with nothing else.")
	return b.String()
}

// violated says where an answer breaks the schema, without quoting it.
func violated(violations []schema.Violation) *orchestration.Failure {
	where := "as a whole"
	if pointer := violations[0].Pointer; pointer != "" {
		where = "first at " + pointer
	}
	return invalidOutput(fmt.Sprintf("the answer does not satisfy json_schema, even after a revision: %d faults, %s", len(violations), where), false)
}
