package workflow

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// readJSONTree reads a template that is JSON. YAML nearly contains JSON, but not
// quite: its texts know no surrogate pairs.
func readJSONTree(file string, data []byte) *tree {
	t := &tree{file: file, places: map[string]place{}}
	if len(data) > maxBytes {
		t.add(1, 1, "", "too_large", "The template has %d bytes; at most %d are allowed.", len(data), maxBytes)
		return t
	}
	r := &jsonReader{d: jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true)), data: data, line: 1}
	n, err := r.node(1)
	if err == nil {
		if _, end := r.d.ReadToken(); !errors.Is(end, io.EOF) {
			err = errors.New("there is more after the value")
		}
	}
	if err != nil {
		r.move(int(r.d.InputOffset()))
		t.add(r.line, r.column(), "", "syntax", "This is no JSON: %s.", shortly(err.Error()))
		return t
	}
	t.root(n)
	return t
}

// A jsonReader makes nodes of JSON, so that both languages are read alike from
// there on.
type jsonReader struct {
	d     *jsontext.Decoder
	data  []byte
	at    int // the place up to which lines and characters are counted
	line  int
	chars int // of the line: all of a template may be in one
}

func (r *jsonReader) move(to int) {
	for ; r.at < min(to, len(r.data)); r.at++ {
		switch c := r.data[r.at]; {
		case c == '\n':
			r.line, r.chars = r.line+1, 0
		case utf8.RuneStart(c):
			r.chars++
		}
	}
}

func (r *jsonReader) column() int { return r.chars + 1 }

var tags = map[jsontext.Kind]string{'"': "!!str", '0': "!!float", 't': "!!bool", 'f': "!!bool", 'n': "!!null"}

func (r *jsonReader) node(depth int) (*yaml.Node, error) {
	begin := int(r.d.InputOffset()) // of what is between the last token and this one
	for begin < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[begin]) >= 0 {
		begin++
	}
	kind := r.d.PeekKind()
	token, err := r.d.ReadToken()
	if err != nil {
		return nil, err
	}
	r.move(begin)
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: tags[kind], Line: r.line, Column: r.column()}
	switch kind {
	case '{':
		n.Kind = yaml.MappingNode
	case '[':
		n.Kind = yaml.SequenceNode
	default:
		n.Value = token.String()
		return n, nil
	}
	for r.d.PeekKind() != '}' && r.d.PeekKind() != ']' {
		if depth > maxDepth+1 {
			return nil, errors.New("it is nested too deep")
		}
		item, err := r.node(depth + 1)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, item)
	}
	_, err = r.d.ReadToken()
	return n, err
}
