package schema

import (
	"encoding/json"
	"errors"
)

// Conforms returns how a value breaks a JSON Schema, nil when it does not. Both
// may be strangers': the schema must pass [Check], and the work is bounded.
// The error's text is for people, and may quote the value.
func Conforms(raw, value json.RawMessage) error {
	compiled, err := Compile(raw)
	if err != nil {
		return err
	}
	if violations := compiled.Validate(value); len(violations) > 0 {
		return errors.New(violations[0].String())
	}
	return nil
}
