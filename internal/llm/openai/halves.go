package openai

import (
	"bytes"
	"regexp"
	"slices"
)

// JSON may write a letter such as an emoji as two escapes, the halves of a
// surrogate pair, and an endpoint that cuts texts by UTF-16 sends them in two
// pieces. Read one by one, neither is a letter.
var (
	firstHalf  = regexp.MustCompile(`[^\\](?:\\\\)*(\\u[dD][89abAB][0-9a-fA-F]{2})"`) // that ends a string
	secondHalf = regexp.MustCompile(`:\s*"()\\u[dD][c-fC-F][0-9a-fA-F]{2}`)           // that begins one
	anyHalf    = [...][]byte{[]byte(`\ud`), []byte(`\uD`)}
)

// halves keep the first half of a letter until the second one comes.
type halves struct{ first []byte }

// join returns a line of a stream with its letters whole: what ends a string is
// left out of it, and put before what begins one in a line after it. A first half
// without a second one is no text.
func (h *halves) join(line []byte) []byte {
	if !bytes.Contains(line, anyHalf[0]) && !bytes.Contains(line, anyHalf[1]) {
		return line
	}
	if at := secondHalf.FindSubmatchIndex(line); at != nil && h.first != nil {
		line, h.first = slices.Concat(line[:at[2]], h.first, line[at[2]:]), nil
	}
	if at := firstHalf.FindSubmatchIndex(line); at != nil {
		h.first = bytes.Clone(line[at[2]:at[3]])
		line = slices.Concat(line[:at[2]], line[at[3]:])
	}
	return line
}
