package agent

import (
	"path/filepath"
	"strings"
	"testing"
)

func answerInPieces(pieces ...string) string {
	var r answerReader
	var b strings.Builder
	for _, piece := range pieces {
		b.WriteString(r.Write(piece))
	}
	b.WriteString(r.Close())
	return trimmed(b.String())
}

func TestReadAnswer(t *testing.T) {
	for _, r := range readings(t, "answer") {
		t.Run(filepath.Base(r.file), func(t *testing.T) {
			var stream answerReader
			verdict := "certain: " + stream.Write(r.text) + "\nanswer: " + readAnswer(r.text) + "\n"
			r.judge(t, shortened(verdict))
		})
	}
}

func TestReadAnswerAtEverySplit(t *testing.T) {
	for _, r := range readings(t, "answer") {
		want := readAnswer(r.text)
		if got := answerInPieces(bytewise(r.text)...); got != want {
			t.Errorf("%s: byte by byte it reads\n%q\nwhole\n%q", r.file, got, want)
		}
		for i := range len(r.text) + 1 {
			if got := answerInPieces(r.text[:i], r.text[i:]); got != want {
				t.Fatalf("%s: cut at %d it reads\n%q\nwhole\n%q", r.file, i, got, want)
			}
		}
	}
}

// An answer in its tag is told as it comes, without what may be a tag or half a
// character.
func TestAnswerReaderTellsWhileItIsWritten(t *testing.T) {
	var r answerReader
	for _, step := range []struct{ piece, told string }{
		{"<think>hm", ""},
		{"</think>\n<resp", ""},
		{"onse>\n", ""},
		{"Hel", "Hel"},
		{"lo <", "lo "},
		{"b>wor", "<b>wor"},
		{"ld\xe2\x82", "ld"},
		{"\xac </respon", "€ "},
		{"se>\n", ""},
		{"that was it", ""},
	} {
		if told := r.Write(step.piece); told != step.told {
			t.Fatalf("after %q it told %q, want %q", step.piece, told, step.told)
		}
	}
	if rest := r.Close(); rest != "" {
		t.Errorf("at the end it told %q", rest)
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, r := range readings(f, "answer") {
		f.Add(r.text, 7)
	}
	f.Fuzz(func(t *testing.T, text string, at int) {
		at = max(0, min(at, len(text)))
		want := readAnswer(text)
		if got := answerInPieces(text[:at], text[at:]); got != want {
			t.Fatalf("cut at %d it reads %q, whole %q", at, got, want)
		}
		if got := answerInPieces(bytewise(text)...); got != want {
			t.Fatalf("byte by byte it reads %q, whole %q", got, want)
		}
		if want != trimmed(want) {
			t.Fatalf("%q has white space round it, or is no text", want)
		}
	})
}
