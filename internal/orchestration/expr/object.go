package expr

import (
	"cmp"
	"math"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// An object is a map that is walked in the ascending order of its keys. Those of
// cel-go are walked in Go's, which differs each time. It implements [traits.Mapper].
type object struct {
	members []member
	plain   bool // all keys are texts that JSON can have as they are

	size atomic.Uint32 // of all in it; 0: it was not counted

	once  sync.Once
	other traits.Mapper // cel-go's map of the same members: asked for what is seldom asked
}

type member struct{ key, value ref.Val }

// newObject returns an object with these members; of a key that is there twice it
// has the last one.
func newObject(members []member) *object {
	slices.SortStableFunc(members, func(a, b member) int { return compareKeys(a.key, b.key) })
	kept := members[:0]
	for i, m := range members {
		if i+1 < len(members) && compareKeys(m.key, members[i+1].key) == 0 {
			continue
		}
		kept = append(kept, m)
	}
	return &object{members: kept, plain: plain(kept)}
}

// ordered gives a map its order.
func ordered(m traits.Mapper) *object {
	members := make([]member, 0, count(m))
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		value, _ := m.Find(key)
		members = append(members, member{key, value})
	}
	slices.SortFunc(members, func(a, b member) int { return compareKeys(a.key, b.key) })
	return &object{members: members, plain: plain(members), other: m}
}

func plain(members []member) bool {
	return !slices.ContainsFunc(members, func(m member) bool {
		key, is := m.key.(types.String)
		return !is || !utf8.ValidString(string(key))
	})
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

// odd reports whether a map has a key that CEL has none like: it might have no order.
func (o *object) odd() bool {
	return !o.plain && slices.ContainsFunc(o.members, func(m member) bool {
		switch m.key.(type) {
		case types.Bool, types.Int, types.Uint, types.String:
			return false
		}
		return true
	})
}

// whole returns cel-go's map of the same members.
func (o *object) whole() traits.Mapper {
	o.once.Do(func() {
		if o.other != nil {
			return
		}
		members := make(map[ref.Val]ref.Val, len(o.members))
		for _, m := range o.members {
			members[m.key] = m.value
		}
		o.other = types.NewRefValMap(types.DefaultTypeAdapter, members)
	})
	return o.other
}

// Find implements traits.Mapper.
func (o *object) Find(key ref.Val) (ref.Val, bool) {
	if _, is := key.(types.String); !is || !o.plain {
		return o.whole().Find(key)
	}
	i, found := slices.BinarySearchFunc(o.members, key, func(m member, key ref.Val) int {
		return cmp.Compare(m.key.(types.String), key.(types.String))
	})
	if !found {
		return nil, false
	}
	return o.members[i].value, true
}

// Get implements traits.Indexer.
func (o *object) Get(key ref.Val) ref.Val {
	if value, found := o.Find(key); found {
		return value
	}
	return o.whole().Get(key)
}

// Contains implements traits.Container.
func (o *object) Contains(key ref.Val) ref.Val {
	_, found := o.Find(key)
	return types.Bool(found)
}

// Size implements traits.Sizer.
func (o *object) Size() ref.Val { return types.Int(len(o.members)) }

// IsZeroValue implements traits.Zeroer.
func (o *object) IsZeroValue() bool { return len(o.members) == 0 }

// Iterator implements traits.Iterable.
func (o *object) Iterator() traits.Iterator {
	keys := make([]ref.Val, len(o.members))
	for i, m := range o.members {
		keys[i] = m.key
	}
	return types.NewRefValList(types.DefaultTypeAdapter, keys).Iterator()
}

// Fold implements traits.Foldable.
func (o *object) Fold(f traits.Folder) {
	for _, m := range o.members {
		if !f.FoldEntry(m.key, m.value) {
			return
		}
	}
}

// AggregateSize implements types.AggregateSizeVisitor. It is counted once, unless it
// is more than can be counted.
func (o *object) AggregateSize(s types.AggregateSizer) uint32 {
	if size := o.size.Load(); size != 0 {
		return size
	}
	size := uint64(1)
	for _, m := range o.members {
		size += uint64(s.AggregateSize(m.key)) + uint64(s.AggregateSize(m.value))
	}
	if size >= math.MaxUint32 {
		return math.MaxUint32
	}
	o.size.Store(uint32(size))
	return uint32(size)
}

// ConvertToNative implements ref.Val.
func (o *object) ConvertToNative(to reflect.Type) (any, error) { return o.whole().ConvertToNative(to) }

// ConvertToType implements ref.Val.
func (o *object) ConvertToType(to ref.Type) ref.Val {
	if to == types.MapType {
		return o
	}
	return o.whole().ConvertToType(to)
}

// Equal implements ref.Val.
func (o *object) Equal(other ref.Val) ref.Val { return o.whole().Equal(other) }

// Type implements ref.Val.
func (o *object) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (o *object) Value() any { return o.whole().Value() }
