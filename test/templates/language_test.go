package templates

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	tutti "github.com/tutti-run/tutti"
	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/workflow"
)

// notWritten are keys that the core, or the putting together of templates, sets.
var notWritten = []string{"version", "implied", "uses", "passes", "kept", "parent", "round", "defaults", "workflow.body"}

// words are the keys whose values are of a few words, by their place in
// workflows/schema.json.
var words = map[string]string{
	"kind":             "/$defs/subtask/properties/kind",
	"after":            "/$defs/subtask/properties/after",
	"merge":            "/$defs/subtask/properties/merge",
	"decide.by":        "/$defs/subtask/properties/decide/properties/by",
	"order":            "/properties/plan/properties/order",
	"approval.default": "/$defs/subtask/properties/approval/properties/default",
	"on_failure":       "/$defs/subtask/properties/on_failure/else",
}

// TestLanguage has every kind, every key and every word of the plan language in a
// shipped template or an example: whatever there is can be seen at work.
func TestLanguage(t *testing.T) {
	want := map[string]bool{
		// Acted on by the run, and so words of the language too.
		"decide.options: stop": true, "decide.options: replan": true, "decide.options: escalate": true,
	}
	keysOf(reflect.TypeFor[orchestration.Plan](), "", want)
	for key, at := range words {
		for _, word := range enum(t, at) {
			want[key+": "+word] = true
		}
	}
	seen := map[string]bool{}
	for _, plan := range plans(t) {
		see(plan, "", seen)
	}
	var missing []string
	for key := range want {
		if !seen[key] {
			missing = append(missing, key)
		}
	}
	slices.Sort(missing)
	if diff := cmp.Diff([]string(nil), missing); diff != "" {
		t.Errorf("neither a template nor an example has these:\n%s", diff)
	}
	if len(want) < 70 {
		t.Errorf("the language is said to have only %d words", len(want))
	}
}

// plans returns the plans of all templates and examples, as they are written.
func plans(t *testing.T) (list []any) {
	t.Helper()
	add := func(document []byte) {
		var d struct{ Plan any }
		if err := json.Unmarshal(document, &d); err != nil {
			t.Fatal(err)
		}
		if d.Plan != nil {
			list = append(list, d.Plan)
		}
	}
	for _, file := range files(t, "workflows/*.yaml", "examples/tools/workflows/*.yaml") {
		template, faults := workflow.Parse(file, read(t, file))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		add(template.JSON())
	}
	for _, file := range files(t, "examples/*.json") {
		add(read(t, file))
	}
	return list
}

func files(t *testing.T, patterns ...string) (all []string) {
	t.Helper()
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("there are no %s: %v", pattern, err)
		}
		all = append(all, found...)
	}
	return all
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// keysOf adds the keys that the core reads of a type: those of a subtask by their
// names alone, and those of its parts as "decide.by".
func keysOf(of reflect.Type, part string, keys map[string]bool) {
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if slices.Contains(notWritten, name) || slices.Contains(notWritten, part+name) {
			continue
		}
		keys[part+name] = true
		inner := f.Type
		if inner == reflect.TypeFor[orchestration.Recovery]() {
			inner, name = reflect.TypeFor[orchestration.Fallback](), "on_failure.fallback"
		}
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner.PkgPath() == of.PkgPath() {
			keysOf(inner, partOf(name), keys)
		}
		if inner.Kind() == reflect.Slice && part == "" && name == "subtasks" {
			keysOf(inner.Elem(), "", keys)
		}
	}
}

// partOf returns what the keys of a part are led by. What undoes a subtask is a call
// of a tool, like another.
func partOf(name string) string {
	if name == "compensate" {
		name = "tool"
	}
	return name + "."
}

// see adds the keys and words of a plan, or of a part of it.
func see(value any, part string, seen map[string]bool) {
	object, ok := value.(map[string]any)
	if !ok {
		return
	}
	if part == "" && object["id"] != nil && object["kind"] == nil {
		seen["kind"] = true
		seen["kind: worker"] = true
	}
	for key, v := range object {
		seen[part+key] = true
		switch v := v.(type) {
		case string:
			seen[part+key+": "+v] = true
			seen[key+": "+v] = true // order is a key of several
		case map[string]any:
			if key != "input" && key != "arguments" && key != "context" && key != "json_schema" {
				see(v, partOf(part+key), seen)
			}
		case []any:
			for _, e := range v {
				if word, is := e.(string); is {
					seen[part+key+": "+word] = true
				} else {
					see(e, "", seen)
				}
			}
		}
	}
}

// enum returns the words of a place in workflows/schema.json.
func enum(t *testing.T, at string) (list []string) {
	t.Helper()
	var schema any
	if err := json.Unmarshal(tutti.WorkflowSchema, &schema); err != nil {
		t.Fatal(err)
	}
	for token := range strings.SplitSeq(at[1:], "/") {
		object, _ := schema.(map[string]any)
		schema = object[token]
	}
	object, _ := schema.(map[string]any)
	values, _ := object["enum"].([]any)
	for _, v := range values {
		word, _ := v.(string)
		list = append(list, word)
	}
	if len(list) == 0 {
		t.Fatalf("workflows/schema.json has no words at %s", at)
	}
	return list
}
