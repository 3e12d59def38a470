package workflow

import (
	"encoding/json"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Rules are what a template is checked against, besides its shape: what only the
// server knows.
type Rules struct {
	Plan orchestration.Rules
	// Conforms says how a value breaks a JSON Schema, nil when it does not. Both may
	// be strangers'. Nil: no value is looked at.
	Conforms func(schema, value json.RawMessage) error
	// Prompts says what is wrong with the prompts of a run; pointers are into the
	// request. Nil: nothing is.
	Prompts func(spec *orchestration.Spec) []orchestration.Problem
	// Lookup returns the template of a name or name@version, and Names lists the
	// names that there are, to help with misspelled ones. Nil: there is none.
	Lookup func(name string) (*Template, bool)
	Names  func() []string
}

// Read reads a template in JSON or, what is none, in YAML, and checks it whole.
// With faults a template may come too, as far as it could be read.
func (r Rules) Read(name string, source []byte) (*Template, []Fault) {
	read := Parse
	if json.Valid(source) {
		read = parseJSON
	}
	t, faults := read(name, source)
	if t != nil {
		faults = t.Check(r)
	}
	return t, faults
}

func (r Rules) lookup(name string) (*Template, bool) {
	if r.Lookup == nil {
		return nil, false
	}
	return r.Lookup(name)
}

func (r Rules) names() []string {
	if r.Names == nil {
		return nil
	}
	return r.Names()
}

// conforms says how a value breaks a schema, "" when it does not. A schema that is
// none is reported where it stands.
func (r Rules) conforms(p Parameter, value json.RawMessage) string {
	if r.Conforms == nil || p.Schema == nil || r.schema(p.Schema) != "" {
		return ""
	}
	if err := r.Conforms(p.Schema, value); err != nil {
		return err.Error()
	}
	return ""
}

// schema says what is wrong with a JSON Schema, "" when nothing is.
func (r Rules) schema(schema json.RawMessage) string {
	if r.Plan.Schema == nil {
		return ""
	}
	if err := r.Plan.Schema(schema); err != nil {
		return err.Error()
	}
	return ""
}
