package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/agent"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
)

// rules are those of a server with one worker and one model.
func rules() Rules {
	return Rules{
		Plan: orchestration.Rules{
			MaxSubtasks: 100, Workers: []orchestration.Worker{{Name: "writer"}}, Expressions: words{},
			Model: func(name string) bool { return name == "small" }, Schema: schema.Check,
		},
		Conforms: schema.Conforms,
		Prompts:  agent.CheckPrompts,
	}
}

// words are expressions as far as these tests need them: what they name is found
// by its look, and what is JSON is a constant.
type words struct{}

var contextKey = regexp.MustCompile(`context\.(\w+)`)

func (words) Check(expression string, _, _ []string) (orchestration.Reads, error) {
	if strings.Contains(expression, "((") {
		return orchestration.Reads{}, errors.New("it does not end")
	}
	var r orchestration.Reads
	for _, m := range contextKey.FindAllStringSubmatch(expression, -1) {
		r.Context = append(r.Context, m[1])
	}
	if json.Valid([]byte(expression)) {
		r.Constant = json.RawMessage(expression)
	}
	slices.Sort(r.Context)
	return r, nil
}

func (words) Eval(string, *orchestration.Variables) (string, error) {
	return "", errors.New("nothing is evaluated")
}

func (words) Reserved(string) bool { return false }

// lines are faults as they are printed.
func lines(faults []Fault) string {
	var b strings.Builder
	for _, f := range faults {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// kindsKnown reports whether the core knows of other kinds than worker.
func kindsKnown() bool {
	plan := orchestration.Plan{Subtasks: []orchestration.Subtask{
		{ID: "a", Description: "x"}, {ID: "b", Kind: orchestration.KindMerge, Merge: orchestration.MergeConcat, DependsOn: []string{"a"}},
	}}
	return plan.Check(orchestration.Rules{MaxSubtasks: 10}) == nil
}

// must reads a template that has no faults of shape.
func must(t testing.TB, text string) *Template {
	t.Helper()
	w, faults := Parse("", []byte(text))
	if len(faults) > 0 {
		t.Fatalf("%s", lines(faults))
	}
	return w
}
