package agent

import (
	"unicode/utf8"
)

// Tokens estimates how many tokens a model makes of a text, from above for any
// common vocabulary, and at most as many as the text has bytes.
func Tokens(text string) int { return tokens(text) }

// tokens estimates how many tokens a model makes of s: an estimate that is
// meant to be high for any common vocabulary, linear in time, and never more
// than len(s). It counts
//
//   - a word of ASCII letters as a quarter of its letters, rounded up, and one
//     more wherever a capital follows a small letter;
//   - digits, punctuation, newlines and control characters as 1 each;
//   - a single blank between them as nothing, a longer run of blanks as a
//     quarter of its length, rounded up;
//   - any other character as one less than its bytes in UTF-8.
//
// So tokens(a+b) is at most tokens(a)+tokens(b)+1.
func tokens(s string) int {
	var m meter
	for i := 0; i < len(s); {
		c, size := classAt(s, i)
		m.add(c, size)
		i += size
	}
	return m.tokens
}

// A class is what a character counts as.
type class byte

const (
	single class = iota // digits, punctuation and what is no character
	small
	capital
	blank
	foreign // not ASCII
)

// A meter counts tokens along a text, forwards or backwards.
type meter struct {
	backwards bool
	tokens    int
	last      class
	run       int // characters of the word, or blanks, that the last one ended
}

func (m *meter) add(c class, size int) {
	switch c {
	case small, capital:
		if m.last != small && m.last != capital {
			m.run = 0
		}
		if m.run%4 == 0 {
			m.tokens++
		}
		if first, second := m.inOrder(c); first == small && second == capital {
			m.tokens++
		}
	case blank:
		if m.last != blank {
			m.run = 0
		}
		if m.run == 1 || m.run > 1 && m.run%4 == 0 {
			m.tokens++
		}
	case foreign:
		m.tokens += size - 1
	case single:
		m.tokens++
	}
	m.last = c
	m.run++
}

// inOrder returns the last character and c as they stand in the text.
func (m *meter) inOrder(c class) (first, second class) {
	if m.backwards {
		return c, m.last
	}
	return m.last, c
}

// headWithin returns the length of the longest beginning of s that counts at
// most n tokens.
func headWithin(s string, n int) int {
	var m meter
	for i := 0; i < len(s); {
		c, size := classAt(s, i)
		if m.add(c, size); m.tokens > n {
			return i
		}
		i += size
	}
	return len(s)
}

// tailWithin returns where the longest end of s begins that counts at most n tokens.
func tailWithin(s string, n int) int {
	m := meter{backwards: true}
	for i := len(s); i > 0; {
		c, size := classBefore(s, i)
		if m.add(c, size); m.tokens > n {
			return i
		}
		i -= size
	}
	return 0
}

func classAt(s string, i int) (c class, size int) {
	if b := s[i]; b < utf8.RuneSelf {
		return classes[b], 1
	}
	_, size = utf8.DecodeRuneInString(s[i:])
	return wide(size), size
}

func classBefore(s string, end int) (c class, size int) {
	if b := s[end-1]; b < utf8.RuneSelf {
		return classes[b], 1
	}
	_, size = utf8.DecodeLastRuneInString(s[:end])
	return wide(size), size
}

func wide(size int) class {
	if size == 1 {
		return single // a byte that is no character
	}
	return foreign
}

var classes = func() (table [utf8.RuneSelf]class) {
	for b := 'a'; b <= 'z'; b++ {
		table[b], table[b-'a'+'A'] = small, capital
	}
	table[' '], table['\t'] = blank, blank
	return table
}()
