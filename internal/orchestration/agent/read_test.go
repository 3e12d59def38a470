package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A reading is a file of testdata/read: an answer and what is read of it, with a
// line of its own between them.
type reading struct {
	file, text, verdict string
}

const readingSeparator = "\n=== read as ===\n"

func readings(t testing.TB, kind string) []reading {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "read", kind, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no readings of %s: %v", kind, err)
	}
	var all []reading
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text, verdict, _ := strings.Cut(string(content), readingSeparator)
		all = append(all, reading{file: file, text: expandReading(text), verdict: verdict})
	}
	return all
}

// expandReading puts bytes that a text file should not hold into an answer.
func expandReading(text string) string {
	return strings.NewReplacer(
		"%NUL%", "\x00", "%BOM%", "\uFEFF", "%BAD%", "\xff", "%CR%", "\r",
		"%40K%", strings.Repeat("many words ", 3600),
		"%64K%", strings.Repeat("many words ", 6000),
		"%DEEP%", strings.Repeat("[", 70)+strings.Repeat("]", 70),
	).Replace(text)
}

// judge compares a verdict with the one in the file, or writes it there.
func (r reading) judge(t *testing.T, verdict string) {
	t.Helper()
	if !*rewrite {
		if verdict != r.verdict {
			t.Errorf("%s\nread as\n%s\nwant\n%s", r.file, verdict, r.verdict)
		}
		return
	}
	content, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(content), readingSeparator)
	if err := os.WriteFile(r.file, []byte(text+readingSeparator+verdict), 0o600); err != nil {
		t.Fatal(err)
	}
}

// written is what a reading of a plan is compared by.
func written(plan orchestration.Plan, problems []orchestration.Problem) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	for _, v := range []any{plan, problems} {
		if err := enc.Encode(v); err != nil {
			panic(err)
		}
	}
	return shortened(b.String())
}

// shortened keeps what was made long on purpose out of the verdicts.
func shortened(s string) string {
	long := strings.Repeat("many words ", 100)
	if i, j := strings.Index(s, long), strings.LastIndex(s, "many words"); i >= 0 {
		return s[:i] + "(long)" + s[j:]
	}
	return s
}

// readInPieces reads a plan from pieces, and holds what is told early against
// the plan.
func readInPieces(t interface{ Fatalf(string, ...any) }, most int, pieces ...string) (string, int) {
	r := newPlanReader(most)
	var early []orchestration.Subtask
	for _, piece := range pieces {
		early = append(early, r.Write(piece)...)
	}
	plan, problems := r.Close()
	if len(early) > len(plan.Subtasks) {
		t.Fatalf("%d subtasks were told early, %d are in the plan", len(early), len(plan.Subtasks))
	}
	for i, s := range early {
		if !reflect.DeepEqual(s, plan.Subtasks[i]) {
			t.Fatalf("told early: %+v\nin the plan: %+v", s, plan.Subtasks[i])
		}
	}
	return written(plan, problems), len(early)
}

func TestReadPlan(t *testing.T) {
	for _, r := range readings(t, "plan") {
		t.Run(filepath.Base(r.file), func(t *testing.T) {
			plan, problems := ReadPlan(r.text, 10)
			_, early := readInPieces(t, 10, r.text)
			verdict := written(plan, problems)
			if early > 0 {
				verdict += strings.Repeat("early ", early) + "\n"
			}
			r.judge(t, verdict)
		})
	}
}

func TestReadPlanAtEverySplit(t *testing.T) {
	for _, r := range readings(t, "plan") {
		text := r.text
		whole, early := readInPieces(t, 10, text)
		if got, n := readInPieces(t, 10, bytewise(text)...); got != whole || n != early {
			t.Errorf("%s: byte by byte it reads\n%s\nwhole\n%s", r.file, got, whole)
		}
		for i := 0; i <= len(text); i += 1 + len(text)*len(text)/1e6 {
			if got, n := readInPieces(t, 10, text[:i], text[i:]); got != whole || n != early {
				t.Fatalf("%s: cut at %d it reads\n%s\nwhole\n%s", r.file, i, got, whole)
			}
		}
	}
}

func bytewise(text string) []string {
	pieces := make([]string, len(text))
	for i := range len(text) {
		pieces[i] = text[i : i+1]
	}
	return pieces
}
