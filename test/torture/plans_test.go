package torture

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/agent"
)

// Each plan of the corpus is what a person would make of it: it runs as it is
// meant, or goes back to the planner once, with what is wrong named.
func TestPlans(t *testing.T) {
	specimens := corpus(t, "plans")
	scenes := make([]scene, len(specimens))
	for i, s := range specimens {
		scenes[i].planner = []string{s.answer, goodPlan}
	}
	for i, told := range play(t, scenes) {
		t.Run(specimens[i].name, func(t *testing.T) {
			if got := verdictOf(t, told); got != specimens[i].verdict {
				t.Errorf("the plan is\n%s\nwant\n%s\nof\n%s", got, specimens[i].verdict, specimens[i].answer)
			}
		})
	}
}

// However an answer is cut short, nothing runs that it does not say in full.
func TestPlansCutShort(t *testing.T) {
	specimens := corpus(t, "plans")
	var scenes []scene
	var whole []specimen
	for _, s := range specimens {
		const samples = 12 // that are carried through the whole; reading is tried at every byte
		for cut := range len(s.answer) {
			plan, problems := agent.ReadPlan(s.answer[:cut], 10)
			if len(problems) == 0 && !s.wantSeen(t, s.answer[:cut], plan.Subtasks) {
				break
			}
			if cut%(len(s.answer)/samples+1) == 0 && cut > 0 {
				scenes = append(scenes, scene{planner: []string{s.answer[:cut], goodPlan}})
				whole = append(whole, s)
			}
		}
	}
	for i, told := range play(t, scenes) {
		if got := verdictOf(t, told); !strings.HasPrefix(got, "repair: ") {
			whole[i].wantSeen(t, scenes[i].planner[0], planOf(told))
		}
	}
}

// wantSeen checks that a plan has subtasks, and none but those that a person sees.
func (s *specimen) wantSeen(t *testing.T, text string, plan []orchestration.Subtask) bool {
	t.Helper()
	if len(plan) == 0 {
		t.Errorf("%s: a plan of nothing was accepted of %q", s.name, text)
		return false
	}
	for _, st := range plan {
		if !slices.Contains(s.seen, oneLine(st.Description)) {
			t.Errorf("%s: nobody sees a subtask %q in %q", s.name, st.Description, text)
			return false
		}
	}
	return true
}

// A plan that was cut off at the token limit is put together from its two
// parts. Where the model begins it anew in place of going on, what runs is still
// nothing but what it says.
func TestPlansContinued(t *testing.T) {
	var scenes []scene
	for _, text := range []string{planText, xmlText} {
		for cut := 1; cut < len(text); cut++ {
			scenes = append(scenes,
				scene{planner: []string{text[:cut], text[cut:]}, truncated: true},
				scene{planner: []string{text[:cut], text, goodPlan}, truncated: true})
		}
	}
	for i, told := range play(t, scenes) {
		plan := planOf(told)
		if i%2 == 0 {
			if got := described(plan); got != planVerdict || len(told.sent[llm.Planner]) != 2 {
				t.Errorf("%q and %q are read as\n%s", scenes[i].planner[0], scenes[i].planner[1], got)
			}
			continue
		}
		for _, s := range plan {
			if d := s.Description; d != "Find the facts" && d != "Write it up" && d != "Do it all" {
				t.Errorf("%q and the whole again give a subtask %q", scenes[i].planner[0], d)
			}
		}
	}
}

// Ten thousand subtasks, and other plans that are far too large, go back once
// and cost no more memory than their size.
func TestHugePlans(t *testing.T) {
	subtask := `{"id":"T%d","description":"Do part %d"},`
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, subtask, i, i)
	}
	huge := map[string]string{
		"ten thousand subtasks":          `{"subtasks":[` + strings.TrimSuffix(many.String(), ",") + `]}`,
		"ten thousand in XML":            "<tasks>" + strings.Repeat("<task><description>Do it</description></task>", 10_000) + "</tasks>",
		"a megabyte and more":            `{"subtasks":[{"description":"` + strings.Repeat("words ", 400_000) + `"}]}`,
		"a hundred thousand brackets":    strings.Repeat("[", 100_000),
		"a hundred thousand tags":        strings.Repeat("<task>", 100_000),
		"ten thousand dependencies":      `{"subtasks":[{"id":"T1","description":"Do it","depends_on":[` + strings.Repeat(`"T2",`, 9_999) + `"T2"]}]}`,
		"ten thousand unclosed thoughts": strings.Repeat("<think>", 10_000),
		"ten thousand decoys":            strings.Repeat(`{"a":[1]}`, 10_000),
	}
	names := make([]string, 0, len(huge))
	var scenes []scene
	for name, text := range huge {
		names = append(names, name)
		scenes = append(scenes, scene{planner: []string{text, goodPlan}}, scene{planner: []string{text}})
	}
	for i, told := range play(t, scenes) {
		name := names[i/2]
		if i%2 == 0 {
			if got := verdictOf(t, told); !strings.HasPrefix(got, "repair: ") {
				t.Errorf("%s: the plan is %.200s", name, got)
			}
		} else if calls := len(told.sent[llm.Planner]); calls != 2 || len(planOf(told)) != 1 || !strings.HasPrefix(planOf(told)[0].ID, "T1") {
			t.Errorf("%s, twice: %d calls, the plan is %v", name, calls, idsOf(planOf(told)))
		}
		for _, e := range told.events {
			if f, ok := e.Fact.(*orchestration.PlanInvalid); ok && (len(f.Answer) > 64<<10 || len(f.Problems) > 100) {
				t.Errorf("%s: the journal keeps %d bytes and %d problems of it", name, len(f.Answer), len(f.Problems))
			}
		}
		for _, req := range told.sent[llm.Planner][1:] {
			size := 0
			for _, m := range req.Messages {
				size += len(m.Text)
			}
			if size > 128<<10 {
				t.Errorf("%s: the repair has %d bytes", name, size)
			}
		}
	}
}

// verdictOf says what became of the planner's first answer.
func verdictOf(t *testing.T, told story) string {
	t.Helper()
	var invalid *orchestration.PlanInvalid
	for _, e := range told.events {
		switch f := e.Fact.(type) {
		case *orchestration.PlanInvalid:
			if invalid != nil {
				t.Errorf("the planner's second answer, which is good, was refused, too: %+v", f.Problems)
			}
			invalid = f
		case *orchestration.PlanCreated:
			if f.Source != orchestration.PlanOfPlanner || len(f.Subtasks) == 0 {
				t.Errorf("a plan of the %s has %d subtasks", f.Source, len(f.Subtasks))
			}
		}
	}
	if last := told.events[len(told.events)-1].Type(); last != "run.succeeded" {
		t.Errorf("the run ends with %s", last)
	}
	plan := planOf(told)
	if invalid == nil {
		if calls := len(told.sent[llm.Planner]); calls != 1 {
			t.Errorf("the planner was asked %d times for a plan that is right", calls)
		}
		return described(plan)
	}
	if ids := idsOf(plan); !slices.Equal(ids, []string{"mended"}) {
		t.Errorf("after the repair the plan is %v", ids)
	}
	wantRepair(t, told, invalid)
	var codes []string
	for _, p := range invalid.Problems {
		codes = append(codes, p.Code)
	}
	return "repair: " + strings.Join(codes, ", ")
}

// wantRepair checks that the planner was told of the problems, once.
func wantRepair(t *testing.T, told story, invalid *orchestration.PlanInvalid) {
	t.Helper()
	sent := told.sent[llm.Planner]
	if len(sent) != 2 || len(invalid.Problems) == 0 {
		t.Fatalf("the planner was asked %d times, with %d problems", len(sent), len(invalid.Problems))
	}
	words := sent[1].Messages[len(sent[1].Messages)-1].Text
	for _, p := range invalid.Problems[:min(20, len(invalid.Problems))] {
		if detail := p.Detail[:min(60, len(p.Detail))]; p.Detail == "" || !strings.Contains(words, detail) {
			t.Errorf("the planner was not told that %q, but\n%s", p.Detail, words)
		}
	}
}

// planOf returns what was added of the plan, but for the drafts that it dropped.
func planOf(told story) []orchestration.Subtask {
	var plan []orchestration.Subtask
	for _, e := range told.events {
		switch f := e.Fact.(type) {
		case *orchestration.PlanSubtaskAdded:
			plan = append(plan, f.Subtask)
		case *orchestration.PlanCreated:
			plan = slices.DeleteFunc(plan, func(s orchestration.Subtask) bool { return slices.Contains(f.Dropped, s.ID) })
		}
	}
	return plan
}

func idsOf(plan []orchestration.Subtask) []string {
	var ids []string
	for _, s := range plan {
		ids = append(ids, s.ID)
	}
	return ids
}

// described writes a plan as verdicts do.
func described(plan []orchestration.Subtask) string {
	lines := make([]string, len(plan))
	for i, s := range plan {
		lines[i] = s.ID
		if s.Type != orchestration.DefaultType {
			lines[i] += " " + oneLine(s.Type)
		}
		if len(s.DependsOn) > 0 {
			lines[i] += " after " + strings.Join(s.DependsOn, ", ")
		}
		lines[i] += ": " + oneLine(s.Description)
	}
	return strings.Join(lines, "\n")
}

func oneLine(text string) string { return strings.ReplaceAll(text, "\n", "⏎") }
