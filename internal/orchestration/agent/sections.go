package agent

import (
	"strings"
	"unicode"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// An item is an element of a section: the output or the result of a subtask, an
// input, or an output that was refused.
type item struct {
	id, kind string
	status   orchestration.Status // shown where it is set
	text     string               // already harmless in its section
	in       place
}

// A place is where an item stands in a prompt.
type place int

const (
	inOutputs place = iota // among dependencies or results
	inInputs               // among inputs, its id being the name
	inPrompt               // an input for which the caller's prompt has a placeholder
	inRefused              // on its own: what is to be revised
)

// at returns the items of a place.
func at(in place, items []item) []item {
	var there []item
	for _, it := range items {
		if it.in == in {
			there = append(there, it)
		}
	}
	return there
}

// section writes items between tags: <results><result id="T1" …>…</result></results>.
func section(b *strings.Builder, name, element string, items []item) {
	b.WriteString("<" + name + ">\n")
	for _, it := range items {
		if it.id == "" { // a remark
			b.WriteString(it.text + "\n")
			continue
		}
		write(b, "<", element, ` id="`, it.id, `" type="`, attribute(it.kind), `"`)
		if it.status != "" {
			write(b, ` status="`, string(it.status), `"`)
		}
		write(b, ">\n", it.text, "\n</", element, ">\n")
	}
	b.WriteString("</" + name + ">")
}

// outputs is the section {dependencies}: empty when there are none.
func outputs(items []item) string {
	return sectionText("dependencies", "output", at(inOutputs, items))
}

// inputs is the section of named values: empty when there are none.
func inputs(items []item) string {
	items = at(inInputs, items)
	if len(items) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("<inputs>\n")
	for _, it := range items {
		write(&b, `<input name="`, attribute(it.id), "\">\n", it.text, "\n</input>\n")
	}
	b.WriteString("</inputs>")
	return b.String()
}

// material is what there is to build on, each section with a blank line after it.
func material(items []item) string {
	text := ""
	for _, section := range []string{outputs(items), inputs(items)} {
		if section != "" {
			text += section + "\n\n"
		}
	}
	return text
}

// results is the section {results}.
func results(items []item) string {
	return sectionText("results", "result", items)
}

func sectionText(name, element string, items []item) string {
	if len(items) == 0 {
		return ""
	}
	var b strings.Builder
	size := 64
	for _, it := range items {
		size += len(it.text) + len(it.kind) + 96
	}
	b.Grow(size)
	section(&b, name, element, items)
	return b.String()
}

// Tags that may not stand in a section, because they could end it or forge a
// part of it.
var (
	taskTags    = []string{"</task"}
	contextTags = []string{"</context"}
	outputTags  = []string{"</output", "</dependencies", "<output id"}
	resultTags  = []string{"</result", "</results", "<result id"}
	planTags    = []string{"</plan"}
	subtaskTags = []string{"</description", "</subtask"}
	inputTags   = []string{"</input", "</inputs", "<input name"}
	reworkTags  = []string{"</refused", "</feedback"}
)

// harmless returns text with the "<" of those tags, in capitals or not, turned
// into "‹". Text without them is returned as it is.
func harmless(text string, tags []string) string {
	var b strings.Builder
	done := 0
	for at := 0; ; at++ {
		i := strings.IndexByte(text[at:], '<')
		if i < 0 {
			break
		}
		at += i
		if !begins(text[at:], tags) {
			continue
		}
		if done == 0 {
			b.Grow(len(text) + 16)
		}
		b.WriteString(text[done:at] + "‹")
		done = at + 1
	}
	if done == 0 {
		return text
	}
	b.WriteString(text[done:])
	return b.String()
}

// begins reports whether text begins with one of the tags, and not with one
// whose name is longer. White space may stand where it should not, and the
// attribute that a tag has may come after others: a model reads over that.
func begins(text string, tags []string) bool {
	rest, closing := strings.CutPrefix(strings.TrimLeftFunc(text[1:], isSpace), "/")
	if closing {
		rest = strings.TrimLeftFunc(rest, isSpace)
	}
	for _, tag := range tags {
		name, attribute, _ := strings.Cut(tag[1:], " ")
		name, closes := strings.CutPrefix(name, "/")
		if closes != closing {
			continue
		}
		after, ok := afterFold(rest, name)
		if ok && (after == "" || !isNameByte(after[0])) && (attribute == "" || hasAttribute(after, attribute)) {
			return true
		}
	}
	return false
}

// hasAttribute reports whether a tag, from the end of its name on, has an
// attribute of that name. Where the tag ends is not asked: another one may
// have a ">" in its value.
func hasAttribute(tag, name string) bool {
	if next := strings.IndexByte(tag, '<'); next >= 0 {
		tag = tag[:next]
	}
	for i := 1; i < len(tag); i++ {
		rest, ok := afterFold(tag[i:], name)
		if ok && !isNameByte(tag[i-1]) && strings.HasPrefix(strings.TrimLeftFunc(rest, isSpace), "=") {
			return true
		}
	}
	return false
}

// afterFold returns what follows prefix, in capitals or not, in text.
func afterFold(text, prefix string) (rest string, ok bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return "", false
	}
	return text[len(prefix):], true
}

func isNameByte(c byte) bool {
	return c == '-' || c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// attribute makes free words fit between the quotes of an attribute, or “ and ”.
func attribute(words string) string {
	const most = 64
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"', r == '“', r == '”':
			return '\''
		case r == '<':
			return '‹'
		case r == '>':
			return '›'
		case unicode.IsControl(r), isSpace(r):
			return ' '
		}
		return r
	}, shortly(words, most))
}

// write writes texts one after the other: putting them together first would copy
// each of them once more.
func write(b *strings.Builder, texts ...string) {
	for _, text := range texts {
		b.WriteString(text)
	}
}

// element writes <name>text</name> and a blank line, unless text is empty. It is at the
// depth where a stack of 4 kB has no room for a list of texts.
func element(b *strings.Builder, name, text string) {
	if text != "" {
		b.WriteByte('<')
		b.WriteString(name)
		b.WriteString(">\n")
		b.WriteString(text)
		b.WriteString("\n</")
		b.WriteString(name)
		b.WriteString(">\n\n")
	}
}
