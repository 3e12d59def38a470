package agent

import (
	"html"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A tagScan follows one tag byte by byte from its '<' on. It takes only tags
// whose names it knows, so that "a < b", List<T> and <b>bold</b> stay text, and
// it gives up at the next '<', so that no stray '<' can hide the tag after it.
type tagScan struct {
	knows func(name string) bool
	on    bool // in a tag
	tag   readTag
	state tagState
	name  []byte
}

// A readTag is a tag's place in the text.
type readTag struct {
	name       string // lower case, without '_' and '-'
	start, end int
	attributes int // where they begin
	closing    bool
	empty      bool // <name/>
}

type tagState byte

const (
	tagFirst   tagState = iota // after the '<'
	tagName                    // in the name
	tagRest                    // after the name
	tagQuoted                  // in "…" after the name
	tagQuoted1                 // in '…' after the name
	tagMark                    // in <!-- or <![CDATA[
)

const (
	openComment, closeComment = "<!--", "-->"
	openCDATA, closeCDATA     = "<![CDATA[", "]]>"
)

// maxTagName is more than the longest name that is known, or than openCDATA.
const maxTagName = 24

func (s *tagScan) begin(at int) {
	s.on, s.state, s.name = true, tagFirst, s.name[:0]
	s.tag = readTag{start: at}
}

// push takes the next byte. After scanDone and scanNot the scan is over; done,
// s.tag is the tag, whose name is openComment or openCDATA for those.
func (s *tagScan) push(c byte, at int) verdict {
	v := s.take(c, at)
	if v == scanDone {
		s.tag.end = at + 1
	}
	s.on = v == scanMore
	return v
}

func (s *tagScan) take(c byte, at int) verdict {
	switch s.state {
	case tagFirst, tagName:
		return s.inName(c, at)
	case tagRest:
		return s.inRest(c)
	case tagMark:
		return s.inMark(c)
	default:
		return s.inQuotes(c)
	}
}

func (s *tagScan) inName(c byte, at int) verdict {
	letter := isWord(c) && c != '+' && c != '.' && c != '$'
	switch {
	case letter && len(s.name) <= maxTagName:
		s.state = tagName
		if c != '_' && c != '-' {
			s.name = append(s.name, lower(c))
		}
	case letter:
	case s.state == tagFirst && c == '/' && !s.tag.closing:
		s.tag.closing = true
	case s.state == tagFirst && c == '!' && !s.tag.closing:
		s.state, s.name = tagMark, append(s.name, '<', c)
	case s.state == tagName && s.knows(string(s.name)):
		s.tag.name, s.tag.attributes, s.state = string(s.name), at, tagRest
		return s.inRest(c)
	default:
		return scanNot
	}
	return scanMore
}

func (s *tagScan) inRest(c byte) verdict {
	slash := s.tag.empty
	s.tag.empty = c == '/' && !s.tag.closing
	switch {
	case c == '>':
		s.tag.empty = slash
		return scanDone
	case isBlank(c), s.tag.empty:
	case c == '<', s.tag.closing:
		return scanNot
	case c == '"':
		s.state = tagQuoted
	case c == '\'':
		s.state = tagQuoted1
	}
	return scanMore
}

func (s *tagScan) inQuotes(c byte) verdict {
	switch {
	case c == '<':
		return scanNot
	case c == '"' && s.state == tagQuoted, c == '\'' && s.state == tagQuoted1:
		s.state = tagRest
	}
	return scanMore
}

func (s *tagScan) inMark(c byte) verdict {
	s.name = append(s.name, c)
	s.tag.name = string(s.name)
	switch {
	case s.tag.name == openComment, s.tag.name == openCDATA:
		return scanDone
	case strings.HasPrefix(openComment, s.tag.name), strings.HasPrefix(openCDATA, s.tag.name):
		return scanMore
	default:
		return scanNot
	}
}

// isThinking reports whether a tag's text is what a model thought before it answered.
func isThinking(name string) bool {
	switch name {
	case "think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad", "antthinking":
		return true
	}
	return false
}

var attributeForm = regexp.MustCompile(`([A-Za-z_-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'/>]+))`)

// attributesOf calls f with each attribute of a tag.
func attributesOf(attributes string, f func(name, value string)) {
	for _, m := range attributeForm.FindAllStringSubmatch(attributes, -1) {
		f(plainName(m[1]), unescape(m[2]+m[3]+m[4]))
	}
}

// xmlText returns the text of an element: CDATA as it is, elsewhere entities
// decoded, and every '&' and '<' that means nothing else kept.
func xmlText(s string) string {
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(s, openCDATA)
		b.WriteString(unescape(text))
		if !found {
			return b.String()
		}
		literal, after, _ := strings.Cut(rest, closeCDATA)
		b.WriteString(literal)
		s = after
	}
}

var entityForm = regexp.MustCompile(`&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|amp|lt|gt|quot|apos);`)

func unescape(s string) string {
	return entityForm.ReplaceAllStringFunc(s, html.UnescapeString)
}

var nameVariations = strings.NewReplacer("_", "", "-", "", " ", "")

// plainName is a name of a tag, key or attribute without what models vary:
// "dependsOn", "depends-on" and "Depends_On" are one.
func plainName(s string) string {
	return strings.ToLower(nameVariations.Replace(s))
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// trimmed is a text without white space round it, and with U+FFFD for what no
// text may hold.
func trimmed(s string) string {
	return strings.TrimFunc(mendText(s), isSpace)
}

func isSpace(r rune) bool { return unicode.IsSpace(r) || r == '\uFEFF' || r == '\u200B' }

// mendText puts U+FFFD for NUL and for bytes that are not UTF-8.
func mendText(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == 0 {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
