package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// settled returns a copy of events that is equal to what decoding their stored
// form gives, so that no reader can tell which of the two it was handed. It
// shares nothing with them that could be changed.
func settled(events []orchestration.Event) ([]orchestration.Event, error) {
	events = append([]orchestration.Event(nil), events...)
	for i := range events {
		ev := &events[i]
		ev.Time = ev.Time.UTC().Round(0)
		ev.Subtask = settledText(ev.Subtask)
		var err error
		if ev.Fact, err = settledFact(ev.Fact); err != nil {
			return nil, fmt.Errorf("event %d of run %q: %w", ev.Seq, ev.Run, err)
		}
	}
	return events, nil
}

func settledFact(fact orchestration.Fact) (orchestration.Fact, error) {
	if from := reflect.ValueOf(fact); from.Kind() == reflect.Pointer && !from.IsNil() {
		to := reflect.New(from.Type().Elem())
		to.Elem().Set(from.Elem())
		if settle(to.Elem()) {
			return to.Interface().(orchestration.Fact), nil
		}
	}
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(fact); err != nil {
		return nil, err
	}
	return orchestration.DecodeFact(fact.Type(), data.Bytes())
}

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

// settle changes v, a shallow copy, to what decoding its encoding gives, and
// copies all that it refers to. It reports false when only decoding can tell: an
// empty slice, say, may come back as nil. That takes ten times as long and is
// rare. A field that JSON does not show would go unnoticed; the tests, which fill
// every field of every fact, do not let one in.
func settle(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return true
	case reflect.String:
		if text := v.String(); !utf8.ValidString(text) {
			v.SetString(settledText(text))
		}
		return true
	case reflect.Pointer:
		if v.IsNil() {
			return true
		}
		to := reflect.New(v.Type().Elem())
		to.Elem().Set(v.Elem())
		v.Set(to)
		return settle(to.Elem())
	case reflect.Slice:
		return settleSlice(v)
	case reflect.Map:
		return settleMap(v)
	case reflect.Struct:
		return settleStruct(v)
	}
	return false
}

func settleSlice(v reflect.Value) bool {
	if v.Len() == 0 {
		return v.IsNil()
	}
	if v.Type() == rawType {
		var compact bytes.Buffer
		if json.Compact(&compact, v.Bytes()) != nil {
			return false
		}
		v.SetBytes(compact.Bytes())
		return true
	}
	to := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
	reflect.Copy(to, v)
	v.Set(to)
	for i := range to.Len() {
		if !settle(to.Index(i)) {
			return false
		}
	}
	return true
}

func settleMap(v reflect.Value) bool {
	if v.Len() == 0 {
		return v.IsNil()
	}
	to := reflect.MakeMapWithSize(v.Type(), v.Len())
	key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
	for each := v.MapRange(); each.Next(); {
		key.SetIterKey(each)
		value.SetIterValue(each)
		if !settle(key) || !settle(value) {
			return false
		}
		to.SetMapIndex(key, value)
	}
	v.Set(to)
	return true
}

func settleStruct(v reflect.Value) bool {
	if v.Type() == timeType {
		t := v.Addr().Interface().(*time.Time)
		*t = t.UTC().Round(0)
		return true
	}
	for i := range v.NumField() {
		if field := v.Field(i); !field.CanSet() || !settle(field) {
			return false
		}
	}
	return true
}

// settledText returns text as JSON can carry it.
func settledText(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}
