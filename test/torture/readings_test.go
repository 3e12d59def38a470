package torture

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// What package agent reads of its own specimens is what runs: a plan without
// problems and with a graph that makes sense as it is, any other not at all.
func TestReadings(t *testing.T) {
	files, err := filepath.Glob("../../internal/orchestration/agent/testdata/read/plan/*.txt")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d readings, %v", len(files), err)
	}
	bytes := strings.NewReplacer(
		"%NUL%", "\x00", "%BOM%", "\uFEFF", "%BAD%", "\xff", "%CR%", "\r",
		"%40K%", strings.Repeat("many words ", 3600), "%64K%", strings.Repeat("many words ", 6000),
		"%DEEP%", strings.Repeat("[", 70)+strings.Repeat("]", 70),
	)
	scenes := make([]scene, len(files))
	plans := make([]orchestration.Plan, len(files)) // empty where the planner is to mend it
	for i, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text, verdict, _ := strings.Cut(string(content), "\n=== read as ===\n")
		scenes[i].planner = []string{bytes.Replace(text), goodPlan}
		var problems []orchestration.Problem
		read := json.NewDecoder(strings.NewReader(verdict))
		if read.Decode(&plans[i]) != nil || read.Decode(&problems) != nil {
			t.Fatalf("%s has no verdict", file)
		}
		for j := range plans[i].Subtasks { // nobody is configured, so a worker that is named is a style
			if s := &plans[i].Subtasks[j]; s.Worker != "" {
				s.Type, s.Worker = s.Worker, ""
			}
		}
		if len(problems) > 0 || plans[i].Check(orchestration.Rules{MaxSubtasks: 10}) != nil {
			plans[i] = orchestration.Plan{}
		}
	}
	for i, told := range play(t, scenes) {
		got := verdictOf(t, told)
		repaired := strings.HasPrefix(got, "repair: ")
		if want := idsOf(plans[i].Subtasks); repaired != (want == nil) || !repaired && !slices.Equal(idsOf(planOf(told)), want) {
			t.Errorf("%s: %.200s\nwant %v", filepath.Base(files[i]), got, want)
		}
	}
}
