package expr

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"sync"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A reader makes CEL's values of JSON, and counts them.
type reader struct {
	values int
	lately *cache[read] // what was made of texts lately: runs read the same ones over and over
}

// A read is what was made of a text. Nothing changes it.
type read struct {
	value  ref.Val
	values int
}

// What is kept of what was read, and for what is to be written.
const (
	leastKept  = 16        // bytes of a text: a shorter one is read as fast
	valueBytes = 128       // that a value takes, about
	maxRoom    = 256 << 10 // bytes that a writer keeps
)

// lenient takes what encoding/json does: of a key that is there twice the last
// one holds.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

var outputKey, statusKey ref.Val = types.String("output"), types.String("status")

var errNoJSON = errors.New("it is not JSON")

// subtask returns what an expression sees of a subtask, without its output where
// nobody asks for that.
func (r *reader) subtask(s *orchestration.Variable, output bool) ref.Val {
	seen := ref.Val(types.NullValue)
	if output {
		seen = r.variable(s)
	}
	return newObject([]member{{outputKey, seen}, {statusKey, types.String(s.Status)}})
}

// variable returns the value of a variable. One that is not there has none.
func (r *reader) variable(v *orchestration.Variable) ref.Val {
	switch {
	case v == nil || v.Output == nil:
		return types.NullValue
	case v.Plain:
		return types.String(*v.Output)
	}
	return r.output(*v.Output)
}

// output returns a text as what JSON it is, and otherwise as a string.
func (r *reader) output(text string) ref.Val {
	if !orchestration.MayBeJSON(text) {
		return types.String(text)
	}
	before := r.values
	value, err := r.parse(text)
	if err != nil && r.values <= maxValues {
		r.values = before
		return types.String(text)
	}
	return value
}

// parse reads one value that is all of a text. Where there are too many values in
// it, it stops and gives null; bind sees their number.
func (r *reader) parse(text string) (ref.Val, error) {
	if len(text) < leastKept || len(text) > maxKept/2 || text[0] == '"' {
		return r.parseAnew(text)
	}
	if known, found := r.lately.get(text); found {
		r.values += known.values
		return known.value, nil
	}
	before := r.values
	value, err := r.parseAnew(text)
	if size := len(text) + valueBytes*(r.values-before); err == nil && r.values <= maxValues && size <= maxKept/2 {
		r.lately.put(text, read{value, r.values - before}, size)
	}
	return value, err
}

func (r *reader) parseAnew(text string) (ref.Val, error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	d.text.WriteString(text)
	d.Reset(&d.text, lenient...)
	value, err := r.value(d)
	if r.values > maxValues {
		return types.NullValue, nil
	}
	if err != nil {
		return nil, errNoJSON
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errNoJSON
	}
	return value, nil
}

// A decoder is used again, with the room that it has and the keys that it met: the
// objects of a list have the same ones, and so have the lists of many runs.
type decoder struct {
	jsontext.Decoder
	text bytes.Buffer
	keys map[string]ref.Val

	elements []ref.Val // of the lists that are open
	members  []member  // of the objects that are open
}

const (
	mostKeys   = 256   // that a decoder remembers
	longestKey = 64    // bytes, of these
	mostOpen   = 1_000 // elements and members that it keeps room for
)

var decoders = sync.Pool{New: func() any { return &decoder{keys: map[string]ref.Val{}} }}

func (d *decoder) release() {
	if d.text.Cap() <= maxRoom && cap(d.elements) <= mostOpen && cap(d.members) <= mostOpen {
		d.text.Reset()
		clear(d.elements) // some are left where the text was no JSON
		clear(d.members)
		d.elements, d.members = d.elements[:0], d.members[:0]
		decoders.Put(d)
	}
}

// taken takes what is on a stack from there on.
func taken[T any](stack *[]T, from int) []T {
	top := (*stack)[from:]
	own := slices.Clone(top)
	clear(top)
	*stack = (*stack)[:from]
	return own
}

// key reads the key of a member.
func (d *decoder) key() (ref.Val, error) {
	raw, err := d.ReadValue()
	if err != nil {
		return nil, err
	}
	if key, known := d.keys[string(raw)]; known {
		return key, nil
	}
	text, _ := jsontext.AppendUnquote(nil, raw) // read before: at most it is no UTF-8, which is replaced
	key := types.String(text)
	if len(raw) <= longestKey && len(d.keys) < mostKeys {
		d.keys[string(raw)] = key
	}
	return key, nil
}

func (r *reader) value(d *decoder) (ref.Val, error) {
	if r.values++; r.values > maxValues {
		return nil, errNoJSON
	}
	if d.PeekKind() == '0' {
		raw, err := d.ReadValue()
		return number(raw), err
	}
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case 'n':
		return types.NullValue, nil
	case 't', 'f':
		return types.Bool(token.Bool()), nil
	case '"':
		return types.String(token.String()), nil
	case '[':
		return r.list(d)
	case '{':
		return r.members(d)
	}
	return nil, errNoJSON
}

func (r *reader) list(d *decoder) (ref.Val, error) {
	first := len(d.elements)
	for d.PeekKind() != ']' {
		element, err := r.value(d)
		if err != nil {
			return nil, err
		}
		d.elements = append(d.elements, element)
	}
	_, err := d.ReadToken()
	return types.NewRefValList(types.DefaultTypeAdapter, taken(&d.elements, first)), err
}

func (r *reader) members(d *decoder) (ref.Val, error) {
	first := len(d.members)
	for d.PeekKind() != '}' {
		key, err := d.key()
		if err != nil {
			return nil, err
		}
		r.values++
		value, err := r.value(d)
		if err != nil {
			return nil, err
		}
		d.members = append(d.members, member{key, value})
	}
	_, err := d.ReadToken()
	return newObject(taken(&d.members, first)), err
}

// number is an int where the text is one that fits, and else a double.
func number(raw []byte) ref.Val {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return types.Int(n)
	}
	f, _ := strconv.ParseFloat(string(raw), 64) // out of range: an infinity
	return types.Double(f)
}
