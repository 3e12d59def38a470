package simulator

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A directive is what a text tells the simulator to do; see the package's doc.
// Zero values tell nothing.
type directive struct {
	subtasks int
	shape    string
	out      int
	latency  time.Duration
	paced    bool // latency was given, be it 0

	answers     []string     // JSON
	rounds      [][]ToolCall // of calls; their ids are not set
	unsatisfied int
	option      string
}

const (
	directiveOpen  = "[[sim "
	directiveClose = "]]"
	maxDirective   = 4096 // bytes of one
	maxDirectives  = 20   // that are looked at in one prompt

	maxSubtasks    = 1000
	maxOut         = 4 << 20
	maxLatency     = 10 * time.Minute
	maxUnsatisfied = 1000
)

// take reads the directives of messages. The first to set a key wins. Those to
// answer with JSON and to call tools add up, and only count where they are the
// performer's own.
func (d *directive) take(messages []Message, own bool) {
	left := maxDirectives
	for _, m := range messages {
		for text := m.Text; left > 0; left-- {
			_, fields, after, found := cutDirective(text)
			if !found {
				break
			}
			d.read(fields)
			if own {
				d.readOwn(fields)
			}
			text = after
		}
	}
}

// A field of a directive, key=value. A value is JSON where it begins like a
// string, an object or an array; else it ends at a blank.
type field struct{ key, value string }

// cutDirective cuts text round its first directive, which has no fields where
// it is not closed.
func cutDirective(text string) (before string, fields []field, after string, found bool) {
	before, rest, found := strings.Cut(text, directiveOpen)
	if !found {
		return text, nil, "", false
	}
	body := rest[:min(len(rest), maxDirective)]
	for left := body; ; {
		left = strings.TrimLeft(left, " \t\r\n")
		if strings.HasPrefix(left, directiveClose) {
			return before, fields, rest[len(body)-len(left)+len(directiveClose):], true
		}
		if left == "" {
			_, after, _ = strings.Cut(rest, directiveClose)
			return before, nil, after, true
		}
		var f field
		f, left = cutField(left)
		fields = append(fields, f)
	}
}

// cutField cuts the first field off text.
func cutField(text string) (f field, rest string) {
	end := fieldEnd(text)
	key, _, found := strings.Cut(text[:end], "=")
	if !found {
		return field{key: key}, text[end:]
	}
	value := text[len(key)+1:]
	if value != "" && strings.IndexByte(`"{[`, value[0]) >= 0 {
		dec := jsontext.NewDecoder(strings.NewReader(value))
		if v, err := dec.ReadValue(); err == nil {
			return field{key, string(v)}, value[dec.InputOffset():]
		}
	}
	return field{key, text[len(key)+1 : end]}, text[end:]
}

// fieldEnd returns where a field without blanks ends: at least one byte on.
func fieldEnd(text string) int {
	end := len(text)
	if i := strings.IndexAny(text, " \t\r\n"); i > 0 {
		end = i
	}
	if i := strings.Index(text[:end], directiveClose); i > 0 {
		end = i
	}
	return end
}

func (d *directive) read(fields []field) {
	number := func(f field, to *int, most int) {
		if n, err := strconv.Atoi(f.value); err == nil && n > 0 && *to == 0 {
			*to = min(n, most)
		}
	}
	for _, f := range fields {
		switch f.key {
		case "subtasks":
			number(f, &d.subtasks, maxSubtasks)
		case "shape":
			if d.shape == "" {
				d.shape = f.value
			}
		case "out":
			number(f, &d.out, maxOut)
		case "latency":
			if l, err := time.ParseDuration(f.value); err == nil && l >= 0 && !d.paced {
				d.latency, d.paced = min(l, maxLatency), true
			}
		case "unsatisfied":
			number(f, &d.unsatisfied, maxUnsatisfied)
		case "option":
			if d.option == "" {
				d.option = f.text()
			}
		}
	}
}

// readOwn reads what is to be answered with, and the round of calls before that.
func (d *directive) readOwn(fields []field) {
	var round []ToolCall
	for _, f := range fields {
		switch last := len(round) - 1; {
		case f.key == "json" && jsontext.Value(f.value).IsValid():
			d.answers = append(d.answers, f.value)
		case f.key == "tool":
			round = append(round, ToolCall{Name: f.text(), Arguments: "{}"})
		case f.key == "args" && last >= 0 && jsontext.Value(f.value).Kind() == '{':
			round[last].Arguments = f.value
		}
	}
	if round != nil {
		d.rounds = append(d.rounds, round)
	}
}

// text is the value without quotes.
func (f field) text() string {
	if text, err := jsontext.AppendUnquote(nil, f.value); err == nil {
		return string(text)
	}
	return f.value
}

// forWorkers are the directives that a planner hands on, each led by a space.
func (d *directive) forWorkers() string {
	var b strings.Builder
	write := func(fields string) {
		if fields != "" {
			b.WriteString(" " + strings.TrimSpace(directiveOpen) + fields + directiveClose)
		}
	}
	var fields string
	if d.out > 0 {
		fields = fmt.Sprintf(" out=%d", d.out)
	}
	if d.paced {
		fields += " latency=" + d.latency.String()
	}
	write(fields)
	for _, text := range d.answers {
		write(" json=" + text)
	}
	for _, round := range d.rounds {
		fields = ""
		for _, c := range round {
			fields += " tool=" + string(quote(nil, c.Name)) + " args=" + c.Arguments
		}
		write(fields)
	}
	return b.String()
}
