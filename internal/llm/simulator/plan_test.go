package simulator

import (
	"encoding/json"
	"encoding/xml"
	"reflect"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"
)

const xmlPrompt = `Analyze this task and break it down into 2-3 distinct approaches:

Task: Write a product description for a new eco-friendly water bottle

Return your response in this format:

<analysis>
Explain your understanding of the task.
</analysis>

<tasks>
    <task>
    <type>formal</type>
    <description>Write a precise, technical version</description>
    </task>
    <task>
    <type>conversational</type>
    <description>Write an engaging, friendly version of at most 50 words</description>
    </task>
</tasks>`

const ownPrompt = `<task>Compare three bottles for 2-3 hikers</task>

You are the planner. Answer with JSON: {"analysis": "…", "subtasks": [{"id","type","description","depends_on":[]}]}, at least 2 and at most 5 subtasks.`

// checkPlan reads a plan in JSON and checks that each subtask has what it needs
// and depends on earlier ones alone, which rules out cycles.
func checkPlan(t *testing.T, text string, count int) plan {
	t.Helper()
	var p plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if len(p.Subtasks) != count {
		t.Fatalf("%d subtasks, not %d: %s", len(p.Subtasks), count, text)
	}
	seen := map[string]bool{}
	for _, s := range p.Subtasks {
		for _, d := range s.DependsOn {
			if !seen[d] {
				t.Errorf("%s depends on %s, which is not before it", s.ID, d)
			}
		}
		if s.ID == "" || seen[s.ID] || s.Type == "" || s.Description == "" || s.DependsOn == nil {
			t.Errorf("subtask %+v", s)
		}
		seen[s.ID] = true
	}
	return p
}

func (p plan) edges() (n int) {
	for _, s := range p.Subtasks {
		n += len(s.DependsOn)
	}
	return n
}

func TestPlanInJSON(t *testing.T) {
	_, c := serve(t, Options{})
	p := checkPlan(t, text(t, c, ask(ownPrompt)), 3)
	if p.edges() != 2 || !strings.Contains(p.Subtasks[0].Description, "Compare three bottles for 2-3 hikers") || !strings.Contains(p.Analysis, simulated) {
		t.Errorf("plan %+v", p)
	}
}

func TestPlanInXML(t *testing.T) {
	_, c := serve(t, Options{})
	answer := text(t, c, ask(xmlPrompt))
	var doc struct {
		Analysis string `xml:"analysis"`
		Tasks    []struct {
			Type        string `xml:"type"`
			Description string `xml:"description"`
			ID          string `xml:"id"`
		} `xml:"tasks>task"`
	}
	if err := xml.Unmarshal([]byte("<a>"+answer+"</a>"), &doc); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	if len(doc.Tasks) != 3 || doc.Tasks[0].Type != "formal" || doc.Tasks[1].Type != "conversational" || doc.Tasks[2].Type != "vivid" || doc.Tasks[0].ID != "" ||
		!strings.Contains(doc.Tasks[0].Description, "eco-friendly water bottle") || doc.Analysis == "" {
		t.Errorf("plan %+v from %s", doc, answer)
	}
}

func TestPlanUsesTheWorkersOffered(t *testing.T) {
	_, c := serve(t, Options{})
	for offered, want := range map[string]string{
		"- chef: cooks\n- critic": "chef critic chef critic",
		"- analyst\n- coder\n- researcher\n- reviewer\n- writer: writes": "researcher analyst strategist writer",
	} {
		prompt := "<workers>\n" + offered + "\n</workers>\nAnswer with {\"subtasks\": []}, exactly 4 of them as subtasks.\n\nCook"
		var types []string
		for _, s := range checkPlan(t, text(t, c, ask(prompt)), 4).Subtasks {
			types = append(types, s.Type)
		}
		if got := strings.Join(types, " "); got != want {
			t.Error(got)
		}
	}
}

func TestPlanBySchema(t *testing.T) {
	_, c := serve(t, Options{})
	req := ask("Whatever: <results> and <tasks>")
	schema := `{"type":"object","required":["analysis","subtasks"],"additionalProperties":false,"properties":{"analysis":{"type":"string"},
		"subtasks":{"type":"array","minItems":4,"maxItems":6,"items":{"$ref":"#/$defs/s"}}},
		"$defs":{"s":{"type":"object","required":["id","type","description","depends_on"],"additionalProperties":false,"properties":{
			"id":{"type":"string"},"type":{"enum":["chef","critic"]},"description":{"type":"string"},"depends_on":{"type":"array","items":{"type":"string"}}}}}}`
	req.ResponseFormat = jsonSchema("plan", schema)
	answer := text(t, c, req)
	validate(t, schema, answer)
	if p := checkPlan(t, answer, 4); p.Subtasks[1].Type != "critic" || p.edges() != 3 {
		t.Errorf("plan %+v", p)
	}
	other := `{"type":"object","required":["goals"],"properties":{"goals":{"type":"array","minItems":1,"items":{"type":"string"}}}}`
	req.ResponseFormat = jsonSchema("plan", other)
	validate(t, other, text(t, c, req))
}

func jsonSchema(name, schema string) *openai.ChatCompletionResponseFormat {
	return &openai.ChatCompletionResponseFormat{
		Type:       openai.ChatCompletionResponseFormatTypeJSONSchema,
		JSONSchema: &openai.ChatCompletionResponseFormatJSONSchema{Name: name, Schema: json.RawMessage(schema), Strict: true},
	}
}

func TestDirectivesShapeThePlan(t *testing.T) {
	_, c := serve(t, Options{})
	for directive, want := range map[string]struct{ subtasks, edges int }{
		"[[sim subtasks=10]]":                   {10, 0},
		"[[sim subtasks=10 shape=fan]]":         {10, 0},
		"[[sim subtasks=10 shape=chain]]":       {10, 9},
		"[[sim subtasks=10 shape=diamond]]":     {10, 16},
		"[[sim subtasks=2 shape=diamond]]":      {2, 1},
		"[[sim subtasks=1 shape=diamond]]":      {1, 0},
		"[[sim subtasks=40 shape=random]]":      {40, -1},
		"[[sim subtasks=5000 shape=chain]]":     {1000, 999},
		"[[sim shape=chain]]":                   {3, 2},
		"[[sim subtasks=x]] [[sim subtasks=4]]": {4, 0},
		"[[sim subtasks=4":                      {3, 2},
	} {
		prompt := strings.Replace(ownPrompt, "hikers", "hikers "+directive, 1)
		p := checkPlan(t, text(t, c, ask(prompt)), want.subtasks)
		if n := p.edges(); n != want.edges && want.edges >= 0 || n == 0 && want.edges < 0 {
			t.Errorf("%s: %d edges", directive, n)
		}
	}
}

func TestDirectivesReachTheWorkers(t *testing.T) {
	_, c := serve(t, Options{})
	p := checkPlan(t, text(t, c, ask(strings.Replace(ownPrompt, "hikers", "hikers [[sim subtasks=2 out=2000 latency=1ms]]", 1))), 2)
	for _, s := range p.Subtasks {
		if strings.Contains(s.Description, "subtasks=") || !strings.HasSuffix(s.Description, "hikers [[sim out=2000 latency=1ms]]") {
			t.Errorf("description %q", s.Description)
		}
		if answer := text(t, c, ask("You are a worker.\n<description>"+s.Description+"</description>")); len(answer) != 2000 || strings.Contains(answer, "[[") {
			t.Errorf("%d bytes: %.200s", len(answer), answer)
		}
	}
}

func TestWanted(t *testing.T) {
	for prompt, want := range map[string][2]int{
		"break it down into 2-3 distinct approaches": {2, 3},
		"at least 2 and at most 5 subtasks.":         {2, 5},
		"Number of subtasks: at least 2, at most 4":  {2, 4},
		"between two and four parts":                 {2, 4},
		"5 to 7 steps":                               {5, 7},
		"Use up to 6 subtasks":                       {0, 6},
		"no more than 2 subtasks":                    {0, 2},
		"exactly 4 subtasks":                         {4, 4},
		"Make 2–3 tasks":                             {2, 3},
		"subtasks of at least 50 words each":         {0, 0},
		"in 2024-2025":                               {0, 0},
		"the years 10 to 20":                         {0, 0},
		"at least 9 and at most 3 subtasks":          {3, 3},
		"":                                           {0, 0},
		"at least":                                   {0, 0},
		"at least 99999999999999999999 subtasks, 3-2 tasks 5-": {0, 0},
	} {
		if least, most := wanted(prompt); least != want[0] || most != want[1] {
			t.Errorf("%q: %d to %d", prompt, least, most)
		}
	}
}

func TestFlaws(t *testing.T) {
	for f := Fenced; f < numFlaws; f++ {
		_, c := serve(t, Options{Malformed: map[Flaw]float64{f: 1}})
		answer := text(t, c, ask(ownPrompt))
		if err := json.Unmarshal([]byte(answer), &plan{}); (err == nil) != (f == EmptyPlan || f == CyclicPlan) {
			t.Errorf("flaw %d: %v: %s", f, err, answer)
		}
		marks := map[Flaw][2]string{
			Fenced: {"```json\n{", "}\n```"}, Prose: {"Certainly!", "subtasks."}, TrailingComma: {"{", "},]}"}, SingleQuotes: {"{'analysis':'", "']}]}"},
			Thinking: {"<think>", "}"}, OwnLines: {"<analysis>\n[simulated]", "</tasks>"}, EmptyPlan: {"{", `"subtasks":[]}`},
			CyclicPlan: {"{", `"depends_on":["T1"]}]}`}, Garbage: {simulated, ""},
		}
		if m := marks[f]; !strings.HasPrefix(answer, m[0]) || !strings.HasSuffix(answer, m[1]) {
			t.Errorf("flaw %d: %s", f, answer)
		}
		if worker := text(t, c, ask("hello")); !strings.HasPrefix(worker, "[simulated] On “hello”") {
			t.Errorf("flaw %d spoils a worker: %s", f, worker)
		}
	}
}

// A planner goes on with a plan as it began it, whatever shape it has.
func TestTheRestOfAPlan(t *testing.T) {
	_, c := serve(t, Options{})
	for _, shape := range []string{"fan", "chain", "diamond", "random"} {
		write := func(there ...subtask) plan {
			prompt := "<task>Sing [[sim subtasks=6 shape=" + shape + " out=900]]</task>\nYou are the planner. Answer with JSON, at most 9 subtasks."
			if len(there) > 0 {
				prompt += "\n\nThis is there:\n<plan>\n"
				for _, s := range there {
					prompt += `<subtask id="` + s.ID + `" type="` + s.Type + `" depends_on="">` + "\n<description>" + s.Description + "</description>\n</subtask>\n"
				}
				prompt += "</plan>"
			}
			req := ask(prompt)
			req.ResponseFormat = &openai.ChatCompletionResponseFormat{Type: openai.ChatCompletionResponseFormatTypeJSONObject}
			var p plan
			if err := json.Unmarshal([]byte(text(t, c, req)), &p); err != nil {
				t.Fatal(err)
			}
			return p
		}
		all := write()
		for n := 1; n <= 6; n++ {
			want := plan{Analysis: all.Analysis, Subtasks: all.Subtasks[n:]}
			if got := write(all.Subtasks[:n]...); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: after %d of the subtasks\ngot  %+v\nwant %+v", shape, n, got, want)
			}
		}
	}
}
