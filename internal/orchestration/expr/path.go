package expr

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// A path is an expression that names a value, or members of members of it, and does
// nothing more: item.cpu. Most of those that pipe data are such ones, and getting a
// program ready takes far longer than their few steps.
type path struct {
	name    string
	members []ref.Val // keys
}

// pathOf returns the path that an expression is, nil where it is none.
func pathOf(e ast.Expr) *path {
	switch e.Kind() {
	case ast.IdentKind:
		return &path{name: e.AsIdent()}
	case ast.SelectKind:
		s := e.AsSelect()
		if s.IsTestOnly() {
			return nil
		}
		if p := pathOf(s.Operand()); p != nil {
			p.members = append(p.members, types.String(s.FieldName()))
			return p
		}
	}
	return nil
}

// follow returns what is at the path, and adds what that cost: as much as cel-go
// counts. It finds nothing where something is not as the path has it: the program says
// then what is wrong.
func (p *path) follow(s *scope, spent *int) (ref.Val, bool) {
	if p == nil {
		return nil, false
	}
	value, found := s.value(p.name)
	for _, key := range p.members {
		of, is := value.(*object)
		if !is {
			return nil, false
		}
		if value, found = of.Find(key); !found {
			return nil, false
		}
	}
	if found && spent != nil {
		*spent += 1 + len(p.members)
	}
	return value, found
}
