package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A source is an expression that was parsed. It has a program for each meaning
// that its names have had: the same text may stand in several plans.
type source struct {
	text   string
	parsed *cel.Ast
	found  findings // with every name taken for a subtask's

	mu       sync.Mutex
	programs []*program
}

// A program is an expression that is ready to be evaluated.
type program struct {
	findings
	text      string
	mentioned []string // names that mean something of a plan's, or of the language's
	subtasks  []string // of these; locals are others
	ast       *cel.Ast
	path      *path // where it is nothing more than one
	program   cel.Program
	constant  cel.Program // the same within constCost, where it reads nothing
}

// maxMeanings bounds the programs of one source.
const maxMeanings = 8

// meaning returns the program that an expression has over those variables, nil where
// there is none yet.
func (e *Expressions) meaning(expression string, v *orchestration.Variables) *program {
	s, found := e.sources.get(expression)
	if !found {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.programs {
		if p.means(v) {
			return p
		}
	}
	return nil
}

// means reports whether the names of the program are what they are among those
// variables.
func (p *program) means(v *orchestration.Variables) bool {
	for _, name := range p.mentioned {
		local := variable(v.Locals, name) != nil
		if local != slices.Contains(p.locals, name) {
			return false
		}
		subtask := !local && variable(v.Subtasks, name) != nil && named(name)
		if subtask != slices.Contains(p.subtasks, name) {
			return false
		}
	}
	return !slices.ContainsFunc(p.ids, func(id string) bool { return variable(v.Subtasks, id) == nil })
}

// compile returns the program of an expression over the given names.
func (e *Expressions) compile(expression string, given names) (*program, error) {
	s, found := e.sources.get(expression)
	if !found {
		parsed, err := e.language.parse(expression)
		if err != nil {
			return nil, err
		}
		s = parsed
		e.sources.put(expression, s, len(expression))
	}
	subtasks, locals, missing := s.resolve(given)
	if missing != nil {
		return nil, missing
	}
	if p := s.known(subtasks, locals); p != nil {
		return p, nil
	}
	p, err := e.language.program(s, subtasks, locals)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.programs) >= maxMeanings {
		s.programs = nil
	}
	s.programs = append(s.programs, p)
	return p, nil
}

// known returns the program for that meaning of the names, nil if there is none yet.
func (s *source) known(subtasks, locals []string) *program {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.programs {
		if slices.Equal(p.subtasks, subtasks) && slices.Equal(p.locals, locals) {
			return p
		}
	}
	return nil
}

// parse reads an expression, and finds what is wrong with it whatever its names mean.
func (l *language) parse(expression string) (*source, error) {
	if strings.TrimSpace(expression) == "" {
		return nil, errors.New("it is empty")
	}
	if len(expression) > maxLength {
		return nil, fmt.Errorf("it is longer than %d bytes", maxLength)
	}
	parsed, issues := l.env.Parse(expression)
	if issues.Err() != nil {
		return nil, faults(issues)
	}
	if deeper(parsed.NativeRep().Expr(), maxDepth) {
		return nil, fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	found := find(parsed.NativeRep(), named)
	if len(found.wrong) > 0 {
		return nil, errors.New(strings.Join(found.wrong, "; "))
	}
	return &source{text: expression, parsed: parsed, found: found}, nil
}

// resolve says which of the names that the source mentions are subtasks and which
// are locals, or which of them nobody knows.
func (s *source) resolve(given names) (subtasks, locals []string, err error) {
	var unknown []string
	for _, name := range s.found.free {
		switch {
		case slices.Contains(given.locals, name):
			locals = append(locals, name)
		case slices.Contains(given.subtasks, name) && named(name):
			subtasks = append(subtasks, name)
		case always[name] || words[name]:
		default:
			unknown = append(unknown, s.unknown(name, given))
		}
	}
	for _, id := range s.found.ids {
		if !slices.Contains(given.subtasks, id) {
			unknown = append(unknown, fmt.Sprintf("there is no subtask %q", cut(id, 64)))
		}
	}
	if len(unknown) == 0 {
		return subtasks, locals, nil
	}
	const most = 5
	if len(unknown) > most {
		unknown = append(unknown[:most], fmt.Sprintf("and %d more", len(unknown)-most))
	}
	return nil, nil, fmt.Errorf("%s; there are %s", strings.Join(unknown, "; "), given.list())
}

// unknown says what is wrong with a name. A subtask whose id goes on with a hyphen
// is what it was most likely meant for.
func (*source) unknown(name string, given names) string {
	for _, id := range given.subtasks {
		if id == name || strings.HasPrefix(id, name+"-") {
			return fmt.Sprintf("%s is not known: write subtasks[%q]", name, id)
		}
	}
	return cut(name, 64) + " is not known"
}

// program checks the types of a source, its names being what they are now.
func (l *language) program(s *source, subtasks, locals []string) (*program, error) {
	env, err := l.extended(subtasks, locals)
	if err != nil {
		return nil, err
	}
	// The checker changes what it is given: each gets its own, and the source's stays as it is.
	parsed, issues := env.Parse(s.text)
	if issues.Err() != nil {
		return nil, faults(issues)
	}
	checked, issues := l.check(env, parsed)
	if issues.Err() != nil {
		return nil, faults(issues)
	}
	p := &program{
		text: s.text, mentioned: s.found.free, subtasks: subtasks, ast: checked,
		findings: find(s.parsed.NativeRep(), func(name string) bool { return slices.Contains(subtasks, name) }),
	}
	p.locals, p.path = locals, pathOf(s.parsed.NativeRep().Expr())
	if p.program, err = l.plan(env, checked, maxCost); err != nil {
		return nil, err
	}
	if p.readsNothing() {
		p.constant, err = l.plan(env, checked, constCost)
	}
	return p, err
}

// check checks the types of an expression. Where no name is a plan's, the environment
// is that of all, and cel-go writes into it when it meets a function that is not there.
func (l *language) check(env *cel.Env, parsed *cel.Ast) (*cel.Ast, *cel.Issues) {
	if env == l.env {
		l.checking.Lock()
		defer l.checking.Unlock()
	}
	return env.Check(parsed)
}

// deeper reports whether an expression is nested deeper than that.
func deeper(e ast.Expr, depth int) bool {
	if depth == 0 {
		return true
	}
	return slices.ContainsFunc(ast.NavigateExpr(nil, e).Children(), func(c ast.NavigableExpr) bool {
		return deeper(c, depth-1)
	})
}
