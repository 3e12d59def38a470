package agent

import (
	"encoding/json"
	"fmt"
	"html"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A plan that is written in any form and style is read back as it was.
func TestReadPlanReadsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := drawPlan(t)
		form := rapid.SampledFrom([]string{"json", "array", "xml"}).Draw(t, "form")
		var text string
		switch form {
		case "json":
			text = jsonPlan(t, plan)
		case "array":
			plan.Analysis = ""
			text = jsonSubtasks(t, plan)
		case "xml":
			text = xmlPlanText(t, plan)
		}
		text = surround(t, text)
		got, problems := ReadPlan(text, 0)
		want := written(plan, nil)
		if got := written(got, problems); got != want {
			t.Fatalf("%s\nis read as\n%s\nwant\n%s", text, got, want)
		}
		at := rapid.IntRange(0, len(text)).Draw(t, "cut")
		if got, _ := readInPieces(t, 0, text[:at], text[at:]); got != want {
			t.Fatalf("%s\ncut at %d is read as\n%s\nwant\n%s", text, at, got, want)
		}
	})
}

func drawPlan(t *rapid.T) orchestration.Plan {
	words := rapid.SampledFrom([]string{
		"find", "the facts", "&", "&amp;", "<b>bold</b>", "<div>", "\n", "  - item\n", `"quoted"`, "it's", "a < b", "x>y", "{", "}]", "```", "\\", `\n`, "//",
		"é", "研究", "😀", "</think>", "<response>", "T1", ":", ",", "null", "#", "\t",
	})
	text := rapid.Custom(func(t *rapid.T) string {
		return "x" + strings.Join(rapid.SliceOfN(words, 0, 8).Draw(t, "words"), " ") + "x"
	})
	plan := orchestration.Plan{Analysis: text.Draw(t, "analysis")}
	ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_-]{0,8}`).Filter(func(s string) bool { return !meansNothing(s) && mayBeID(s) }), 1, 6, rapid.ID[string]).Draw(t, "ids")
	for i, id := range ids {
		s := orchestration.Subtask{ID: id, Kind: orchestration.KindWorker, Description: text.Draw(t, "description")}
		s.Type = rapid.SampledFrom([]string{orchestration.DefaultType, "formal", "a \"b\" & 'c'"}).Draw(t, "type")
		if i > 0 {
			s.DependsOn = distinct(rapid.SliceOfN(rapid.SampledFrom(ids[:i]), 0, 3).Draw(t, "depends on"))
		}
		plan.Subtasks = append(plan.Subtasks, s)
	}
	return plan
}

func jsonPlan(t *rapid.T, plan orchestration.Plan) string {
	analysis, _ := json.Marshal(plan.Analysis)
	key := rapid.SampledFrom([]string{"subtasks", "tasks"}).Draw(t, "key")
	members := []string{`"analysis": ` + string(analysis), `"` + key + `": ` + jsonSubtasks(t, plan)}
	if rapid.Bool().Draw(t, "analysis last") {
		members[0], members[1] = members[1], members[0]
	}
	text := "{" + strings.Join(members, ",\n") + "}"
	switch rapid.IntRange(0, 3).Draw(t, "wrapped") {
	case 1:
		return `{"plan": ` + text + `}`
	case 2:
		twice, _ := json.Marshal(text)
		return `{"plan": ` + string(twice) + `}`
	}
	return text
}

func jsonSubtasks(t *rapid.T, plan orchestration.Plan) string {
	comma := rapid.SampledFrom([]string{"", ",", " // end\n"}).Draw(t, "after the last")
	var subtasks []string
	for _, s := range plan.Subtasks {
		id, _ := json.Marshal(s.ID)
		style, _ := json.Marshal(s.Type)
		description, _ := json.Marshal(s.Description)
		deps, _ := json.Marshal(s.DependsOn)
		if rapid.Bool().Draw(t, "depends on as text") {
			deps, _ = json.Marshal(strings.Join(s.DependsOn, ", "))
		}
		if rapid.Bool().Draw(t, "raw newlines") {
			description = []byte(strings.ReplaceAll(strings.ReplaceAll(string(description), `\\`, `\u005c`), `\n`, "\n"))
		}
		subtasks = append(subtasks, fmt.Sprintf(`{"id": %s, "type": %s, "description": %s, "depends_on": %s%s}`, id, style, description, deps, comma))
	}
	return "[" + strings.Join(subtasks, ",") + comma + "]"
}

func xmlPlanText(t *rapid.T, plan orchestration.Plan) string {
	style := rapid.SampledFrom([]string{"escaped", "CDATA", "raw"}).Draw(t, "style")
	blank := rapid.SampledFrom([]string{"", "\n    ", " "}).Draw(t, "blank")
	write := func(s string) string {
		switch style {
		case "escaped":
			s = html.EscapeString(s)
		case "CDATA":
			s = "<![CDATA[" + s + "]]>"
		default:
			s = strings.NewReplacer("&amp;", "&amp;amp;", "</think>", "&lt;/think>").Replace(s)
		}
		return blank + s + blank
	}
	var b strings.Builder
	b.WriteString("<analysis>" + write(plan.Analysis) + "</analysis>\n<tasks>")
	for _, s := range plan.Subtasks {
		fmt.Fprintf(&b, "%s<task><type>%s</type>%s<description>%s</description><id>%s</id>", blank, write(s.Type), blank, write(s.Description), write(s.ID))
		if len(s.DependsOn) > 0 {
			fmt.Fprintf(&b, "<depends_on>%s</depends_on>", write(strings.Join(s.DependsOn, ",")))
		}
		b.WriteString("</task>")
	}
	return b.String() + "\n</tasks>"
}

func surround(t *rapid.T, text string) string {
	if fence := rapid.SampledFrom([]string{"", "```json\n%s\n```", "~~~\n%s\n~~~"}).Draw(t, "fence"); fence != "" {
		text = fmt.Sprintf(fence, text)
	}
	before := rapid.SampledFrom([]string{
		"", "\n", "Sure: ", "<think>{ <task> \"</think>", "I'd rather think of {\"subtasks\": [{\"description\": \"a draft\"}]}, no. </think>",
		"Use {braces}, [1] and {\"a\": 1}.\n", "\uFEFF",
	}).Draw(t, "before")
	after := rapid.SampledFrom([]string{"", "\n", "\nThat's {all} of [it].", "\n\n{\"done\": true}"}).Draw(t, "after")
	return before + text + after
}

// However a text is made to send a reader back, each byte is looked at only a
// few times.
func TestReadPlanIsLinear(t *testing.T) {
	for _, unit := range []string{
		"{", "[", "<", "`", "```", "\"", "'", "\\", "/", "&", "<task>", "<tasks>", "<think>", "</think>", "<description>", "<analysis>", "</",
		`{"`, `{"a":`, `{"a":{`, `["`, `["a"`, `{"subtasks":`, `{"subtasks":[`, `{"subtasks":[{`, `{"subtasks":[{"description":"x"},`,
		`[{"subtasks":[`, `{"plan":"{`, `"{\"plan\":\"[`, `{a:`, "{'", "/*", "//", "<!--", "<![CDATA[", "<task id=\"", "<task a='", "<a", "<task ",
		`{"analysis":"x",`, "<task>x</task>", "<task><description>x", "{}", "[]", "[{}]", "[{'a':1}]", "</task>", "<tasks></tasks>", "</description>",
	} {
		text := strings.Repeat(unit, 30_000/len(unit))
		for _, begin := range []string{"", `{"subtasks":[{"description":"`, `{"plan":"`, "<tasks><task><description>", "x "} {
			r := newPlanReader(0)
			r.Write(begin + text)
			r.Close()
			if most := 4 * len(begin+text); r.work > most {
				t.Errorf("%q and many %q: %d bytes were looked at for %d", begin, unit, r.work, len(begin+text))
			}
		}
	}
}

func TestReadPlanIsBounded(t *testing.T) {
	long := `{"subtasks":[{"id":"T1","description":"a"}, {"id":"T2","description":"` + strings.Repeat("x", maxPlanAnswer) + `"}]}`
	plan, problems := ReadPlan(long, 0)
	if len(plan.Subtasks) != 1 || len(problems) != 1 || problems[0].Code != problemTooLong {
		t.Errorf("an answer that is too long gives %v, %v", plan, problems)
	}
	if whole, _ := readInPieces(t, 0, long[:maxPlanAnswer-1], long[maxPlanAnswer-1:maxPlanAnswer+1], long[maxPlanAnswer+1:]); whole != written(plan, problems) {
		t.Errorf("in pieces it gives %s", whole)
	}
	many := `{"subtasks":[` + strings.Repeat(`{"description":"a"},`, maxPlanSubtasks+1) + `]}`
	plan, problems = ReadPlan(many, 0)
	if len(plan.Subtasks) != maxPlanSubtasks || len(problems) != 1 || problems[0].Code != orchestration.ProblemTooMany {
		t.Errorf("too many subtasks give %d, %v", len(plan.Subtasks), problems)
	}
	blank := `{"subtasks":[` + strings.Repeat(`{},`, maxPlanSubtasks) + `]}`
	if _, problems = ReadPlan(blank, 0); len(problems) != maxPlanProblems+1 {
		t.Errorf("many blank subtasks give %d problems", len(problems))
	}
}

func FuzzReadPlan(f *testing.F) {
	for _, r := range readings(f, "plan") {
		if len(r.text) < 4096 {
			f.Add(r.text, 7)
		}
	}
	f.Fuzz(func(t *testing.T, text string, at int) {
		at = max(0, min(at, len(text)))
		plan, problems := ReadPlan(text, 10)
		whole := written(plan, problems)
		_, early := readInPieces(t, 10, text)
		if got, n := readInPieces(t, 10, text[:at], text[at:]); got != whole || n != early {
			t.Fatalf("cut at %d it is read as\n%s\nwhole\n%s", at, got, whole)
		}
		if got, n := readInPieces(t, 10, bytewise(text)...); got != whole || n != early {
			t.Fatalf("byte by byte it is read as\n%s\nwhole\n%s", got, whole)
		}
		if len(problems) == 0 && len(plan.Subtasks) == 0 {
			t.Fatal("there is neither a plan nor a problem")
		}
		for _, p := range problems {
			if p.Code == "" || p.Detail == "" || p.Pointer != "" && p.Pointer[0] != '/' {
				t.Fatalf("not a problem: %+v", p)
			}
		}
		for _, s := range plan.Subtasks {
			if !planIDForm.MatchString(s.ID) || s.Type == "" || s.Description != trimmed(s.Description) {
				t.Fatalf("not a subtask: %+v", s)
			}
			if s.Description == "" && len(problems) == 0 {
				t.Fatalf("%s has no description, and there is no problem", s.ID)
			}
		}
	})
}

func BenchmarkReadPlan(b *testing.B) {
	subtask := `{"id": "T%d", "type": "researcher", "description": "%s", "depends_on": []}`
	var subtasks []string
	for i := range 10 {
		subtasks = append(subtasks, fmt.Sprintf(subtask, i, strings.Repeat("many words ", 30)))
	}
	text := `{"analysis": "Ten of them.", "subtasks": [` + strings.Join(subtasks, ",\n") + `]}`
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, problems := ReadPlan(text, 0); problems != nil {
			b.Fatal(problems)
		}
	}
}
