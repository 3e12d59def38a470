package agent

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTemplatesRefuse(t *testing.T) {
	tests := map[string]string{ // a prompt, and what must be said of it
		"{}":                     `line 1, character 1: "{}" names nothing`,
		"a {b.c}":                `line 1, character 3: "{b.c}" is not a plain name`,
		"{a[0]}":                 `"{a[0]}" is not a plain name`,
		"{x!r}":                  `"{x!r}" is not a plain name`,
		"{x:>9}":                 `"{x:>9}" is not a plain name`,
		"{ x }":                  `"{ x }" has white space`,
		"{a\u00a0b}":             "has white space",
		"line\n  {":              "line 2, character 3: a single { is not closed",
		"ü {open":                "line 1, character 3: a single { is not closed",
		"{a{b}":                  "line 1, character 1: a single { is not closed",
		"a } b":                  "line 1, character 3: a single } closes nothing",
		"{{x}":                   "line 1, character 4: a single } closes nothing",
		`{"tasks": []}`:          "is not a plain name",
		"{{{x}":                  "",
		"{x}}}":                  "",
		"{{}}":                   "",
		"":                       "",
		"{日本語} {step-1} {_} {ß}": "",
	}
	for prompt, want := range tests {
		_, misuses := parseTemplate(prompt)
		switch {
		case want == "" && len(misuses) > 0:
			t.Errorf("%q: %v", prompt, misuses)
		case want != "" && (len(misuses) != 1 || !strings.Contains(misuses[0].String(), want)):
			t.Errorf("%q: %v, want one misuse: %s", prompt, misuses, want)
		}
	}
	if _, misuses := parseTemplate("{} }\n{x.y}"); len(misuses) != 3 {
		t.Errorf("found %d misuses, want all three: %v", len(misuses), misuses)
	}
}

// What is rendered is the texts and the values as they are, whatever they hold.
func TestRenderNeverExpandsValues(t *testing.T) {
	braces := rapid.StringOfN(rapid.RuneFrom([]rune("{}ab{}é\n.:!")), 0, 8, -1)
	names := []string{"task", "日本語", "step-1", "a"}
	rapid.Check(t, func(t *rapid.T) {
		values := map[string]string{}
		for _, name := range names {
			values[name] = braces.Draw(t, name)
		}
		var prompt, want strings.Builder
		for range rapid.IntRange(0, 8).Draw(t, "pieces") {
			if name := rapid.SampledFrom(names).Draw(t, "name"); rapid.Bool().Draw(t, "gap") {
				prompt.WriteString("{" + name + "}")
				want.WriteString(values[name])
				continue
			}
			text := braces.Draw(t, "text")
			prompt.WriteString(strings.NewReplacer("{", "{{", "}", "}}").Replace(text))
			want.WriteString(text)
		}
		template, misuses := parseTemplate(prompt.String())
		if len(misuses) > 0 {
			t.Fatalf("%q: %v", prompt.String(), misuses)
		}
		if got := template.render(func(name string) string { return values[name] }); got != want.String() {
			t.Fatalf("%q rendered as %q, want %q", prompt.String(), got, want.String())
		}
	})
}

// Any prompt is either understood or refused with a place inside it.
func TestTemplatesNeverPanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prompt := rapid.StringOfN(rapid.RuneFrom([]rune("{}{}a.\n é[!:")), 0, 20, -1).Draw(t, "prompt")
		template, misuses := parseTemplate(prompt)
		for _, m := range misuses {
			if lines := strings.Split(prompt, "\n"); m.line > len(lines) || m.column > len([]rune(lines[m.line-1])) {
				t.Fatalf("%q: no such place: %v", prompt, m)
			}
		}
		template.render(func(string) string { return "" })
	})
}

func TestCheckPrompts(t *testing.T) {
	spec := testSpec()
	spec.Context = []byte(`{"audience": "all", "task": "hidden", "original_task": 1}`)
	spec.Planner.Prompt = "{task} {audience} {product} {product}"
	spec.Worker.Prompt = "{task} {task_type} {analysis} }"
	spec.Synthesizer.Prompt = "{results} {workers}"
	spec.Worker.System = "{literally} {"
	got := CheckPrompts(spec)
	want := []struct{ pointer, code, detail string }{
		{"/planner/prompt", "missing_prompt_variable", `"task"`},
		{"/planner/prompt", "missing_prompt_variable", "{product}"},
		{"/worker/prompt", "invalid_request", "character 31"},
		{"/worker/prompt", "missing_prompt_variable", "{analysis}"},
		{"/synthesizer/prompt", "missing_prompt_variable", "{workers}"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d faults, want %d: %v", len(got), len(want), got)
	}
	for i, w := range want {
		if g := got[i]; g.Pointer != w.pointer || g.Code != w.code || !strings.Contains(g.Detail, w.detail) {
			t.Errorf("fault %d: %+v, want %+v", i, g, w)
		}
	}
	if faults := CheckPrompts(testSpec()); faults != nil {
		t.Errorf("a run without prompts has faults: %v", faults)
	}
	spec.Planner.Prompt = strings.Repeat("{}", 10_000)
	if faults := CheckPrompts(spec); len(faults) > 3*maxFaults {
		t.Errorf("%d faults are named", len(faults))
	}
}

func TestContextValues(t *testing.T) {
	template, _ := parseTemplate("{s} {n} {list} {object} {null} {absent} {ключ}")
	got := contextValues(json.RawMessage(`{"s": "a\n\"{x}\" é", "n": 1.50, "list": [1, "a b"], "object": {"b": 1, "a": {}}, "null": null, "unused": "x", "ключ": "да"}`), template)
	want := map[string]string{"s": "a\n\"{x}\" é", "n": "1.50", "list": `[1,"a b"]`, "object": `{"b":1,"a":{}}`, "null": "null", "ключ": "да"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, context := range []string{"", "null", "[]", `{"a"`, `{"a":}`} {
		if got := contextValues(json.RawMessage(context), template); len(got) > 0 {
			t.Errorf("%s has values: %q", context, got)
		}
	}
}
