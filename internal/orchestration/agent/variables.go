package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// The names of ours that a role's prompt may use, beside the keys of context.
var (
	plannerNames     = []string{"task", "workers", "max_subtasks"}
	workerNames      = []string{"original_task", "task_type", "task_description", "dependencies"}
	synthesizerNames = []string{"task", "analysis", "results"}
)

// CheckPrompts returns what is wrong with a run's own prompts, by pointers into
// its request, nil when nothing is: a name that is neither ours nor a key of context nor, in the workers', an
// input of every worker subtask of the given plan (missing_prompt_variable, the
// name in the detail), a key of context that hides one of our names in a
// prompt that uses it (the same code), and what is no placeholder at all
// (invalid_request, the place in the detail).
func CheckPrompts(spec *orchestration.Spec) []orchestration.Problem {
	keys := contextKeys(spec.Context)
	faults := checkPrompt("/planner/prompt", spec.Planner.Prompt, plannerNames, keys, nil)
	faults = append(faults, checkPrompt("/worker/prompt", spec.Worker.Prompt, workerNames, keys, commonInputs(spec.Plan))...)
	return append(faults, checkPrompt("/synthesizer/prompt", spec.Synthesizer.Prompt, synthesizerNames, keys, nil)...)
}

func checkPrompt(pointer, prompt string, ours []string, keys, inputs map[string]bool) []orchestration.Problem {
	t, misuses := parseTemplate(prompt)
	var faults []orchestration.Problem
	for _, m := range misuses[:min(len(misuses), maxFaults)] {
		faults = append(faults, orchestration.Problem{Pointer: pointer, Code: codeInvalidRequest, Detail: m.String()})
	}
	seen := map[string]bool{}
	for _, p := range t {
		if len(faults) == maxFaults {
			break
		}
		if p.name == "" || seen[p.name] {
			continue
		}
		seen[p.name] = true
		own, given := slices.Contains(ours, p.name), keys[p.name]
		shown := shortly(p.name, 100)
		switch {
		case own && given:
			faults = append(faults, orchestration.Problem{Pointer: pointer, Code: codeMissingVariable, Detail: fmt.Sprintf(
				"the prompt uses {%s}, which the key %q of context hides; give that key another name", shown, shown)})
		case !own && !given && !inputs[p.name]:
			faults = append(faults, orchestration.Problem{Pointer: pointer, Code: codeMissingVariable, Detail: fmt.Sprintf(
				"the prompt uses {%s}, which is not given: it is no key of context, and none of %s", shown, strings.Join(ours, ", "))})
		}
	}
	return faults
}

// The codes of faults that are no run's failure.
const (
	codeInvalidRequest  = "invalid_request"
	codeMissingVariable = "missing_prompt_variable"
)

// A form is a caller's prompt with the values of context at hand, to be filled
// with ours.
type form struct {
	template template
	values   map[string]string
}

// readForm reads a prompt that may use our names and the keys of context. It
// fails where [CheckPrompts] finds a fault.
func readForm(prompt string, ours []string, context json.RawMessage) (form, *orchestration.Failure) {
	t, failure := readTemplate(prompt)
	if failure != nil {
		return form{}, failure
	}
	f := form{t, contextValues(context, t)}
	return f, f.complete(func(name string) bool { return slices.Contains(ours, name) })
}

func readTemplate(prompt string) (template, *orchestration.Failure) {
	t, misuses := parseTemplate(prompt)
	if len(misuses) > 0 {
		return nil, unusable(misuses[0].String())
	}
	return t, nil
}

// complete fails unless each name of the prompt is either in context or is given
// by others.
func (f form) complete(others func(name string) bool) *orchestration.Failure {
	for _, p := range f.template {
		if _, given := f.values[p.name]; p.name != "" && given == others(p.name) {
			return unusable(fmt.Sprintf("{%s} is not given, or given twice", shortly(p.name, 100)))
		}
	}
	return nil
}

// fill puts the values in. Those of ours are not expanded either.
func (f form) fill(ours map[string]string) string {
	return f.template.render(func(name string) string {
		if v, ok := ours[name]; ok {
			return v
		}
		return f.values[name]
	})
}

// contextKeys returns the keys of context.
func contextKeys(context json.RawMessage) map[string]bool {
	keys := map[string]bool{}
	eachValue(context, func(key string, _ jsontext.Value) { keys[key] = true })
	return keys
}

// contextValues returns the values of context that t has gaps for: strings as
// they are, others as compact JSON.
func contextValues(context json.RawMessage, t template) map[string]string {
	wanted := map[string]bool{}
	for _, p := range t {
		wanted[p.name] = true
	}
	values := map[string]string{}
	eachValue(context, func(key string, value jsontext.Value) {
		if !wanted[key] {
			return
		}
		if value.Kind() == '"' {
			text, err := jsontext.AppendUnquote(nil, value)
			if err != nil {
				return
			}
			values[key] = string(text)
			return
		}
		var compact bytes.Buffer
		if json.Compact(&compact, value) == nil {
			values[key] = compact.String()
		}
	})
	return values
}

// eachValue goes through a JSON object in its order. What is none has no keys:
// a context that is not an object was refused with its run.
func eachValue(object json.RawMessage, see func(key string, value jsontext.Value)) {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if start, err := d.ReadToken(); err != nil || start.Kind() != '{' {
		return
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return
		}
		key := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return
		}
		see(key, value)
	}
}
