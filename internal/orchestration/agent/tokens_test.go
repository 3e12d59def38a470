package agent

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

var anyText = rapid.StringOfN(rapid.RuneFrom([]rune("aaabcXYZ09 .,\t\n  é日🎉\x00<>")), 0, 80, -1)

func TestTokens(t *testing.T) {
	tests := map[string]int{
		"":                        0,
		"a":                       1,
		"word":                    1,
		"words":                   2,
		"two words":               3,
		"getElementById":          4 + 3,
		"2026-11-20":              10,
		"a, b":                    3,
		"    x":                   1 + 1,
		"\n\n":                    2,
		"é":                       1,
		"日本":                      4,
		"🎉":                       3,
		"\xff":                    1,
		strings.Repeat("a", 4000): 1000,
	}
	for text, want := range tests {
		if got := tokens(text); got != want {
			t.Errorf("tokens(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestTokensProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyText.Draw(t, "a"), anyText.Draw(t, "b")
		if tokens(a) > len(a) {
			t.Fatalf("%d tokens in %d bytes", tokens(a), len(a))
		}
		if tokens(a+b) > tokens(a)+tokens(b)+1 {
			t.Fatal("more tokens together than apart")
		}
		n := rapid.IntRange(0, 60).Draw(t, "n")
		head, tail := headWithin(a, n), tailWithin(a, n)
		if tokens(a[:head]) > n || tokens(a[tail:]) > n {
			t.Fatalf("head of %d and tail of %d tokens, want at most %d", tokens(a[:head]), tokens(a[tail:]), n)
		}
		if head < len(a) && tokens(a[:head+runeLen(a[head:])]) <= n {
			t.Fatal("the head could be longer")
		}
		if _, size := utf8.DecodeLastRuneInString(a[:tail]); tail > 0 && tokens(a[tail-size:]) <= n {
			t.Fatal("the tail could be longer")
		}
		if !utf8.ValidString(a[:head]) || !utf8.ValidString(a[tail:]) {
			t.Fatal("cut within a character")
		}
	})
}

func runeLen(s string) int {
	_, size := utf8.DecodeRuneInString(s)
	return size
}
