package workflow

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestBounds has what is too much refused, with one fault or a bounded list.
func TestBounds(t *testing.T) {
	bomb := "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
	for i := range 20 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), ", "))
	}
	for name, c := range map[string]struct{ text, want string }{
		"too large":     {head + "task: " + strings.Repeat("x", maxBytes), "at most 1048576 are allowed"},
		"alias bomb":    {head + bomb, "Anchors (&name) are not supported"},
		"many values":   {head + "labels: [" + strings.Repeat("a,", maxNodes) + "]", "more than 50000 values"},
		"deep":          {head + "labels: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested more than 64 deep"},
		"very deep":     {head + "labels: " + strings.Repeat("[", maxBytes/2), "This is no YAML"},
		"deep blocks":   {head + "labels:\n" + strings.Repeat("- ", 5000) + "x", "nested more than 64 deep"},
		"large number":  {head + "limits: {max_cost_usd: 1e-99999}", "no number as JSON writes one"},
		"long number":   {head + "limits: {max_cost_usd: 0." + strings.Repeat("1", 100) + "}", "no number as JSON writes one"},
		"many faults":   {head + "plan: {subtasks: [" + strings.Repeat("{x: y},", 900) + "]}", "The key \"x\" is unknown"},
		"long messages": {head + strings.Repeat("k", 900) + ": x", "is unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			w, faults := Parse("", []byte(c.text))
			if w != nil {
				faults = w.Check(rules())
			}
			all := lines(faults)
			if len(faults) == 0 || len(faults) > maxFaults || len(all) > 100_000 || !strings.Contains(all, c.want) {
				t.Errorf("%d faults: %.1000s", len(faults), all)
			}
		})
	}
}

// TestJSONIsYAML has a template in JSON read as the same one in YAML.
func TestJSONIsYAML(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		raw, _ := json.Marshal(map[string]any{
			"name": "w", "version": "1", "task": "x" + text, "parameters": map[string]any{"a": map[string]any{"default": map[string]any{text: []any{1, 2.5, nil, true, text}}}},
		})
		got, faults := parseJSON("", raw)
		if len(faults) > 0 {
			t.Fatalf("%s", lines(faults))
		}
		if string(got.JSON()) != string(raw) && !sameJSON(got.JSON(), raw) {
			t.Fatalf("read\n%s\nof\n%s", got.JSON(), raw)
		}
	})
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

// TestJSONPlaces has faults of a template in JSON told at their places.
func TestJSONPlaces(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"{\"name\": \"w\", \"version\": \"1\",\n \"task\" : 5, \"lab\\u0065ls\": {\"é\": \"x\"}, \"tsk\": {}}", `2:11: /task: This must be of type string, not number. Put it in quotes.
2:30: /labels/é: The name "é" has characters that it may not have, or too many.
2:41: /tsk: The key "tsk" is unknown; perhaps task is meant.
`},
		{"{\"name\": \"w\", \"name\": \"v\", \"version\": \"1\"}", "1:15: /name: The key \"name\" is there twice; the first one is in line 1.\n"},
		{"{\"name\": \"w\",\n}", "1:13: This is no JSON: jsontext: invalid character ',' at start of value after offset 12.\n"},
		{"{} {}", "1:5: This is no JSON: there is more after the value.\n"},
		{strings.Repeat(`{"a":`, 100), "1:327: This is no JSON: it is nested too deep.\n"},
	} {
		_, faults := parseJSON("", []byte(c.text))
		if got := lines(faults); got != c.want {
			t.Errorf("of %.100s\ngot  %swant %s", c.text, got, c.want)
		}
	}
}

// FuzzParse has whatever is read bounded, located and, when nothing is wrong with
// it, read again from its own JSON as the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "task: x\n"))
	f.Add([]byte(head + "parameters: {a: {default: [1, 2.50, ~, 2026-01-01], schema: {type: array}}}\nplan:\n  subtasks:\n    - {description: x, when: context.a}\n"))
	f.Add([]byte(head + "plan: {order: sequential, subtasks: [{kind: loop, loop: {body: [{description: x}], until: \"true\"}}, {kind: workflow, workflow: {name: w}}]}"))
	f.Add([]byte("a: &a [*a]\n<<: *a\n? [x]\n: !!binary aGk=\n"))
	f.Add([]byte(`{"name": "w", "version": "1", "task": "\ud83d\ude00", "limits": {"timeout": "1h", "max_cost_usd": 1e300}}`))
	f.Add([]byte("name: |\n  a\nversion: >-\n  1\n--- \n...\n%YAML 1.2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		for _, read := range []func(string, []byte) (*Template, []Fault){Parse, parseJSON} {
			w, faults := read("f", data)
			if w == nil && len(faults) == 0 {
				t.Fatal("neither a template nor a fault")
			}
			if w != nil {
				sound := len(faults) == 0
				faults = append(faults, w.Check(rules())...)
				if sound {
					again, faults := parseJSON("f", w.JSON())
					if len(faults) > 0 || string(again.JSON()) != string(w.JSON()) {
						t.Fatalf("%s reads otherwise: %s", w.JSON(), lines(faults))
					}
				}
			}
			for _, fault := range faults {
				if fault.Line < 1 || fault.Line > strings.Count(string(data), "\n")+strings.Count(string(data), "\r")+10 || fault.Code == "" || fault.Detail == "" {
					t.Fatalf("no fault of %q: %+v", data, fault)
				}
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	text.WriteString(head + "plan:\n  subtasks:\n")
	for i := range 100 {
		fmt.Fprintf(&text, "    - id: s%d\n      description: Do the thing %d\n      input: {a: context.x}\n", i, i)
	}
	for b.Loop() {
		if _, faults := Parse("", []byte(text.String())); len(faults) > 0 {
			b.Fatal(lines(faults))
		}
	}
}

// All of a template may be in one line, of a million characters and 50,000 values:
// where each of them stands is known without counting them anew.
func TestColumnsOfALongLine(t *testing.T) {
	const item = `"é😀",`
	list := strings.Repeat(item, 40_000)
	text := `{"name":"x","version":"1","task":"t","labels":{"a":[` + list + `0]},` + "\n" + `"é":1,"plan":{"subtasks":[],"x":2}}`
	_, faults := parseJSON("", []byte(text))
	places := map[string][2]int{}
	for _, f := range faults {
		places[f.Pointer] = [2]int{f.Line, f.Column}
	}
	if want := [2]int{1, strings.Index(text, "[") + 1}; places["/labels/a"] != want {
		t.Errorf("the list stands at %v, want %v", places["/labels/a"], want)
	}
	if want := [2]int{2, 29}; places["/plan/x"] != want {
		t.Errorf("the key after it stands at %v, want %v", places["/plan/x"], want)
	}
}
