package expr

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// findings are what can be seen in an expression without evaluating it.
type findings struct {
	free    []string // names that no macro of the expression binds, in the order of their appearance
	ids     []string // of subtasks["…"]
	fixed   []string // of task, context and run those that it reads
	locals  []string
	outputs map[string]bool // subtasks of which more than the status is read
	reads   orchestration.Reads
	wrong   []string
}

func (f *findings) readsNothing() bool {
	return len(f.reads.Subtasks) == 0 && len(f.fixed) == 0 && len(f.locals) == 0
}

// A finder walks an expression. A name is a subtask where it says so and no macro
// has bound it.
type finder struct {
	findings
	subtask func(name string) bool
	bound   []string
}

func find(a *ast.AST, subtask func(name string) bool) findings {
	f := &finder{subtask: subtask}
	f.outputs = map[string]bool{}
	f.visit(a.Expr())
	slices.Sort(f.reads.Subtasks)
	slices.Sort(f.reads.Context)
	if id, is := f.outputOf(a.Expr()); is {
		f.reads.Bare = id
	}
	return f.findings
}

func (f *finder) visit(e ast.Expr) {
	if id, is := f.subtaskOf(e); is {
		f.read(e, id, true)
		return
	}
	if key, is := f.memberOf("context", e); is {
		add(&f.reads.Context, key)
	}
	switch e.Kind() {
	case ast.IdentKind:
		f.name(e.AsIdent())
	case ast.SelectKind:
		s := e.AsSelect()
		if id, is := f.subtaskOf(s.Operand()); is {
			f.read(s.Operand(), id, s.FieldName() != "status")
			return
		}
		f.visit(s.Operand())
	case ast.CallKind:
		f.call(e.AsCall())
	case ast.ComprehensionKind:
		f.comprehension(e.AsComprehension())
	case ast.StructKind:
		f.fault("messages cannot be made: " + cut(e.AsStruct().TypeName(), 64))
	default:
		f.children(e)
	}
}

func (f *finder) children(e ast.Expr) {
	for _, c := range ast.NavigateExpr(nil, e).Children() {
		f.visit(c)
	}
}

// name notes a name that stands for itself.
func (f *finder) name(name string) {
	if f.isBound(name) {
		return
	}
	switch name {
	case "task", "context", "run":
		add(&f.fixed, name)
		f.reads.Run = f.reads.Run || name == "run"
	case "subtasks":
		f.fault(`subtasks can only be used as subtasks["id"], with the id written out, so that it is known what is waited for`)
		return
	}
	if name[0] == '.' {
		f.fault("a name cannot begin with a dot")
		return
	}
	add(&f.free, name)
}

func (f *finder) call(c ast.CallExpr) {
	switch c.FunctionName() {
	case operators.Equals, operators.NotEquals:
		f.compared(c.Args()[0], c.Args()[1:])
		f.compared(c.Args()[1], c.Args()[:1])
	case operators.In:
		if list := c.Args()[1]; list.Kind() == ast.ListKind {
			f.compared(c.Args()[0], list.AsList().Elements())
			for _, element := range list.AsList().Elements() {
				f.compared(element, c.Args()[:1])
			}
		}
	}
	if c.IsMemberFunction() {
		f.visit(c.Target())
	}
	for _, arg := range c.Args() {
		f.visit(arg)
	}
}

// compared notes the texts among others that a subtask's output is compared to.
func (f *finder) compared(e ast.Expr, others []ast.Expr) {
	id, is := f.outputOf(e)
	if !is {
		return
	}
	for _, other := range others {
		if text, is := literal(other); is {
			add(&f.reads.Compared, orchestration.Comparison{Subtask: id, Text: text})
		}
	}
}

func (f *finder) comprehension(c ast.ComprehensionExpr) {
	f.visit(c.IterRange())
	f.visit(c.AccuInit())
	outside := len(f.bound)
	f.bound = append(f.bound, c.AccuVar())
	f.visit(c.Result())
	f.bound = append(f.bound, c.IterVar(), c.IterVar2())
	f.visit(c.LoopCondition())
	f.visit(c.LoopStep())
	f.bound = f.bound[:outside]
}

// read notes that a subtask is read, as the given expression names it.
func (f *finder) read(e ast.Expr, id string, output bool) {
	if e.Kind() == ast.IdentKind {
		add(&f.free, id)
	} else {
		add(&f.ids, id)
	}
	add(&f.reads.Subtasks, id)
	f.outputs[id] = f.outputs[id] || output
}

// subtaskOf returns the subtask that an expression names: T1, subtasks["T1"] or
// subtasks.T1.
func (f *finder) subtaskOf(e ast.Expr) (string, bool) {
	if e.Kind() == ast.IdentKind {
		name := e.AsIdent()
		return name, f.subtask(name) && !f.isBound(name)
	}
	return f.memberOf("subtasks", e)
}

// memberOf returns the member that an expression names of one of our objects, as
// object.member or object["member"].
func (f *finder) memberOf(object string, e ast.Expr) (string, bool) {
	is := func(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == object && !f.isBound(object) }
	switch e.Kind() {
	case ast.SelectKind:
		return e.AsSelect().FieldName(), is(e.AsSelect().Operand())
	case ast.CallKind:
		switch c := e.AsCall(); c.FunctionName() {
		case operators.Index, operators.OptIndex, operators.OptSelect:
			if is(c.Args()[0]) {
				return literal(c.Args()[1])
			}
		}
	}
	return "", false
}

// outputOf returns the subtask whose output an expression is.
func (f *finder) outputOf(e ast.Expr) (string, bool) {
	if e.Kind() != ast.SelectKind || e.AsSelect().IsTestOnly() || e.AsSelect().FieldName() != "output" {
		return "", false
	}
	return f.subtaskOf(e.AsSelect().Operand())
}

func (f *finder) isBound(name string) bool { return slices.Contains(f.bound, name) }

func (f *finder) fault(text string) { add(&f.wrong, text) }

func add[E comparable](all *[]E, e E) {
	if !slices.Contains(*all, e) {
		*all = append(*all, e)
	}
}

// literal returns the text that is written there.
func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, is := e.AsLiteral().(types.String)
	return string(text), is
}
