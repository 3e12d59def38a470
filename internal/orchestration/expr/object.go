package expr

import (
	"cmp"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// An object is a map that is walked in the ascending order of its keys. Those of
// cel-go are walked in Go's, which differs each time.
type object struct {
	traits.Mapper
	keys []ref.Val
}

// newObject returns an object with these members.
func newObject(members map[ref.Val]ref.Val) *object {
	o := &object{
		Mapper: types.NewRefValMap(types.DefaultTypeAdapter, members),
		keys:   make([]ref.Val, 0, len(members)),
	}
	for key := range members {
		o.keys = append(o.keys, key)
	}
	slices.SortFunc(o.keys, compareKeys)
	return o
}

// ordered gives a map its order.
func ordered(m traits.Mapper) *object {
	o := &object{Mapper: m, keys: make([]ref.Val, 0, count(m))}
	for it := m.Iterator(); it.HasNext() == types.True; {
		o.keys = append(o.keys, it.Next())
	}
	slices.SortFunc(o.keys, compareKeys)
	return o
}

// compareKeys orders keys by their type, and within one by their value.
func compareKeys(a, b ref.Val) int {
	if a, is := a.(types.String); is {
		if b, is := b.(types.String); is {
			return cmp.Compare(a, b)
		}
	}
	if a.Type() != b.Type() {
		return cmp.Compare(a.Type().TypeName(), b.Type().TypeName())
	}
	if c, is := a.(traits.Comparer); is {
		if order, is := c.Compare(b).(types.Int); is {
			return int(order)
		}
	}
	return 0
}

// noKey reports whether a value is nothing that CEL has as a key: it might have no
// order.
func noKey(v ref.Val) bool {
	switch v.(type) {
	case types.Bool, types.Int, types.Uint, types.String:
		return false
	}
	return true
}

// Iterator implements traits.Iterable.
func (o *object) Iterator() traits.Iterator {
	return types.NewRefValList(types.DefaultTypeAdapter, o.keys).Iterator()
}

// Fold implements traits.Foldable.
func (o *object) Fold(f traits.Folder) {
	for _, key := range o.keys {
		value, _ := o.Find(key)
		if !f.FoldEntry(key, value) {
			return
		}
	}
}

// AggregateSize implements types.AggregateSizeVisitor. It is counted once.
func (o *object) AggregateSize(s types.AggregateSizer) uint32 {
	return o.Mapper.(types.AggregateSizeVisitor).AggregateSize(s)
}
