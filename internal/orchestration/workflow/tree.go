package workflow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tutti-run/tutti/internal/quote"
)

// Bounds of a template's text.
const (
	maxBytes   = 1 << 20
	maxNodes   = 50_000 // values and keys
	maxDepth   = 64     // mappings and sequences in each other
	maxPointer = 1000   // bytes of the keys that lead to a value: every value is known by them
)

// A place is where in the text a value stands, and the key that it has, if any.
type place struct{ line, column, keyLine, keyColumn int }

// A tree is the text of a template, read as far as that works: a JSON value,
// and the places of its parts.
type tree struct {
	file   string
	json   []byte
	places map[string]place // by pointer
	nodes  int
	faults []Fault
}

// errBounds stops the reading of what is too much to be read.
var errBounds = errors.New("out of bounds")

// readTree reads YAML. The tree has no JSON when nothing could be read.
func readTree(file string, data []byte) (t *tree) {
	t = &tree{file: file, places: map[string]place{}}
	if len(data) > maxBytes {
		t.add(1, 1, "", "too_large", "The template has %d bytes; at most %d are allowed.", len(data), maxBytes)
		return t
	}
	defer func() {
		if recover() != nil { // the library is fed what nobody has checked
			t.json = nil
			t.add(1, 1, "", "syntax", "The YAML cannot be read.")
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := d.Decode(&document); {
	case errors.Is(err, io.EOF):
		t.add(1, 1, "", "empty", "The template is empty.")
		return t
	case err != nil:
		t.syntax(err)
		return t
	}
	switch err := d.Decode(&second); {
	case err == nil:
		t.add(second.Line, second.Column, "", "second_document", "There is a second document; a file has one template.")
	case !errors.Is(err, io.EOF):
		t.syntax(err)
	}
	t.root(document.Content[0])
	return t
}

// root reads the whole value.
func (t *tree) root(n *yaml.Node) {
	if t.value(n, "", 1) != nil {
		t.json = nil
	}
}

func (t *tree) add(line, column int, pointer, code, detail string, args ...any) {
	t.faults = append(t.faults, Fault{t.file, line, column, pointer, code, fmt.Sprintf(detail, args...)})
}

var (
	syntaxLine = regexp.MustCompile(`^line (\d+): `)
	// What the library's parser says, unlike its scanner, it counts lines from 0 for.
	countedFrom0 = regexp.MustCompile(`^did not find expected (<|node|key|'-'|',')`)
)

// syntax reports what the library says of text that is no YAML.
func (t *tree) syntax(err error) {
	detail, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := syntaxLine.FindStringSubmatch(detail); m != nil {
		line, _ = strconv.Atoi(m[1])
		if detail = detail[len(m[0]):]; countedFrom0.MatchString(detail) {
			line++
		}
	}
	t.add(max(line, 1), 1, "", "syntax", "This is no YAML: %s.", shortly(detail))
}

// value writes a value as JSON. What cannot be written is reported and null. The
// error is errBounds.
func (t *tree) value(n *yaml.Node, pointer string, depth int) error {
	if err := t.count(n, pointer); err != nil {
		return err
	}
	p := t.places[pointer]
	p.line, p.column = n.Line, n.Column
	t.places[pointer] = p
	if why := unwelcome(n); why != "" {
		t.add(n.Line, n.Column, pointer, "not_supported", "%s", why)
		t.json = append(t.json, "null"...)
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		t.scalar(n, pointer)
		return nil
	}
	if depth > maxDepth {
		t.add(n.Line, n.Column, pointer, "too_deep", "The template is nested more than %d deep.", maxDepth)
		return errBounds
	}
	if n.Kind == yaml.MappingNode {
		return t.mapping(n, pointer, depth)
	}
	t.json = append(t.json, '[')
	for i, item := range n.Content {
		if i > 0 {
			t.json = append(t.json, ',')
		}
		if err := t.value(item, pointer+"/"+strconv.Itoa(i), depth+1); err != nil {
			return err
		}
	}
	t.json = append(t.json, ']')
	return nil
}

// count counts a value or key. After many faults more of them help nobody.
func (t *tree) count(n *yaml.Node, pointer string) error {
	if t.nodes++; t.nodes > maxNodes {
		t.add(n.Line, n.Column, pointer, "too_large", "The template has more than %d values and keys.", maxNodes)
		return errBounds
	}
	if len(pointer) > maxPointer {
		t.add(n.Line, n.Column, shortly(pointer), "too_large", "The keys that lead to this value have more than %d bytes in all.", maxPointer)
		return errBounds
	}
	if len(t.faults) > maxFaults {
		return errBounds
	}
	return nil
}

// unwelcome says what of YAML a node uses that JSON has not.
func unwelcome(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.AliasNode:
		return "Aliases (*name) are not supported: write the value out."
	case n.Anchor != "":
		return "Anchors (&name) are not supported."
	case n.Style&yaml.TaggedStyle != 0:
		return "Tags (" + shortly(n.Tag) + ") are not supported: a value is what it looks like, and a text is put in quotes."
	}
	return ""
}

func (t *tree) mapping(n *yaml.Node, pointer string, depth int) error {
	first := map[string]*yaml.Node{}
	t.json = append(t.json, '{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if err := t.count(key, pointer); err != nil {
			return err
		}
		at := below(pointer, key.Value)
		switch before := first[key.Value]; {
		case key.Kind != yaml.ScalarNode || unwelcome(key) != "":
			t.add(key.Line, key.Column, pointer, "not_supported", "A key must be a plain text.")
			continue
		case key.Tag == "!!merge":
			t.add(key.Line, key.Column, at, "not_supported", "Merge keys (<<) are not supported: write the keys out.")
			continue
		case before != nil:
			t.add(key.Line, key.Column, at, "duplicate_key", "The key %q is there twice; the first one is in line %d.", shortly(key.Value), before.Line)
			continue
		}
		if len(first) > 0 {
			t.json = append(t.json, ',')
		}
		first[key.Value] = key
		t.places[at] = place{keyLine: key.Line, keyColumn: key.Column}
		t.json = append(quote.Append(t.json, key.Value), ':')
		if err := t.value(value, at, depth+1); err != nil {
			return err
		}
	}
	t.json = append(t.json, '}')
	return nil
}

var (
	numberForm = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?$`)
	maxDigits  = 64
)

func (t *tree) scalar(n *yaml.Node, pointer string) {
	switch n.Tag {
	case "!!null":
		t.json = append(t.json, "null"...)
	case "!!bool":
		t.json = strconv.AppendBool(t.json, strings.EqualFold(n.Value, "true"))
	case "!!int", "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		switch {
		case err != nil || len(n.Value) > maxDigits || !numberForm.MatchString(n.Value):
			t.add(n.Line, n.Column, pointer, "invalid_number", "%s is no number as JSON writes one, such as 12 or 0.5; a text is put in quotes.", shortly(n.Value))
			t.json = append(t.json, "null"...)
		case f == float64(int64(f)) && f > -1e15 && f < 1e15: // 1.0 and 1e2 are whole numbers
			t.json = strconv.AppendInt(t.json, int64(f), 10)
		default:
			t.json = append(t.json, n.Value...)
		}
	default: // also what looks like a date
		t.json = quote.Append(t.json, n.Value)
	}
}

// at returns a fault at a value, or at what is nearest round it that is there.
func (t *tree) at(pointer, code, detail string) Fault {
	return t.fault(pointer, code, detail, func(p place) (int, int) { return p.line, p.column })
}

// atKey returns a fault at the key of a value.
func (t *tree) atKey(pointer, code, detail string) Fault {
	return t.fault(pointer, code, detail, func(p place) (int, int) {
		if p.keyLine > 0 {
			return p.keyLine, p.keyColumn
		}
		return p.line, p.column
	})
}

func (t *tree) fault(pointer, code, detail string, of func(place) (int, int)) Fault {
	f := Fault{File: t.file, Pointer: pointer, Code: code, Detail: detail}
	for known := pointer; ; known = known[:strings.LastIndexByte(known, '/')] {
		if p, ok := t.places[known]; ok {
			f.Line, f.Column = of(p)
			return f
		}
		if !strings.Contains(known, "/") {
			return f
		}
	}
}
