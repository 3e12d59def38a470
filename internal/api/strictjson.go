package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// What a body may be at most.
const (
	maxBody   = 1 << 20             // bytes, the images' data apart
	maxImages = 10 << 20            // bytes of all images, decoded
	maxData   = maxImages/3*4 + 100 // bytes of all images in base64
	maxDepth  = 64                  // objects and arrays in each other
	maxDigits = 64                  // characters of a number
)

// errTooLarge says that a body is larger than it may be.
var errTooLarge = problem(codePayloadTooLarge, "The body may have 1 MB, and images in attachments 10 MB more.")

// readStrict reads one JSON value to its end, into the form that schemas are
// checked on: numbers are [json.Number]. Duplicate keys, invalid UTF-8, deep
// nesting and trailing data are refused, with a *Problem, as early as they are
// seen. A body over maxBody is not read on; with images, the data of
// attachments counts apart. The raw bytes come back too.
func readStrict(body io.Reader, images bool) (raw []byte, value any, err error) {
	m := &meter{from: body, most: maxBody}
	p := &parser{dec: jsontext.NewDecoder(m), meter: m}
	where := elsewhere
	if images {
		where = inRequest
	}
	value, err = p.value(1, where)
	if err == nil {
		if _, end := p.dec.ReadToken(); end != io.EOF { //nolint:errorlint // jsontext returns it as it is
			err = end
			if end == nil {
				err = malformed("", "there is more after the value")
			}
		}
	}
	if err == nil {
		err = p.measure()
	}
	if err != nil {
		return nil, nil, p.explain(err)
	}
	return m.seen.Bytes(), value, nil
}

// A place says where in a request for a run the parser is.
type place int

const (
	elsewhere place = iota
	inRequest
	inAttachments
	inAttachment
	inData
)

// into returns the place that key, or an item of an array, leads to.
func (p place) into(key string) place {
	switch {
	case p == inRequest && key == "attachments":
		return inAttachments
	case p == inAttachment && key == "data":
		return inData
	}
	return elsewhere
}

type parser struct {
	dec   *jsontext.Decoder
	meter *meter
	data  int64 // bytes of images' data so far
}

func (p *parser) value(depth int, at place) (any, error) {
	if depth > maxDepth {
		return nil, malformed(string(p.dec.StackPointer()), "nested more than "+strconv.Itoa(maxDepth)+" deep")
	}
	switch p.dec.PeekKind() {
	case '{':
		return p.object(depth, at)
	case '[':
		return p.array(depth, at)
	}
	if at == inData {
		defer p.lift()()
	}
	token, err := p.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '"':
		text := token.String()
		if at == inData {
			p.data += int64(len(text))
		}
		return text, p.measure()
	case '0':
		return p.number(token.String())
	case 't', 'f':
		return token.Bool(), nil
	}
	return nil, nil
}

func (p *parser) object(depth int, at place) (any, error) {
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, err
	}
	object := make(map[string]any)
	for p.dec.PeekKind() != '}' {
		token, err := p.dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := token.String()
		if object[key], err = p.value(depth+1, at.into(key)); err != nil {
			return nil, err
		}
	}
	_, err := p.dec.ReadToken()
	return object, err
}

func (p *parser) array(depth int, at place) (any, error) {
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, err
	}
	array := []any{}
	item := elsewhere
	if at == inAttachments {
		item = inAttachment
	}
	for p.dec.PeekKind() != ']' {
		value, err := p.value(depth+1, item)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := p.dec.ReadToken()
	return array, err
}

// number refuses what no float64 can hold: exact arithmetic on 1e999999999
// would take the server's memory.
func (p *parser) number(text string) (any, error) {
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if exp, err := strconv.Atoi(text[i+1:]); err != nil || exp > 308 || exp < -308 {
			return nil, malformed(string(p.dec.StackPointer()), "the number is out of range")
		}
	}
	if len(text) > maxDigits {
		return nil, malformed(string(p.dec.StackPointer()), "the number has too many digits")
	}
	return json.Number(text), p.measure()
}

// lift lets the next token be as large as images may be.
func (p *parser) lift() (restore func()) {
	p.meter.most = maxBody + maxData
	return func() {
		// What was read ahead meanwhile has been read; measure counts it in its turn.
		p.meter.most = max(int64(p.meter.seen.Len()), maxBody+p.data)
	}
}

// measure holds what was parsed so far to the bounds, images' data apart.
func (p *parser) measure() error {
	if p.data > maxData || p.dec.InputOffset()-p.data > maxBody {
		return errTooLarge
	}
	return nil
}

// explain turns an error of the decoder into a problem.
func (p *parser) explain(err error) error {
	var already *Problem
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &already):
		return already
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return malformed("", "the JSON ends too early")
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return invalid([]Fault{{Pointer: string(syntax.JSONPointer), Code: "duplicate_key", Detail: "the key is given twice"}})
	case errors.As(err, &syntax):
		return malformed(string(syntax.JSONPointer), fmt.Sprintf("not JSON: %v at byte %d", syntax.Err, syntax.ByteOffset))
	}
	return err
}

func malformed(pointer, detail string) *Problem {
	return invalid([]Fault{{Pointer: pointer, Code: "invalid_json", Detail: detail}})
}

// A meter keeps what is read through it, and reads at most so much.
type meter struct {
	from io.Reader
	most int64
	seen bytes.Buffer
}

func (m *meter) Read(b []byte) (int, error) {
	left := m.most + 1 - int64(m.seen.Len()) // one more shows that there is more
	if left <= 0 {
		return 0, errTooLarge
	}
	n, err := m.from.Read(b[:min(int64(len(b)), left)])
	m.seen.Write(b[:n])
	if int64(m.seen.Len()) > m.most {
		return 0, errTooLarge
	}
	return n, err
}
