package schema

import (
	"errors"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tutti-run/tutti/internal/orchestration"
)

const (
	maxPatterns   = 10_000 // instructions of all the patterns of a schema, each compiled twice
	matchedAtOnce = 128    // instructions times bytes that are as much effort as an evaluation
)

// A pattern of a schema, whose matches are a part of the effort.
type pattern struct {
	*orchestration.Pattern
	of   *Schema
	text string
}

// pattern compiles one of the schema's patterns or, later, one that a value is to be.
func (s *Schema) pattern(text string) (jsonschema.Regexp, error) {
	compiled, err := orchestration.CompilePattern(text)
	if err != nil {
		return nil, err
	}
	if s.schema != nil {
		s.effort -= compiled.Size()
	} else if s.patterns += compiled.Size(); s.patterns > maxPatterns {
		return nil, errors.New("the patterns are too large together")
	}
	return pattern{compiled, s, text}, nil
}

func (p pattern) String() string { return p.text }

// MatchString is called by the library.
func (p pattern) MatchString(text string) bool {
	if p.of.effort -= p.Size() * len(text) / matchedAtOnce; p.of.effort < 0 {
		panic(errEffort)
	}
	matches, err := p.Match(text)
	if err != nil {
		panic(errEffort)
	}
	return matches
}
