package expr

import (
	"errors"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// The cost that cel-go counts is known when a call has returned, and is one where
// the types are known only then. So it could not stop "a".replace("", b) with a
// long b, and what models write has types that are known only then. Here every
// call is charged by what it is given, before it is made, and what is made is
// charged by its size; cel-go's tracker keeps the account and stops the evaluation.

// plan makes a program that costs at most that.
func (l *language) plan(env *cel.Env, checked *cel.Ast, limit uint64) (cel.Program, error) {
	loops := map[int64]bool{}
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.ComprehensionKind && !binds(e.AsComprehension()) {
			loops[e.ID()] = true
		}
	}))
	return env.Program(checked,
		cel.CostLimit(limit),
		cel.CostTrackerOptions(cost.OverloadTracker(charged, func(args []ref.Val, _ ref.Val) *uint64 {
			units := uint64(args[0].(types.Uint))
			return &units
		})),
		cel.CustomDecoratorV2(func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
			switch i := i.(type) {
			case interpreter.InterpretableAttribute: // may bear the number of the loop that it selects from
				return i, nil
			case interpreter.InterpretableCall:
				return &meteredCall{InterpretableCall: i, op: l.ops[i.Function()], price: priceOf(i.Function())}, nil
			case interpreter.InterpretableConstructor:
				return &made{i}, nil
			}
			if loops[i.ID()] {
				return &made{i}, nil
			}
			return i, nil
		}))
}

// binds reports whether a comprehension goes over nothing and only names a value.
func binds(c ast.ComprehensionExpr) bool {
	return c.IterRange().Kind() == ast.ListKind && c.IterRange().AsList().Size() == 0
}

// charged is the overload by which the tracker knows our charges.
const charged = "charge"

type charge struct{}

func (charge) Function() string   { return charged }
func (charge) OverloadID() string { return charged }

// pay puts units on the evaluation's account. It panics with cel-go's
// EvalCancelledError when that is spent, which Program.Eval recovers.
func pay(frame *interpreter.ExecutionFrame, units uint64) {
	if tracker := frame.CostTracker(); tracker != nil {
		tracker.EvalVarArgs(frame, 0, charge{}, []ref.Val{types.Uint(units)}, nil)
	}
}

// A meteredCall is a call that is paid for first.
type meteredCall struct {
	interpreter.InterpretableCall
	op    *functions.Overload
	price func(args []ref.Val) uint64
}

// Exec implements interpreter.InterpretableV2.
func (c *meteredCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	nodes := c.Args()
	args := make([]ref.Val, len(nodes))
	lax := c.op != nil && c.op.NonStrict
	for i, node := range nodes {
		args[i] = node.Exec(frame)
		if types.IsUnknownOrError(args[i]) && !lax {
			return args[i]
		}
	}
	pay(frame, add64(1, c.price(args)))
	return types.LabelErrNode(c.ID(), c.call(args))
}

// Eval implements interpreter.Interpretable.
func (c *meteredCall) Eval(a interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(a, c.Exec)
}

func (c *meteredCall) call(args []ref.Val) ref.Val {
	switch c.Function() {
	case operators.Equals:
		return types.Equal(args[0], args[1])
	case operators.NotEquals:
		return types.Bool(types.Equal(args[0], args[1]) != types.True)
	}
	op := c.op
	switch {
	case op == nil:
	case op.OperandTrait != 0 && len(args) > 0 && !args[0].Type().HasTrait(op.OperandTrait):
	case len(args) == 1 && op.Unary != nil:
		return op.Unary(args[0])
	case len(args) == 2 && op.Binary != nil:
		return op.Binary(args[0], args[1])
	case op.Function != nil:
		return op.Function(args...)
	}
	if len(args) > 0 && args[0].Type().HasTrait(traits.ReceiverType) {
		return args[0].(traits.Receiver).Receive(c.Function(), c.OverloadID(), args[1:])
	}
	return types.WrapErr(errNoOverload)
}

var errNoOverload = errors.New("no such overload")

// made is what makes a list or an object: a literal, or a macro. An object is given
// the order of its keys, which those of cel-go do not have.
type made struct{ interpreter.InterpretableV2 }

// Exec implements interpreter.InterpretableV2.
func (m *made) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	value := m.InterpretableV2.Exec(frame)
	switch v := value.(type) {
	case *types.Err, types.Bool, types.Int:
		return value
	case *object:
	case traits.Mapper:
		o := ordered(v)
		if !slices.ContainsFunc(o.keys, noKey) {
			value = o
			break
		}
		return types.LabelErrNode(m.ID(), types.NewErr("unsupported key type"))
	}
	pay(frame, size(value))
	return value
}

// Eval implements interpreter.Interpretable.
func (m *made) Eval(a interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(a, m.Exec)
}

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
	"cel.@mapInsert":              nothing,
	"dyn":                         nothing,
	"type":                        nothing,
	"optional.of":                 nothing,
	"optional.none":               nothing,
	"optional.ofNonZeroValue":     nothing,
	"value":                       nothing,
	operators.NotStrictlyFalse:    nothing,
	operators.OldNotStrictlyFalse: nothing,
	"matches":                     priceOfMatches,
	"replace":                     priceOfReplace,
	"join":                        priceOfJoin,
	"format":                      priceOfFormat,
	"split":                       priceOfSplit,
	"indexOf":                     product,
	"lastIndexOf":                 product,
	"distinct":                    func(args []ref.Val) uint64 { return mul64(count(args[0]), size(args[0])) },
	"sets.contains":               pairs,
	"sets.equivalent":             pairs,
	"sets.intersects":             pairs,
	"hasAll":                      pairs,
	"hasAny":                      pairs,
	"hasOnly":                     pairs,
	"hasExactly":                  pairs,
	"sort":                        sorting,
	"@sortByAssociatedKeys":       sorting,
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
