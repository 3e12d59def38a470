package journaltest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Text is text that a store or an encoding is apt to spoil.
const Text = "nul \x00 del \x7f quotes \" ' ` back \\ slash / <b>&amp;</b> \u2028\u2029 é e\u0301 日本 🎻 \ufeff ' OR 1=1 -- %s ?1\r\n\t"

// facts returns one fact of each type with nothing in it left empty, as this
// version would write it. What holds more of its own kind does so to a depth.
func facts() ([]orchestration.Fact, error) {
	var facts []orchestration.Fact
	for _, kind := range orchestration.EventTypes() {
		fact, err := orchestration.DecodeFact(kind, []byte(`{}`))
		if err != nil {
			return nil, err
		}
		fill(reflect.ValueOf(fact).Elem(), len(facts), nil)
		if created, ok := fact.(*orchestration.RunCreated); ok {
			created.Spec.Format = orchestration.SpecFormat // of another nothing is read
		}
		facts = append(facts, fact)
	}
	return facts, nil
}

// maxWithin is how often a type is filled within itself.
const maxWithin = 2

// fill sets everything in v, differing with n. It is within values of the types in
// path, outermost first.
func fill(v reflect.Value, n int, path []reflect.Type) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(Epoch.Add(time.Duration(n) * time.Nanosecond)))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage(fmt.Sprintf(`{"z":[%d,null,1e400,"<&>"],"a":{"deep":"\u0000"}}`, n))))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint(n, Text))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n) + 1<<40)
	case reflect.Float64:
		v.SetFloat(float64(n) + 0.1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n+1, path)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n+1, path)
		fill(v.Index(1), n+2, path)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n+1, path)
		fill(value, n+2, path)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		fillStruct(v, n, path)
	default:
		panic("journaltest: a fact holds a " + v.Type().String())
	}
}

func fillStruct(v reflect.Value, n int, path []reflect.Type) {
	within := 0
	for _, outer := range path {
		if outer == v.Type() {
			within++
		}
	}
	if within == maxWithin {
		return
	}
	path = append(slices.Clip(path), v.Type())
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("json") != "-" { // which nobody stores
			fill(v.Field(i), n+i, path)
		}
	}
	if r, ok := v.Addr().Interface().(*orchestration.Recovery); ok {
		r.Do = orchestration.OnFailureFallback // what goes with a fallback
	}
}
