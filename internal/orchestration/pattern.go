package orchestration

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Bounds of a pattern. A few bytes of one can stand for very many instructions,
// as in a{1000}b{1000}; the time that a match takes goes by these times the bytes
// of the text, and nothing can stop it once it has begun.
const (
	maxPattern      = 4 << 10 // bytes
	maxInstructions = 5_000
	maxMatching     = 1 << 28 // instructions times bytes: seconds
)

// A Pattern is a regular expression that a stranger wrote.
type Pattern struct {
	compiled *regexp.Regexp
	size     int // instructions
}

// CompilePattern reads a pattern in RE2's syntax. The error is for people, and says
// what is wrong with it: it has at most 4 kB, and comes to at most 5,000 instructions.
func CompilePattern(text string) (*Pattern, error) {
	size, err := checkPattern(text)
	if err != nil {
		return nil, err
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil, noPattern(err)
	}
	return &Pattern{compiled: compiled, size: size}, nil
}

// checkPattern returns what Size will, or why a pattern cannot be compiled, which is
// dear.
func checkPattern(text string) (size int, err error) {
	if len(text) > maxPattern {
		return 0, fmt.Errorf("the pattern has %d bytes; at most %d are allowed", len(text), maxPattern)
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0, noPattern(err)
	}
	if size = instructions(tree); size > maxInstructions {
		return 0, errors.New("the pattern repeats too much: written out it would be too long")
	}
	return size, nil
}

func noPattern(err error) error {
	return fmt.Errorf("the pattern is no regular expression of RE2: %s", beginning(err.Error(), 200))
}

// Size returns about how many instructions the pattern comes to: the work of a match
// is at most these times the bytes of the text.
func (p *Pattern) Size() int { return p.size }

// Match reports whether the pattern matches somewhere in a text. The error says that
// it would take too long.
func (p *Pattern) Match(text string) (bool, error) {
	if p.size*len(text) > maxMatching {
		return false, fmt.Errorf("a text of %d bytes is too long for so involved a pattern", len(text))
	}
	return p.compiled.MatchString(text), nil
}

// instructions returns about how many there will be, without making them. The
// parser bounds how deep a pattern is, and how often a repetition is repeated.
func instructions(tree *syntax.Regexp) int {
	n := 1
	if tree.Op == syntax.OpLiteral {
		n = len(tree.Rune)
	}
	for _, sub := range tree.Sub {
		n += instructions(sub)
	}
	if tree.Op == syntax.OpRepeat {
		n *= max(tree.Min, tree.Max, 1)
	}
	return n
}
