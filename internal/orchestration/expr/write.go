package expr

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tutti-run/tutti/internal/quote"
)

// A writer makes JSON of CEL's values.
type writer struct {
	out   []byte
	depth int // of lists and objects that are open
}

// writers are used again, with the room that they have.
var writers = sync.Pool{New: func() any { return new(writer) }}

func (w *writer) release() {
	if cap(w.out) <= maxRoom {
		w.out = w.out[:0]
		writers.Put(w)
	}
}

// written returns a value as JSON.
func written(value ref.Val) (string, error) {
	w := writers.Get().(*writer)
	defer w.release()
	if err := w.value(value); err != nil {
		return "", err
	}
	if len(w.out) > maxResult {
		return "", errTooLarge
	}
	return string(w.out), nil
}

var (
	errTooLarge  = fmt.Errorf("its value is larger than %d MB", maxResult>>20)
	errTooDeep   = fmt.Errorf("its value is nested more than %d deep", maxNested)
	errNoValue   = errors.New("its value is nothing that JSON has")
	errNotFinite = errors.New("a number in its value is infinite or undefined")
	errSameKeys  = errors.New("an object of its value has two keys that are the same in JSON")
)

func (w *writer) value(v ref.Val) error {
	if len(w.out) > maxResult {
		return errTooLarge
	}
	switch v := v.(type) {
	case types.Null:
		w.out = append(w.out, "null"...)
	case types.Bool:
		w.out = strconv.AppendBool(w.out, bool(v))
	case types.Int:
		w.out = strconv.AppendInt(w.out, int64(v), 10)
	case types.Uint:
		w.out = strconv.AppendUint(w.out, uint64(v), 10)
	case types.Double:
		return w.double(float64(v))
	case types.String:
		return w.text(string(v))
	case types.Bytes:
		return w.text(base64.StdEncoding.EncodeToString(v))
	case types.Timestamp, types.Duration:
		text, is := v.ConvertToType(types.StringType).(types.String)
		if !is {
			return errNoValue
		}
		return w.text(string(text))
	case *types.Optional:
		if !v.HasValue() {
			w.out = append(w.out, "null"...)
			return nil
		}
		return w.value(v.GetValue())
	case traits.Mapper:
		return w.nested(func() error { return w.object(v) })
	case traits.Lister:
		return w.nested(func() error { return w.list(v) })
	default:
		return errNoValue
	}
	return nil
}

func (w *writer) double(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return errNotFinite
	}
	w.out = append(w.out, jsontext.Float(f).String()...)
	return nil
}

func (w *writer) text(s string) error {
	if len(w.out)+len(s) > maxResult {
		return errTooLarge
	}
	w.out = quote.Append(w.out, s)
	return nil
}

// nested writes a list or an object.
func (w *writer) nested(write func() error) error {
	if w.depth == maxNested {
		return errTooDeep
	}
	w.depth++
	err := write()
	w.depth--
	return err
}

func (w *writer) list(l traits.Lister) error {
	w.out = append(w.out, '[')
	for it := l.Iterator(); it.HasNext() == types.True; {
		if w.out[len(w.out)-1] != '[' {
			w.out = append(w.out, ',')
		}
		if err := w.value(it.Next()); err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	return nil
}

func (w *writer) object(m traits.Mapper) error {
	o, is := m.(*object)
	if !is {
		o = ordered(m)
	}
	members := o.members
	if !o.plain {
		var err error
		if members, err = plainly(members); err != nil {
			return err
		}
	}
	w.out = append(w.out, '{')
	for i, member := range members {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		if err := w.text(string(member.key.(types.String))); err != nil {
			return err
		}
		w.out = append(w.out, ':')
		if err := w.value(member.value); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	return nil
}

// plainly returns members by their keys as JSON has them, in ascending order.
func plainly(members []member) ([]member, error) {
	texts := make([]member, len(members))
	for i, m := range members {
		text, is := m.key.ConvertToType(types.StringType).(types.String)
		if !is {
			return nil, errNoValue
		}
		texts[i] = member{types.String(strings.ToValidUTF8(string(text), "\uFFFD")), m.value}
	}
	slices.SortStableFunc(texts, func(a, b member) int { return compareKeys(a.key, b.key) })
	for i := range texts[1:] {
		if texts[i].key == texts[i+1].key {
			return nil, errSameKeys
		}
	}
	return texts, nil
}
