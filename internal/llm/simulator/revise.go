package simulator

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// An output says which revision it is, so that whoever judges or revises it
// needs no memory: "(revision 2)" in a text, "revision":2 in an object.
const (
	revisionText = "(revision "
	revisionKey  = `"revision":`
)

// revisionIn returns which revision an output says it is, 0 for a first one.
func revisionIn(output string) int {
	for _, mark := range []string{revisionText, revisionKey} {
		_, rest, found := strings.Cut(output, mark)
		if !found {
			continue
		}
		rest = strings.TrimLeft(rest[:min(len(rest), 8)], " ")
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(rest)
		}
		if n, err := strconv.Atoi(rest[:end]); err == nil {
			return n
		}
	}
	return 0
}

// revision returns which revision of its output a worker is asked for, 0 where
// none is: there is feedback, and the output that was refused.
func (r *reading) revision() int {
	if first(r.messages, "feedback") == "" {
		return 0
	}
	return revisionIn(r.refused()) + 1
}

// refused is the output that is to be revised.
func (r *reading) refused() string {
	if text := first(r.messages, "refused"); text != "" {
		return text
	}
	for i := len(r.messages) - 1; i >= 0; i-- {
		if m := r.messages[i]; m.Author == "assistant" && m.Text != "" {
			return m.Text
		}
	}
	return ""
}

// mark is what a revised text says of itself, led by a space.
func (r *reading) mark() string {
	if n := r.revision(); n > 0 {
		return fmt.Sprintf(" %s%d)", revisionText, n)
	}
	return ""
}

// compact is JSON without blanks, and any other text as it is.
func compact(text string) string {
	v := jsontext.Value(text)
	if v.Compact() != nil {
		return text
	}
	return string(v)
}

// given is the JSON that directives have a worker answer with. Of several, each
// one is for the revision of the one before it.
func (c *composer) given() string {
	answers, refused := c.wish.answers, c.refused()
	if refused == "" {
		return answers[0]
	}
	refused = compact(cmp.Or(elementText(refused, "response"), refused))
	for i, text := range answers[:len(answers)-1] {
		if compact(text) == refused {
			return answers[i+1]
		}
	}
	n, last := c.revision(), answers[len(answers)-1]
	if n == 0 {
		return last
	}
	if body, ok := strings.CutPrefix(last, "{"); ok {
		comma := ","
		if strings.TrimSpace(body) == "}" {
			comma = ""
		}
		return fmt.Sprintf("{%s%d%s%s", revisionKey, n, comma, body)
	}
	return last
}
