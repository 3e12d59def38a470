package agent

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A template is a caller's prompt, read: text with named gaps.
//
// The language is the smallest part of Python's str.format: {name} is a gap,
// {{ and }} are braces, and there is nothing else. A name is any run of
// characters other than braces, white space and the four that mean something
// in Python (. [ ! :).
type template []piece

// A piece is a text or, where name is set, a gap.
type piece struct {
	text string
	name string
}

// A misuse is a place of a prompt that cannot be understood.
type misuse struct {
	line, column int // from 1; the column in characters
	detail       string
}

func (m misuse) String() string {
	return fmt.Sprintf("line %d, character %d: %s", m.line, m.column, m.detail)
}

// maxFaults bounds how many faults of one prompt are named.
const maxFaults = 20

// parseTemplate reads a prompt. It finds every misuse, up to maxFaults.
func parseTemplate(prompt string) (template, []misuse) {
	var t template
	var misuses []misuse
	refuse := func(at int, detail string) {
		before := prompt[:at]
		start := strings.LastIndexByte(before, '\n') + 1
		misuses = append(misuses, misuse{strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1, detail})
	}
	for at := 0; at < len(prompt) && len(misuses) < maxFaults; {
		brace := strings.IndexAny(prompt[at:], "{}")
		if brace < 0 {
			t = append(t, piece{text: prompt[at:]})
			break
		}
		brace += at
		if doubled := brace+1 < len(prompt) && prompt[brace+1] == prompt[brace]; doubled {
			t = append(t, piece{text: prompt[at : brace+1]})
			at = brace + 2
			continue
		}
		t = append(t, piece{text: prompt[at:brace]})
		at = brace + 1
		if prompt[brace] == '}' {
			refuse(brace, "a single } closes nothing; write }} for the character itself")
			continue
		}
		length := strings.IndexAny(prompt[at:], "{}")
		if length < 0 || prompt[at+length] == '{' {
			refuse(brace, "a single { is not closed; write {{ for the character itself")
			continue
		}
		name := prompt[at : at+length]
		at += length + 1
		if why := misnamed(name); why != "" {
			refuse(brace, fmt.Sprintf("%q %s", "{"+shortly(name, 60)+"}", why))
			continue
		}
		t = append(t, piece{name: name})
	}
	return t, misuses
}

// misnamed says why name is none, "" when it is one.
func misnamed(name string) string {
	switch {
	case name == "":
		return "names nothing; write {{}} for the characters themselves"
	case strings.ContainsAny(name, ".[!:"):
		return "is not a plain name: attributes, indexes, conversions and formats are not understood; write {{ and }} for braces"
	case strings.ContainsFunc(name, unicode.IsSpace):
		return "has white space in its name; write {{ and }} for braces"
	}
	return ""
}

// render fills the gaps. A value is put in as it is: braces in it mean nothing.
func (t template) render(value func(name string) string) string {
	texts := make([]string, len(t))
	for i, p := range t {
		if texts[i] = p.text; p.name != "" {
			texts[i] = value(p.name)
		}
	}
	return strings.Join(texts, "")
}

// count returns how many gaps have that name.
func (t template) count(name string) int {
	n := 0
	for _, p := range t {
		if p.name == name {
			n++
		}
	}
	return n
}

// shortly returns the beginning of text, at most so many bytes, whole
// characters, with "…" where something is left out.
func shortly(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:runeStart(text, most)] + "…"
}

// runeStart returns the largest index ≤ i at which a character of s starts.
func runeStart(s string, i int) int {
	for i > 0 && i < len(s) && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}
