package orchestration

import (
	"bytes"
	"encoding/json"
)

// A Recovery is a subtask's own on_failure: what becomes of it, and of the run,
// when it has failed for good. The zero Recovery leaves that to the run.
//
// Its JSON is the name of what to do or, to say what to fall back on,
// {"fallback": {…}}.
type Recovery struct {
	Do       OnFailure
	Fallback *Fallback // with OnFailureFallback; nil: our own simple prompt, and the configured fallback model
}

// A Fallback is what is used when a subtask has failed: a simpler prompt,
// another model, or, last, a value.
type Fallback struct {
	Prompt string          `json:"prompt,omitempty"` // in the place of the description; empty: our simple one
	Model  string          `json:"model,omitempty"`  // empty: the fallback configured for the worker or its model
	Value  json.RawMessage `json:"value,omitempty"`  // any JSON value: the output when all else failed
}

// MarshalJSON writes a name or an object.
func (r Recovery) MarshalJSON() ([]byte, error) {
	if r.Fallback == nil {
		return json.Marshal(r.Do)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // the value stays as it was written
	err := encoder.Encode(struct {
		Fallback *Fallback `json:"fallback"`
	}{r.Fallback})
	return bytes.TrimSpace(text.Bytes()), err
}

// UnmarshalJSON reads a name or an object.
func (r *Recovery) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		*r = Recovery{}
		return json.Unmarshal(data, &r.Do)
	}
	var object struct {
		Fallback *Fallback `json:"fallback"`
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&object); err != nil {
		return err
	}
	if object.Fallback == nil {
		object.Fallback = new(Fallback)
	}
	*r = Recovery{Do: OnFailureFallback, Fallback: object.Fallback}
	return nil
}

// compact returns the recovery with its value as the journal gives it back.
func (r Recovery) compact() Recovery {
	if r.Fallback != nil && len(r.Fallback.Value) > 0 {
		r.Fallback = copied(r.Fallback)
		r.Fallback.Value = encoded(r.Fallback.Value)
	}
	return r
}
