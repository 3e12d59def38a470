package expr

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A scope is what was read of variables, for every expression over them. It
// implements [interpreter.Activation].
type scope struct {
	names    []binding // but subtasks
	subtasks []binding // by id
	byID     ref.Val   // what subtasks stands for in the expression that is evaluated now
}

// A binding is a name with what was read for it.
type binding struct {
	name  string
	value ref.Val
	size  int  // values in it
	whole bool // of a subtask: its output is there
}

func lookup(all []binding, name string) *binding {
	for i := range all {
		if all[i].name == name {
			return &all[i]
		}
	}
	return nil
}

// ResolveName implements interpreter.Activation.
func (s *scope) ResolveName(name string) (any, bool) { return s.value(name) }

// value returns what a name stands for, and whether it is known.
func (s *scope) value(name string) (ref.Val, bool) {
	if b := lookup(s.names, name); b != nil {
		return b.value, true
	}
	if name == "subtasks" {
		return s.byID, s.byID != nil
	}
	if b := lookup(s.subtasks, name); b != nil {
		return b.value, true
	}
	return nil, false
}

// Parent implements interpreter.Activation.
func (s *scope) Parent() interpreter.Activation { return nil }

// bind returns a scope with the values of the names that the program reads.
func (p *program) bind(v *orchestration.Variables, lately *cache[read]) (*scope, error) {
	if p.input(v) > maxInput {
		return nil, fmt.Errorf("what it reads is larger than %d MB", maxInput>>20)
	}
	s, known := v.Read.(*scope)
	if !known {
		s = &scope{names: make([]binding, 0, len(p.fixed)+len(v.Locals))}
		v.Read = s
	}
	values := 0
	for _, name := range p.fixed {
		values += s.bind(name, func(in *reader) ref.Val { return in.fixed(name, v) }, lately).size
	}
	for _, name := range p.locals {
		local := variable(v.Locals, name)
		values += s.bind(name, func(in *reader) ref.Val { return in.variable(local) }, lately).size
	}
	for i := range v.Subtasks {
		of := &v.Subtasks[i]
		if _, read := slices.BinarySearch(p.reads.Subtasks, of.ID); read {
			values += s.bindSubtask(of, p.outputs[of.ID], lately).size
		}
	}
	if values > maxValues {
		return nil, fmt.Errorf("what it reads has more than %d values", maxValues)
	}
	if len(p.ids) > 0 { // otherwise nothing of it is read
		byID := make([]member, len(p.ids))
		for i, id := range p.ids {
			byID[i] = member{types.String(id), lookup(s.subtasks, id).value}
		}
		s.byID = newObject(byID)
	}
	return s, nil
}

// bind reads what a name stands for, unless that was done before.
func (s *scope) bind(name string, readIt func(*reader) ref.Val, lately *cache[read]) *binding {
	if b := lookup(s.names, name); b != nil {
		return b
	}
	in := reader{lately: lately}
	value := readIt(&in)
	s.names = append(s.names, binding{name: name, value: value, size: in.values})
	return &s.names[len(s.names)-1]
}

func (s *scope) bindSubtask(of *orchestration.Variable, whole bool, lately *cache[read]) *binding {
	b := lookup(s.subtasks, of.ID)
	if b == nil {
		s.subtasks = append(s.subtasks, binding{name: of.ID})
		b = &s.subtasks[len(s.subtasks)-1]
	} else if b.whole || !whole {
		return b
	}
	in := reader{lately: lately}
	b.value, b.whole = in.subtask(of, whole), whole
	b.size = in.values
	return b
}

// fixed returns what a name stands for that every expression knows.
func (r *reader) fixed(name string, v *orchestration.Variables) ref.Val {
	switch name {
	case "task":
		return types.String(v.Task)
	case "run":
		return newObject([]member{{types.String("id"), types.String(v.Run)}})
	}
	if len(v.Context) == 0 {
		return newObject(nil)
	}
	return r.output(string(v.Context))
}

// input returns how many bytes the program reads.
func (p *program) input(v *orchestration.Variables) int {
	size := 0
	for _, name := range p.fixed {
		switch name {
		case "task":
			size += len(v.Task)
		case "context":
			size += len(v.Context)
		}
	}
	for _, name := range p.locals {
		if local := variable(v.Locals, name); local != nil && local.Output != nil {
			size += len(*local.Output)
		}
	}
	for i := range v.Subtasks {
		if s := &v.Subtasks[i]; s.Output != nil && p.outputs[s.ID] {
			size += len(*s.Output)
		}
	}
	return size
}

// variable returns the variable of that name, nil if there is none.
func variable(all []orchestration.Variable, name string) *orchestration.Variable {
	for i := range all {
		if all[i].ID == name {
			return &all[i]
		}
	}
	return nil
}
