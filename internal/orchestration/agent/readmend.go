package agent

import (
	"encoding/json"
	"errors"
	"strings"
)

var errNotMended = errors.New("the JSON is not valid and cannot be mended")

// mendJSON returns a value as a jsonScan found it: valid JSON as it is, other JSON
// written anew from what the scan understood. It never guesses at structure, leaves
// every text as it is, and takes linear time.
func mendJSON(raw []byte, deepest int) (json.RawMessage, error) {
	if json.Valid(raw) {
		return raw, nil
	}
	m := jsonMend{text: raw}
	switch {
	case isQuote(raw[0]):
		m.string(raw[1 : len(raw)-1])
	case isOpening(raw[0]):
		scan := jsonScan{deepest: deepest, opened: m.opened, closed: m.closed}
		scan.begin(raw[0], 0)
		more := scanMore
		for i := 1; i < len(raw) && more == scanMore; i++ {
			more = scan.push(raw[i], i)
		}
		if more != scanDone {
			return nil, errNotMended
		}
	default:
		m.word(raw)
	}
	if !json.Valid(m.out) {
		return nil, errNotMended
	}
	return m.out, nil
}

// A jsonMend writes valid JSON from the values that a scan finds.
type jsonMend struct{ text, out []byte }

func (m *jsonMend) opened(v jsonValue) {
	m.begin(v)
	m.out = append(m.out, v.kind)
}

func (m *jsonMend) closed(v jsonValue) {
	switch v.kind {
	case '{', '[':
		m.out = append(m.out, v.kind+2) // its closing bracket, in ASCII
	case '"':
		m.begin(v)
		m.string(m.text[v.start+1 : v.end-1])
	default:
		m.begin(v)
		m.word(m.text[v.start:v.end])
	}
}

// begin writes what stands before a value.
func (m *jsonMend) begin(v jsonValue) {
	if n := len(m.out); n > 0 && !isOpening(m.out[n-1]) {
		m.out = append(m.out, ',')
	}
	if v.key.end > 0 {
		m.string(m.text[v.key.start:v.key.end])
		m.out = append(m.out, ':')
	}
}

// string writes a string whose text was between any quotes.
func (m *jsonMend) string(text []byte) {
	m.out = append(m.out, '"')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			m.escape(text[i:])
		case c == '"', c == '\\':
			m.out = append(m.out, '\\', c)
		case c < ' ':
			m.control(c)
		default:
			m.out = append(m.out, c)
		}
	}
	m.out = append(m.out, '"')
}

// escape writes what a backslash stands before: an escape, or something that the
// model forgot to escape the backslash for, as in \d+ or C:\Users.
func (m *jsonMend) escape(after []byte) {
	switch c := after[0]; {
	case strings.IndexByte(`"\/bfnrt`, c) >= 0, c == 'u' && isCodeUnit(after[1:]):
		m.out = append(m.out, '\\', c)
	case c == '\'':
		m.out = append(m.out, c)
	case c < ' ':
		m.control(c)
	default:
		m.out = append(m.out, '\\', '\\', c)
	}
}

func (m *jsonMend) control(c byte) {
	const hex = "0123456789abcdef"
	if c == 0 {
		m.out = append(m.out, "\uFFFD"...)
		return
	}
	m.out = append(m.out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

func isCodeUnit(text []byte) bool {
	if len(text) < 4 {
		return false
	}
	for _, c := range text[:4] {
		if (c < '0' || c > '9') && (lower(c) < 'a' || lower(c) > 'f') {
			return false
		}
	}
	return true
}

// word writes a number or name; a name of no meaning becomes a string. An
// ellipsis, which stands for what the model left out, stays and cannot be mended.
func (m *jsonMend) word(text []byte) {
	switch word := string(text); word {
	case "True":
		m.out = append(m.out, "true"...)
	case "False":
		m.out = append(m.out, "false"...)
	case "None", "undefined", "NaN":
		m.out = append(m.out, "null"...)
	default:
		if word == "..." || json.Valid(text) {
			m.out = append(m.out, text...)
		} else {
			m.string(text)
		}
	}
}
