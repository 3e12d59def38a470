package expr

import (
	"math"
	"math/bits"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// sizes counts the values in a value, ten bytes of text as one.
var sizes = types.NewSizeCalculator(types.SizeCalculatorMaxDepth(20_000), types.SizeCalculatorMaxTraversal(10_000_000))

func size(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.Bool, types.Int, types.Uint, types.Double, types.Null:
		return 1
	case types.String:
		return uint64(len(v)/10 + 1)
	}
	return uint64(sizes.AggregateSize(v))
}

func count(v ref.Val) uint64 {
	if s, ok := v.(traits.Sizer); ok {
		if n, ok := s.Size().(types.Int); ok {
			return uint64(n)
		}
	}
	return 1
}

// sum is the price of what looks at all that it is given, once.
func sum(args []ref.Val) uint64 {
	total := uint64(0)
	for _, arg := range args {
		total = add64(total, size(arg))
	}
	return total
}

// priceOf returns what a call of a function costs, by its arguments.
func priceOf(function string) func(args []ref.Val) uint64 {
	if price, special := prices[function]; special {
		return price
	}
	return sum
}

var prices = map[string]func(args []ref.Val) uint64{
	operators.Equals:        least,
	operators.NotEquals:     least,
	operators.Less:          least,
	operators.LessEquals:    least,
	operators.Greater:       least,
	operators.GreaterEquals: least,
	operators.In: func(args []ref.Val) uint64 {
		if _, is := args[1].(traits.Mapper); is {
			return size(args[0])
		}
		return sum(args)
	},
	operators.Add: func(args []ref.Val) uint64 {
		if _, grows := args[0].(traits.MutableLister); grows { // the step of a macro, in place
			return 1
		}
		return sum(args)
	},
	"size": func(args []ref.Val) uint64 {
		switch args[0].(type) {
		case traits.Lister, traits.Mapper:
			return 1
		}
		return sum(args)
	},
	"cel.@mapInsert":           nothing,
	"dyn":                      nothing,
	"type":                     nothing,
	"optional.of":              nothing,
	"optional.none":            nothing,
	"optional.ofNonZeroValue":  nothing,
	"value":                    nothing,
	operators.NotStrictlyFalse: nothing,
	"matches":                  priceOfMatches,
	"replace":                  priceOfReplace,
	"join":                     priceOfJoin,
	"format":                   priceOfFormat,
	"split":                    priceOfSplit,
	"indexOf":                  product,
	"lastIndexOf":              product,
	"distinct":                 func(args []ref.Val) uint64 { return mul64(count(args[0]), size(args[0])) },
	"sets.contains":            pairs,
	"sets.equivalent":          pairs,
	"sets.intersects":          pairs,
	"hasAll":                   pairs,
	"hasAny":                   pairs,
	"hasOnly":                  pairs,
	"hasExactly":               pairs,
	"sort":                     sorting,
	"@sortByAssociatedKeys":    sorting,
	"lists.range": func(args []ref.Val) uint64 {
		if n, is := args[0].(types.Int); is && n > 0 {
			return uint64(n)
		}
		return 1
	},
}

func nothing([]ref.Val) uint64 { return 0 }

// least is the price of a comparison, which ends where the smaller value does.
func least(args []ref.Val) uint64 { return min(size(args[0]), size(args[1])) }

func product(args []ref.Val) uint64 { return mul64(size(args[0]), size(args[1])) }

// pairs is the price of comparing each element of two lists with each of the other.
func pairs(args []ref.Val) uint64 {
	return add64(mul64(count(args[0]), size(args[1])), mul64(count(args[1]), size(args[0])))
}

func sorting(args []ref.Val) uint64 {
	return mul64(sum(args), uint64(bits.Len64(count(args[0]))+1))
}

// priceOfMatches goes by the size of the compiled pattern: RE2 is linear in both.
func priceOfMatches(args []ref.Val) uint64 {
	pattern, is := args[1].(types.String)
	if !is {
		return sum(args)
	}
	const longest = 10_000 // bytes: what is longer is not even compiled
	if len(pattern) > longest {
		return math.MaxUint64
	}
	n, err := types.RegexProgramSize(string(pattern))
	if err != nil {
		return sum(args) // the call will say what is wrong
	}
	return add64(sum(args), mul64(size(args[0]), uint64(n)/4))
}

func priceOfReplace(args []ref.Val) uint64 {
	text, is1 := args[0].(types.String)
	from, is2 := args[1].(types.String)
	to, is3 := args[2].(types.String)
	if !is1 || !is2 || !is3 {
		return sum(args)
	}
	times := int64(strings.Count(string(text), string(from)))
	if len(args) > 3 {
		if most, is := args[3].(types.Int); is && most >= 0 {
			times = min(times, int64(most))
		}
	}
	return add64(sum(args), mul64(uint64(times), uint64(len(to)))/10)
}

func priceOfJoin(args []ref.Val) uint64 {
	if len(args) < 2 {
		return sum(args)
	}
	return add64(sum(args), mul64(count(args[0]), size(args[1])))
}

// priceOfFormat takes a clause for a number with a hundred decimals and more.
func priceOfFormat(args []ref.Val) uint64 {
	return add64(mul64(sum(args), 4), mul64(count(args[1]), 40))
}

func priceOfSplit(args []ref.Val) uint64 {
	text, is1 := args[0].(types.String)
	at, is2 := args[1].(types.String)
	if !is1 || !is2 {
		return sum(args)
	}
	pieces := utf8.RuneCountInString(string(text))
	if at != "" {
		pieces = strings.Count(string(text), string(at))
	}
	return add64(sum(args), mul64(uint64(pieces), 2))
}

// add64 and mul64 stop at the largest number.

func add64(a, b uint64) uint64 {
	if total, carry := bits.Add64(a, b, 0); carry == 0 {
		return total
	}
	return math.MaxUint64
}

func mul64(a, b uint64) uint64 {
	if high, low := bits.Mul64(a, b); high == 0 {
		return low
	}
	return math.MaxUint64
}
