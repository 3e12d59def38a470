package expr

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// The types of what is named by us.
const (
	subtaskType = "tutti.Subtask"
	runType     = "tutti.Run"
)

// language is the CEL that expressions are in, without the names of a plan.
type language struct {
	env *cel.Env
	// ops are the implementations of functions by name, for any arguments.
	ops map[string]*functions.Overload

	checking sync.Mutex // with env itself
}

func newLanguage() *language {
	e, err := cel.NewCustomEnv(
		cel.StdLib(cel.StdLibSubset(withoutTimeZones())),
		cel.ParserExpressionSizeLimit(maxLength),
		cel.ParserRecursionLimit(maxDepth),
		cel.ExpressionNodeLimit(maxNodes),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.OptionalTypes(),
		// Versions are named: what a function does, and what there is, must not change
		// under runs that are to be replayed.
		ext.Strings(ext.StringsVersion(5)),
		ext.Math(ext.MathVersion(2)),
		ext.Lists(ext.ListsVersion(5)),
		ext.Sets(ext.SetsVersion(0)),
		ext.Bindings(ext.BindingsVersion(0)),
		ext.TwoVarComprehensions(ext.TwoVarComprehensionsVersion(0)),
		withOurTypes,
		cel.Variable("task", cel.StringType),
		cel.Variable("context", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("run", cel.ObjectType(runType)),
		cel.Variable("subtasks", cel.MapType(cel.StringType, cel.ObjectType(subtaskType))),
	)
	if err != nil {
		panic("expr: " + err.Error()) // the options above contradict each other
	}
	l := &language{env: e, ops: map[string]*functions.Overload{}}
	for name, f := range e.Functions() {
		bindings, err := f.Bindings()
		if err != nil {
			panic("expr: " + err.Error())
		}
		for _, b := range bindings {
			if b.Operator == name {
				l.ops[name] = b
			}
		}
	}
	return l
}

// withoutTimeZones leaves out what looks a time zone up: its rules are the
// machine's and change with it.
func withoutTimeZones() *env.LibrarySubset {
	subset := env.NewLibrarySubset()
	for name, ids := range map[string][]string{
		overloads.TimeGetFullYear:     {overloads.TimestampToYearWithTz},
		overloads.TimeGetMonth:        {overloads.TimestampToMonthWithTz},
		overloads.TimeGetDayOfYear:    {overloads.TimestampToDayOfYearWithTz},
		overloads.TimeGetDayOfMonth:   {overloads.TimestampToDayOfMonthZeroBasedWithTz},
		overloads.TimeGetDate:         {overloads.TimestampToDayOfMonthOneBasedWithTz},
		overloads.TimeGetDayOfWeek:    {overloads.TimestampToDayOfWeekWithTz},
		overloads.TimeGetHours:        {overloads.TimestampToHoursWithTz},
		overloads.TimeGetMinutes:      {overloads.TimestampToMinutesWithTz},
		overloads.TimeGetSeconds:      {overloads.TimestampToSecondsWithTz},
		overloads.TimeGetMilliseconds: {overloads.TimestampToMillisecondsWithTz},
	} {
		f := &env.Function{Name: name}
		for _, id := range ids {
			f.Overloads = append(f.Overloads, &env.Overload{ID: id})
		}
		subset.AddExcludedFunctions(f)
	}
	return subset
}

// withOurTypes has a subtask and the run be types with fields of their own, so
// that T1.outptu is noticed before anything runs. Their values are objects.
func withOurTypes(e *cel.Env) (*cel.Env, error) {
	return cel.CustomTypeProvider(ourTypes{e.CELTypeProvider()})(e)
}

type ourTypes struct{ types.Provider }

var fields = map[string]map[string]*types.Type{
	subtaskType: {"output": cel.DynType, "status": cel.StringType},
	runType:     {"id": cel.StringType},
}

func (p ourTypes) FindStructType(name string) (*types.Type, bool) {
	if _, ours := fields[name]; ours {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

func (p ourTypes) FindStructFieldNames(name string) ([]string, bool) {
	if f, ours := fields[name]; ours {
		var all []string
		for field := range f {
			all = append(all, field)
		}
		slices.Sort(all)
		return all, true
	}
	return p.Provider.FindStructFieldNames(name)
}

func (p ourTypes) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if f, ours := fields[name]; ours {
		t, found := f[field]
		return &types.FieldType{Type: t}, found
	}
	return p.Provider.FindStructFieldType(name, field)
}

// always are the names that every expression knows, and passing those that some do.
var (
	always  = set("task context run subtasks")
	passing = set("item index iteration previous output")
	// words are those of the language: its types, and what its functions' names begin with.
	words = set("bool bytes double duration dyn int list map null_type optional_type string timestamp type uint " +
		"cel google lists math optional sets strings tutti")
	// syntax are words that CEL lets name nothing.
	syntax = set("true false null in as break const continue else for function if import let loop package namespace return var void while")
)

func set(names string) map[string]bool {
	s := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		s[name] = true
	}
	return s
}

// Reserved reports whether an identifier means something in the language itself.
// A subtask that has it as its id can only be named subtasks["…"].
func Reserved(id string) bool { return always[id] || passing[id] || words[id] || syntax[id] }

// Reserved is the function of that name.
func (*Expressions) Reserved(id string) bool { return Reserved(id) }

// named reports whether a subtask can be named by its id alone.
func named(id string) bool { return identifier(id) && !Reserved(id) }

func identifier(id string) bool {
	for i, c := range []byte(id) {
		switch {
		case c == '_', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		case i > 0 && '0' <= c && c <= '9':
		default:
			return false
		}
	}
	return id != ""
}

// extended returns the environment in which the given names are known.
func (l *language) extended(subtasks, locals []string) (*cel.Env, error) {
	var options []cel.EnvOption
	for _, id := range subtasks {
		options = append(options, cel.Variable(id, cel.ObjectType(subtaskType)))
	}
	for _, name := range locals {
		options = append(options, cel.Variable(name, cel.DynType))
	}
	if len(options) == 0 {
		return l.env, nil
	}
	e, err := l.env.Extend(options...)
	if err != nil {
		return nil, fmt.Errorf("its names cannot be declared: %w", err)
	}
	return e, nil
}

// kindOf returns the word for a type.
func kindOf(t *cel.Type) string {
	switch t.Kind() {
	case types.BoolKind:
		return "bool"
	case types.StringKind, types.BytesKind, types.TimestampKind, types.DurationKind:
		return "string"
	case types.IntKind, types.UintKind, types.DoubleKind:
		return "number"
	case types.ListKind:
		return "list"
	case types.MapKind, types.StructKind:
		return "object"
	case types.NullTypeKind:
		return "null"
	}
	return ""
}
