package expr

import (
	"errors"

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
		cel.CostTrackerOptions(cost.OverloadTracker(charged, func(_ []ref.Val, charge ref.Val) *uint64 {
			units := uint64(charge.(types.Uint))
			if units < uint64(len(few)) {
				return &few[units]
			}
			many := units
			return &many
		})),
		cel.CustomDecoratorV2(func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
			switch i := i.(type) {
			case interpreter.InterpretableAttribute: // may bear the number of the loop that it selects from
				return i, nil
			case interpreter.InterpretableCall:
				return &meteredCall{InterpretableCall: i, args: i.Args(), op: l.ops[i.Function()], price: priceOf(i.Function())}, nil
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

// few are the numbers that most charges are, so that they take no memory.
var few = func() (numbers [256]uint64) {
	for i := range numbers {
		numbers[i] = uint64(i)
	}
	return numbers
}()

// pay puts units on the evaluation's account. It panics with cel-go's
// EvalCancelledError when that is spent, which Program.Eval recovers.
func pay(frame *interpreter.ExecutionFrame, units uint64) {
	if tracker := frame.CostTracker(); tracker != nil {
		tracker.EvalVarArgs(frame, 0, charge{}, nil, types.Uint(units))
	}
}

// A meteredCall is a call that is paid for first.
type meteredCall struct {
	interpreter.InterpretableCall
	args  []interpreter.InterpretableV2
	op    *functions.Overload
	price func(args []ref.Val) uint64
}

// Exec implements interpreter.InterpretableV2.
func (c *meteredCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	args := make([]ref.Val, len(c.args))
	lax := c.op != nil && c.op.NonStrict
	for i, node := range c.args {
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
		if !o.odd() {
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
