package expr

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
)

// maxFault is the most bytes of an error's text.
const maxFault = 1_000

var errTooDear = fmt.Errorf("it takes more than %d units of work", maxCost)

func isTooDear(err error) bool { return errors.Is(err, errTooDear) }

// run evaluates the program. What it panics with is a fault of a library that met
// something unforeseen; Program.Eval makes an error of it, which is told as one.
func (p *program) run(program cel.Program, bound *scope, spent *int) (string, error) {
	value, details, err := program.Eval(bound)
	if spent != nil {
		*spent += costOf(details)
	}
	if err != nil {
		return "", p.fault(err)
	}
	return written(value)
}

// costOf returns what an evaluation cost, of one that was given up the most that
// it may.
func costOf(details *cel.EvalDetails) int {
	if details != nil {
		if cost := details.ActualCost(); cost != nil {
			return int(min(*cost, maxCost))
		}
	}
	return maxCost
}

// faults tells what the parser or the checker found. They have seen nothing but
// the expression.
func faults(issues *cel.Issues) error {
	const most = 3
	var all []string
	for _, issue := range issues.Errors() {
		message := strings.ReplaceAll(issue.Message, " (in container '')", "")
		message = strings.TrimPrefix(message, "Syntax error: ")
		all = append(all, at(issue.Location)+cut(message, maxFault/most))
		if len(all) == most {
			break
		}
	}
	if len(all) == 0 {
		all = append(all, "it is no expression")
	}
	return errors.New(cut(strings.Join(all, "; "), maxFault))
}

// told are the beginnings of cel-go's errors, and what we say of them: its own
// texts quote values.
var told = []struct{ begins, say string }{
	{"no such overload", "a value is of a type that this cannot be done with"},
	{"found no matching overload", "a value is of a type that this cannot be done with"},
	{"unsupported index", "a value is of a type that cannot be an index"},
	{"no such field", "there is no such field"},
	{"index out of bounds", "an index is out of range"},
	{"index out of range", "an index is out of range"},
	{"invalid substring range", "an index is out of range"},
	{"cannot slice", "an index is out of range"},
	{"division by zero", "division by zero"},
	{"modulus by zero", "division by zero"},
	{"integer overflow", "a number is too large"},
	{"unsigned integer overflow", "a number is too large"},
	{"timestamp overflow", "a time is too far away"},
	{"duration overflow", "a duration is too long"},
	{"range", "a number is too large"},
	{"type conversion error", "a value cannot be converted"},
	{"unsupported type conversion", "a value cannot be converted"},
	{"invalid RFC 3339 timestamp", "a text is no timestamp"},
	{"invalid UTF-8", "bytes are no text"},
	{"error during formatting", "a value is of a type that its clause does not take"},
	{"optional.none() dereference", "an optional has no value"},
	{"insert failed", "a key is there twice"},
	{"error parsing regexp", "a pattern is no regular expression"},
	{"got ", "a value is nothing that can be walked"},
	{"unsupported key type", "a key must be a text, an integer or a bool"},
	{"level must", "a number must not be negative"},
	{"list elements must", "a list's elements cannot be compared"},
	{"lists.range", "a range is negative or too long"},
	{"join: invalid input", "join takes texts alone"},
	{"NaN values cannot be ordered", "an undefined number cannot be ordered"},
}

// fault tells why an evaluation failed, and where. It names a key that is missing
// if the expression does, and quotes nothing else.
func (p *program) fault(err error) error {
	var canceled interpreter.EvalCancelledError
	if errors.As(err, &canceled) {
		return errTooDear
	}
	var failed *types.Err
	if !errors.As(err, &failed) {
		return errors.New("it cannot be evaluated")
	}
	text := failed.Error()
	say := "it cannot be evaluated"
	if key, missing := strings.CutPrefix(text, "no such key: "); missing {
		say = "there is no such key"
		if len(key) <= 100 && p.writes(key) {
			say = fmt.Sprintf("there is no key %q", key)
		}
	}
	for _, t := range told {
		if strings.HasPrefix(text, t.begins) {
			say = t.say
			break
		}
	}
	place := p.ast.NativeRep().SourceInfo().GetStartLocation(failed.NodeID())
	return errors.New(at(place) + say)
}

// at tells a place by line and column, both from 1, where it is known.
func at(place common.Location) string {
	if place.Line() < 1 {
		return ""
	}
	return fmt.Sprintf("at %d:%d: ", place.Line(), place.Column()+1)
}

// writes reports whether the expression itself has a text in it, as a field's name
// or as a literal.
func (p *program) writes(text string) bool {
	found := false
	ast.PostOrderVisit(p.ast.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		written, is := literal(e)
		if e.Kind() == ast.SelectKind {
			written, is = e.AsSelect().FieldName(), true
		}
		found = found || is && written == text
	}))
	return found
}

// cut shortens a text.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
