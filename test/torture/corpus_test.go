package torture

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A specimen is an answer of a model and what a person would make of it.
//
// A file of testdata holds many: each begins with a line "#### " and its name,
// and its answer ends at a line "#---- ", after which the verdict stands. The
// verdict of a plan is a subtask a line ("T2 writer after T1: Write it up"; a
// type "default" is left out), or "repair: " and the codes of what is wrong. A
// line "seen: " names a description that a person sees where the answer is cut
// short, though not in the whole of it.
type specimen struct {
	name, answer, verdict string
	seen                  []string
}

// What the files write shorter, or cannot write.
var (
	planText = `{"analysis":"Two steps.","subtasks":[` +
		`{"id":"T1","type":"researcher","description":"Find the facts","depends_on":[]},` +
		`{"id":"T2","type":"writer","description":"Write it up","depends_on":["T1"]}]}`
	xmlText = "<analysis>Two steps.</analysis>\n<tasks>\n" +
		"<task><id>T1</id><type>researcher</type><description>Find the facts</description></task>\n" +
		"<task><id>T2</id><type>writer</type><description>Write it up</description><depends_on>T1</depends_on></task>\n</tasks>"
	planVerdict = "T1 researcher: Find the facts\nT2 writer after T1: Write it up"

	shorthand = strings.NewReplacer(
		"%PLAN%", planText, "%XML%", xmlText, "%BOM%", "\uFEFF", "%NUL%", "\x00", "%BAD%", "\xff", "%CR%", "\r",
		"%DIGITS%", strings.Repeat("7", 1000), "%DEEP%", strings.Repeat("[", 200)+strings.Repeat("]", 200),
	)
)

// corpus reads the specimens of a folder of testdata.
func corpus(t testing.TB, folder string) []specimen {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no specimens of %s: %v", folder, err)
	}
	var all []specimen
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split("\n"+string(content), "\n#### ")[1:] {
			name, rest, _ := strings.Cut(part, "\n")
			answer, verdict, ok := strings.Cut(rest, "\n#---- ")
			if !ok {
				t.Fatalf("%s: %q has no verdict", file, name)
			}
			s := specimen{name: strings.TrimSuffix(filepath.Base(file), ".txt") + ": " + name, answer: shorthand.Replace(answer)}
			s.judge(verdict)
			all = append(all, s)
		}
	}
	return all
}

// judge takes the verdict.
func (s *specimen) judge(verdict string) {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(verdict), "\n") {
		if seen, ok := strings.CutPrefix(line, "seen: "); ok {
			s.seen = append(s.seen, seen)
		} else {
			lines = append(lines, line)
		}
	}
	s.verdict = strings.Join(lines, "\n")
	if s.verdict == "the plan" {
		s.verdict = planVerdict
	}
	s.verdict = shorthand.Replace(s.verdict)
	for line := range strings.SplitSeq(s.verdict, "\n") {
		if _, description, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(line, "repair: ") {
			s.seen = append(s.seen, description)
		}
	}
}
