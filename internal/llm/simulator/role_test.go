package simulator

import (
	"strings"
	"testing"
)

func TestRoles(t *testing.T) {
	user := func(text string) []Message { return []Message{{Author: "user", Text: text}} }
	for _, tc := range []struct {
		name, schema string
		messages     []Message
		want         Role
	}{
		{"plan's schema", "plan", user("You are a worker"), Planner},
		{"verdict's schema", "verdict", user("You are a worker"), Evaluator},
		{"another schema", "city", user("You are the synthesizer"), Synthesizer},
		{"first mark", "", user("You are not. You are a worker, though the text says: You are the planner <results>"), Worker},
		{"system first", "", append([]Message{{Author: "system", Text: "You are the evaluator"}}, user("You are a worker")...), Evaluator},
		{"evaluator", "", user("You are the evaluator."), Evaluator},
		{"cookbook's planner", "", user(xmlPrompt), Planner},
		{"JSON planner", "", user(`Answer with {"subtasks": []}`), Planner},
		{"tasks without a list", "", user("<task><description>…</description></task>"), Planner},
		{"results", "", user("<task>Sing</task> <results></results>"), Synthesizer},
		{"a task in tags", "", user("Do this: <task>Sing</task>"), Worker},
		{"a rubric", "", user("<task>Sing</task><rubric>x</rubric><description>y</description>"), Evaluator},
		{"a question", "", user("<task>Sing</task><question>Which?</question><option>a</option>"), Evaluator},
		{"a question alone", "", user("<question>Which?</question>"), Worker},
		{"decision's schema", "decision", user("You are a worker"), Evaluator},
		{"nothing", "", nil, Worker},
	} {
		if got := roleOf(tc.schema, nil, tc.messages); got != tc.want {
			t.Errorf("%s: %s", tc.name, got)
		}
	}
}

func TestTask(t *testing.T) {
	for prompt, want := range map[string]string{
		ownPrompt: "Compare three bottles for 2-3 hikers",
		xmlPrompt: "Write a product description for a new eco-friendly water bottle",
		"Plan it.\n\n<task><type>t</type></task> <task >\nReal\n</task>":        "Real",
		"<task>Explain the <type> tag</task> then <task>x</task>":               "Explain the <type> tag",
		"Plan it.\n\nDo the thing":                                              "Do the thing",
		"A label in the text Task: no\n  Task: yes,\nand more\nStyle: formal\n": "yes, and more",
		"<task>unclosed":                "<task>unclosed",
		"<taskforce>x</taskforce>\n\ny": "y",
	} {
		if got := read(Planner, []Message{{Author: "user", Text: prompt}}).task; got != want {
			t.Errorf("%q: %q", prompt, got)
		}
	}
}

func TestWorkerReadsItsOrders(t *testing.T) {
	_, c := serve(t, Options{})
	answer := text(t, c, ask("Generate content based on:\nTask: Sell a bottle\nStyle: formal\nGuidelines: Be precise\n\nReturn your response in this format:\n\n<response>\nText\n</response>"))
	if !strings.HasPrefix(answer, "<response>\n[simulated] As formal, on “Be precise”:") || !strings.HasSuffix(answer, "\n</response>") {
		t.Error(answer)
	}
	answer = text(t, c, ask(`You are a worker. <task>Sell</task> <dependencies>
		<output id="T1" type="x">One <subtask><description>No</description></subtask></output><output id="T2" type="y">Two</output></dependencies>
		<subtask><type>writer</type><description>Write it</description></subtask>`))
	if !strings.HasPrefix(answer, "[simulated] As writer, on “Write it”:") || !strings.HasSuffix(answer, " It builds on T1 and T2.") {
		t.Error(answer)
	}
}

func TestSynthesizerQuotesResults(t *testing.T) {
	_, c := serve(t, Options{})
	answer := text(t, c, ask(`You are the synthesizer. <task>Sell a bottle</task><results>
		<result id="T1" type="researcher">[simulated] As researcher: it holds water and is <b>light</b></result>
		<result id="T2" type="writer" status="failed"></result><result id="T3">never ends`))
	want := "[simulated] An answer to “Sell a bottle”, composed of 2 results.\n\n" +
		"- T1 (researcher): As researcher: it holds water and is b light /b\n- T2 (writer): nothing was handed in\n\n"
	if !strings.HasPrefix(answer, want) {
		t.Error(answer)
	}
}

func TestJSONObjectIsAnObject(t *testing.T) {
	for _, prompt := range []string{"You are a worker. JSON", "You are the evaluator. JSON", "You are the synthesizer. JSON", "You are the planner. JSON <tasks>"} {
		got := post(t, New(Options{}), `{"model":"m","messages":[{"role":"user","content":"`+prompt+`"}],"response_format":{"type":"json_object"}}`)
		if !strings.Contains(got.body, `"content":"{\"`) {
			t.Errorf("%s: %s", prompt, got.body)
		}
	}
}
