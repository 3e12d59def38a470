package agent

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReadJSON(t *testing.T) {
	for _, r := range readings(t, "json") {
		t.Run(filepath.Base(r.file), func(t *testing.T) {
			value, err := readJSON(r.text)
			verdict := string(value) + "\n"
			if err != nil {
				verdict = "error: " + err.Error() + "\n"
			}
			r.judge(t, shortened(verdict))
		})
	}
}

func TestReadJSONIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"too deep": strings.Repeat("[", maxJSONDepth+1) + strings.Repeat("]", maxJSONDepth+1),
		"too long": `["` + strings.Repeat("x", maxJSONAnswer) + `"]`,
	} {
		if v, err := readJSON(text); err == nil {
			t.Errorf("%s: it was read: %.40s…", name, v)
		}
	}
	deepest := strings.Repeat("[", maxJSONDepth) + strings.Repeat("]", maxJSONDepth)
	if v, err := readJSON(deepest); err != nil || string(v) != deepest {
		t.Errorf("the deepest was not read: %v", err)
	}
}

func FuzzReadJSON(f *testing.F) {
	for _, r := range readings(f, "json") {
		f.Add(r.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := readJSON(text)
		if err != nil {
			return
		}
		if !json.Valid(value) || !utf8.Valid(value) {
			t.Fatalf("not valid: %q", value)
		}
		if again, err := readJSON(string(value)); err != nil || string(again) != string(value) {
			t.Fatalf("%q is read again as %q, %v", value, again, err)
		}
		if strict := trimmed(text); json.Valid([]byte(strict)) && strict != string(value) {
			t.Fatalf("valid JSON %q is read as %q", strict, value)
		}
	})
}
