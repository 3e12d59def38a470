package expr

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// A path is an expression that does nothing but go down into a value: item.name,
// T1.output.rows[0]["ci"]. Most of those in plans are, and to follow one takes a part of
// what evaluating it does.
type path struct {
	root string
	keys []ref.Val // in this order, of texts and ints
}

// pathOf returns the path that an expression is, nil where it is none.
func pathOf(e ast.Expr) *path {
	p := new(path)
	for {
		switch e.Kind() {
		case ast.IdentKind:
			p.root = e.AsIdent()
			slices.Reverse(p.keys)
			return p
		case ast.SelectKind:
			s := e.AsSelect()
			if s.IsTestOnly() {
				return nil
			}
			p.keys = append(p.keys, types.String(s.FieldName()))
			e = s.Operand()
		case ast.CallKind:
			c := e.AsCall()
			if c.FunctionName() != operators.Index || c.Args()[1].Kind() != ast.LiteralKind {
				return nil
			}
			p.keys = append(p.keys, c.Args()[1].AsLiteral())
			e = c.Args()[0]
		default:
			return nil
		}
	}
}

// follow returns the value that a path leads to, nil where something of it is not
// there: evaluating it then says what.
func (p *path) follow(s *scope) ref.Val {
	at, _ := s.ResolveName(p.root)
	value, _ := at.(ref.Val)
	for _, key := range p.keys {
		switch in := value.(type) {
		case *object:
			if _, is := key.(types.String); !is {
				return nil
			}
			if value, _ = in.Find(key); value == nil {
				return nil
			}
		case traits.Lister:
			i, is := key.(types.Int)
			if !is || i < 0 || uint64(i) >= count(in) {
				return nil
			}
			value = in.Get(i)
		default:
			return nil
		}
	}
	return value
}
