package workflow

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A Fault is one thing that is wrong with a template.
type Fault struct {
	File    string // as it was named to Parse; may be empty
	Line    int    // from 1; 0 when there is no place
	Column  int    // from 1, in characters
	Pointer string // a JSON Pointer (RFC 6901) into the template: "/plan/subtasks/2/when"
	Code    string // for machines: "unknown_field", "wrong_type", "cycle", …
	Detail  string // for people: what is wrong and how to mend it
}

// String returns "file:line:column: pointer: detail", as far as they are known.
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
	}
	if f.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", f.Line, f.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if f.Pointer != "" {
		b.WriteString(f.Pointer + ": ")
	}
	return b.String() + f.Detail
}

// maxFaults is the most faults of one file that are named.
const maxFaults = 100

// inOrder sorts faults by their place, without those that say the same twice,
// and bounds them.
func inOrder(faults []Fault) []Fault {
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Detail, b.Detail),
		)
	})
	faults = slices.Compact(faults)
	return faults[:min(len(faults), maxFaults)]
}

// below returns the JSON Pointer of what a key names in the value at another.
func below(pointer, key string) string { return string(jsontext.Pointer(pointer).AppendToken(key)) }

// within reports whether a pointer is that of a value or of a part of it.
func within(pointer, value string) bool {
	rest, ok := strings.CutPrefix(pointer, value)
	return ok && (rest == "" || rest[0] == '/')
}

// shortly returns the beginning of a text that may be long.
func shortly(text string) string {
	const most = 100
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// part returns the part of a value that a token of a JSON Pointer names.
func part(value any, token string) any {
	switch value := value.(type) {
	case map[string]any:
		return value[token]
	case []any:
		if i := index(token, len(value)); i >= 0 {
			return value[i]
		}
	}
	return nil
}

// index returns the place in a list that a token names, -1 when there is none.
func index(token string, length int) int {
	if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < length {
		return i
	}
	return -1
}
