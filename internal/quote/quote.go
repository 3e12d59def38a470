// Package quote writes texts as JSON strings, faster than libraries do: prompts and
// outputs are long, and are written more often than anything else.
package quote

import (
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Append appends a text as a JSON string, just as jsontext.AppendQuote does: the
// shortest form, and U+FFFD for what is no UTF-8. It looks at eight bytes at a
// time, not at one.
func Append(to []byte, text string) []byte {
	if !utf8.ValidString(text) {
		to, _ = jsontext.AppendQuote(to, text)
		return to
	}
	to = append(to, '"')
	for {
		n := plain(text)
		to = append(to, text[:n]...)
		if n == len(text) {
			return append(to, '"')
		}
		to = escape(to, text[n])
		text = text[n+1:]
	}
}

// plain returns how many bytes a text begins with that need no escape.
func plain(text string) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; n+8 <= len(text); n += 8 {
		b := text[n : n+8]
		word := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		// The high bit of each byte that is below a blank, a quote or a backslash.
		// A borrow may set it for a byte after such a one, but never before.
		quotes, slashes := word^each*'"', word^each*'\\'
		found := ((word-each*' ')&^word | (quotes-each)&^quotes | (slashes-each)&^slashes) & high
		if found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for ; n < len(text); n++ {
		if c := text[n]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return n
}

func escape(to []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '\n':
		return append(to, `\n`...)
	case '\t':
		return append(to, `\t`...)
	case '\r':
		return append(to, `\r`...)
	case '\b':
		return append(to, `\b`...)
	case '\f':
		return append(to, `\f`...)
	case '"', '\\':
		return append(to, '\\', c)
	}
	return append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
