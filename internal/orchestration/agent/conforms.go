package agent

import (
	"encoding/json"
	"errors"
)

// Conforms returns how a value breaks a JSON Schema, nil when it does not. Both
// may be strangers': the schema must pass [CheckSchema], and the work is bounded.
// The error's text is for people, and may quote the value.
func Conforms(schema, value json.RawMessage) error {
	compiled, err := compileSchema(schema)
	if err != nil {
		return err
	}
	violations := compiled.check(value)
	if len(violations) == 0 {
		return nil
	}
	v := violations[0]
	if v.pointer == "" {
		return errors.New(shortly(v.detail, maxDescription))
	}
	return errors.New(v.pointer + ": " + shortly(v.detail, maxDescription))
}
