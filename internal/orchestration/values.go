package orchestration

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tutti-run/tutti/internal/quote"
)

// lenient takes what encoding/json does, and leaves texts as they are written.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true)}

// elements returns those of a list, each as JSON, and whether it is one.
func elements(list []byte) ([]string, bool) {
	d := jsontext.NewDecoder(bytes.NewReader(list), lenient...)
	if begin, err := d.ReadToken(); err != nil || begin.Kind() != '[' {
		return nil, false
	}
	all := []string{}
	for d.PeekKind() != ']' {
		e, err := d.ReadValue()
		if err != nil {
			return nil, false
		}
		all = append(all, string(e))
	}
	return all, true
}

// TextOf returns a JSON value as an output: texts as they are, all else as JSON.
func TextOf(value string) string {
	var text string
	if strings.HasPrefix(value, `"`) && json.Unmarshal([]byte(value), &text) == nil {
		return text
	}
	return value
}

// appendJSON appends an output as a JSON value: as it is where it is JSON, but for the
// spaces between its parts, and as a string where not. Nil is null.
func appendJSON(to []byte, output *string) []byte {
	if output == nil {
		return append(to, "null"...)
	}
	if MayBeJSON(*output) {
		if with, err := jsontext.AppendFormat(to, *output, lenient...); err == nil {
			return with
		}
	}
	return quote.Append(to, *output)
}

// MayBeJSON reports whether a text begins as JSON does: most prose does not.
func MayBeJSON(text string) bool {
	for i := range len(text) {
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\n':
		case '{', '[', '"', '-':
			return true
		case 't', 'f', 'n':
			text = text[i:]
			return strings.HasPrefix(text, "true") || strings.HasPrefix(text, "false") || strings.HasPrefix(text, "null")
		default:
			return '0' <= c && c <= '9'
		}
	}
	return false
}

// encoded writes what always can be written as JSON: texts, and values that are
// JSON already. Texts are left as legible as they are.
func encoded(value any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
