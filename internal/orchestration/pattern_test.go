package orchestration

import (
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	for name, c := range map[string]struct {
		pattern, text, want string
	}{
		"a word":             {`(?i)\bsteel\b`, "of Steel", "true"},
		"not there":          {`^\d+$`, "of steel", "false"},
		"empty":              {"", "anything", "true"},
		"long":               {strings.Repeat("x", maxPattern), "x", "false"},
		"too long":           {strings.Repeat("x", maxPattern+1), "x", "the pattern has 4097 bytes; at most 4096 are allowed"},
		"none":               {"(", "", "the pattern is no regular expression of RE2: error parsing regexp: missing closing ): `(`"},
		"repeated":           {strings.Repeat("a{1000}b{1000}", 200), "", "the pattern repeats too much: written out it would be too long"},
		"repeated in itself": {"((((a|b){9}){9}){9}c{900}){1}", strings.Repeat("ab", 50), "false"},
		"alternatives":       {"(" + strings.Repeat("[a-c]{1,900}|", 6) + "x)", "", "the pattern repeats too much: written out it would be too long"},
		"a long text":        {"[a-z]+ing", strings.Repeat("sing ", 100_000), "true"},
		"too much work":      {"(.{1,100}){10}x", strings.Repeat("ab", 500_000), "a text of 1000000 bytes is too long for so involved a pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			got := "false"
			p, err := CompilePattern(c.pattern)
			matches := false
			if err == nil {
				matches, err = p.Match(c.text)
			}
			if matches {
				got = "true"
			}
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
