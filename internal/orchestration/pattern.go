package orchestration

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Bounds of regular expressions. RE2 takes time in proportion to the pattern and
// the text, so that bounds the work.
const (
	maxPattern     = 4 << 10 // bytes
	maxMatchEffort = 1 << 30 // instructions of the pattern times bytes of the text
)

// A Pattern is a regular expression (RE2) that a stranger may have written.
type Pattern struct {
	compiled *regexp.Regexp
	size     int // instructions
}

// CompilePattern returns a pattern. The error, in words for people, says why it
// cannot be used.
func CompilePattern(text string) (*Pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("the pattern has %d bytes; at most %d are allowed", len(text), maxPattern)
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("the pattern cannot be used: %s", beginning(err.Error(), 200))
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, fmt.Errorf("the pattern cannot be used: %s", beginning(err.Error(), 200))
	}
	compiled, err := regexp.Compile(text)
	return &Pattern{compiled, len(program.Inst)}, err
}

// Match reports whether the pattern matches somewhere in a text. An error says
// that the two together are too much work.
func (p *Pattern) Match(text string) (bool, error) {
	if p.size*len(text) > maxMatchEffort {
		return false, fmt.Errorf("the text is too long to be matched against so involved a pattern")
	}
	return p.compiled.MatchString(text), nil
}
