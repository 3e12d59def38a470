package simulator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	openai "github.com/sashabaranov/go-openai"
)

const (
	verdictSchema = `{"type":"object","properties":{"satisfied":{"type":"boolean"},"feedback":{"type":"string"}},"required":["satisfied","feedback"],"additionalProperties":false}`
	optionSchema  = `{"type":"object","properties":{"option":{"type":"string","enum":["go on","stop","none of them"]}},"required":["option"],"additionalProperties":false}`
)

func rubricPrompt(rubric, output string) string {
	return "Judge it.\n<task>Sell a bottle [[sim unsatisfied=9]]</task>\n<rubric>\nIt is short. " + rubric + "\n</rubric>\n<subtask>Write it.</subtask>\n" +
		"<output>\n" + output + "\n</output>\nAnswer with {\"satisfied\": true, \"feedback\": \"\"}"
}

func workPrompt(description, more string) string {
	return "You are a worker. <task>Sell a bottle</task>\n<subtask>\n<type>writer</type>\n<description>" + description + "</description>\n</subtask>\n\n" +
		more + "Write the result between <response> and </response>."
}

func refusal(output, feedback string) string {
	return "<refused>\n" + output + "\n</refused>\n\n<feedback>" + feedback + "</feedback>\n\nWhat stands in <refused> was not accepted; <feedback> says why.\n\n"
}

// inner is the text within <response>.
func inner(answer string) string {
	return strings.TrimSuffix(strings.TrimPrefix(answer, "<response>\n"), "\n</response>")
}

// An output is revised until the evaluator is satisfied, and nobody remembers anything.
func TestRevisionsUntilSatisfied(t *testing.T) {
	for _, description := range []string{"Write it", `List it [[sim json={"items": [[1], [2]]}]]`} {
		for _, format := range []*openai.ChatCompletionResponseFormat{nil, jsonSchema("verdict", verdictSchema), jsonSchema("other", verdictSchema)} {
			_, c := serve(t, Options{})
			more := ""
			var rounds []string
			for range 5 {
				output := inner(text(t, c, ask(workPrompt(description, more))))
				req := ask(rubricPrompt("[[sim unsatisfied=2]]", output))
				req.ResponseFormat = format
				verdict := text(t, c, req)
				rounds = append(rounds, verdict)
				if strings.HasPrefix(verdict, `{"satisfied":true`) {
					break
				}
				more = refusal(output, "Say more.")
			}
			want := []string{
				`{"satisfied":false,"feedback":"[simulated] Not yet: revision 1 should say more of what is asked for."}`,
				`{"satisfied":false,"feedback":"[simulated] Not yet: revision 2 should say more of what is asked for."}`,
				`{"satisfied":true,"feedback":"[simulated] Nothing to object to."}`,
			}
			if diff := cmp.Diff(want, rounds); diff != "" {
				t.Errorf("%s: %s", description, diff)
			}
		}
	}
}

func TestARevisionSaysSo(t *testing.T) {
	_, c := serve(t, Options{})
	first := inner(text(t, c, ask(workPrompt("Write it", ""))))
	second := inner(text(t, c, ask(workPrompt("Write it", refusal(first, "Name the “price”.")))))
	third := inner(text(t, c, ask(workPrompt("Write it", refusal(second, "Shorter.")))))
	if !strings.HasPrefix(first, "[simulated] As writer, on “Write it”:") ||
		!strings.HasPrefix(second, "[simulated] (revision 1) As writer, on “Write it”:") || !strings.HasSuffix(second, " It is revised to meet “Name the “price””.") ||
		!strings.HasPrefix(third, "[simulated] (revision 2) As writer") {
		t.Errorf("%s\n%s\n%s", first, second, third)
	}
	req := ask(workPrompt("Write it", refusal("{}", "No title.")))
	req.ResponseFormat = jsonSchema("answer", `{"type":"object","required":["title"],"properties":{"title":{"type":"string"}}}`)
	if got := text(t, c, req); got != `{"title":"[simulated] (revision 1) title"}` {
		t.Error(got)
	}
}

func TestDecisions(t *testing.T) {
	_, c := serve(t, Options{})
	prompt := "You are the evaluator. <task>Sell [[sim option=stop]]</task><question>Which? %s</question>\n<options>\n<option>go on</option>\n<option>stop</option>\n<option>none of them</option>\n</options>"
	for directive, want := range map[string]string{
		"":                                "stop", // the task's
		`[[sim option="none of them"]]`:   "none of them",
		`[[sim option=nothing]]`:          "go on",
		`[[sim out=5 option=stop out=6]]`: "stop",
	} {
		req := ask(fmt.Sprintf(prompt, directive))
		inWords := text(t, c, req)
		req.ResponseFormat = jsonSchema("decision", optionSchema)
		if got := text(t, c, req); got != `{"option":"`+want+`"}` || inWords != got {
			t.Errorf("%q: %s, in words %s", directive, got, inWords)
		}
	}
	req := ask("Which?")
	req.ResponseFormat = jsonSchema("x", optionSchema)
	if got := text(t, c, req); got != `{"option":"go on"}` {
		t.Error(got)
	}
}

func TestGivenJSON(t *testing.T) {
	_, c := serve(t, Options{})
	two := `Do [[sim json={"items": [1, "]] a"]} latency=0s]] and [[sim json=7]]`
	for _, tc := range []struct{ prompt, want string }{
		{workPrompt(two, ""), `{"items": [1, "]] a"]}`},
		{workPrompt(two, refusal(`{"items":[1,"]] a"]}`, "No.")), "7"},
		{workPrompt(two, refusal("7", "No.")), "7"},
		{workPrompt("[[sim json=[[1],[2]]]]", ""), "[[1],[2]]"},
		{workPrompt(`[[sim json={} ]]`, refusal("{}", "No.")), `{"revision":1}`},
		{workPrompt(`[[sim json={"a":1}]]`, refusal(`{"revision":3,"a":1}`, "No.")), `{"revision":4,"a":1}`},
		{workPrompt(`[[sim json="a text"]]`, ""), `"a text"`},
	} {
		if got := inner(text(t, c, ask(tc.prompt))); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.prompt, got, tc.want)
		}
	}
	// In a conversation about the schema, too.
	req := ask(workPrompt(two, ""))
	req.ResponseFormat = jsonSchema("answer", `{"type":"integer"}`)
	first := text(t, c, req)
	req.Messages = append(req.Messages, openai.ChatCompletionMessage{Role: "assistant", Content: first}, openai.ChatCompletionMessage{Role: "user", Content: "It does not satisfy the schema."})
	if second := text(t, c, req); first != `{"items": [1, "]] a"]}` || second != "7" {
		t.Errorf("first %s, then %s", first, second)
	}
	for _, broken := range []string{`[[sim json={"a":]]`, `[[sim json={"a":1}`, "[[sim json=x]]"} {
		if got := text(t, c, ask(workPrompt(broken+" Do", ""))); !strings.Contains(got, "[simulated] As writer") {
			t.Errorf("%s: %s", broken, got)
		}
	}
}

func TestPlannersHandOnWhatIsForWorkers(t *testing.T) {
	_, c := serve(t, Options{})
	given := `[[sim json={"a": "]]"}]] [[sim tool=a args={"b": [[1]]} tool="c"]]`
	answer := text(t, c, ask("You are the planner. <task>Sing [[sim subtasks=1 out=9 latency=0s]] "+given+"</task>"))
	want := ` [[sim out=9 latency=0s]] [[sim json={\"a\": \"]]\"}]] [[sim tool=\"a\" args={\"b\": [[1]]} tool=\"c\" args={}]]"`
	if !strings.Contains(answer, want) {
		t.Error(answer)
	}
}

func TestAPartOfARunGetsASmallPlan(t *testing.T) {
	_, c := serve(t, Options{})
	for more, want := range map[string]int{
		"": 3, "<dependencies>\n<output id=\"T1\">x</output>\n</dependencies>": 2, "<inputs></inputs>": 2,
		"<inputs></inputs> Plan at most 1 subtask": 1, "<inputs></inputs> Plan between 4 and 9 subtasks.": 4,
	} {
		answer := text(t, c, ask("You are the planner. <task>Sing</task> "+more))
		if n := strings.Count(answer, `"description"`); n != want {
			t.Errorf("%q: %d subtasks", more, n)
		}
	}
	if n := strings.Count(text(t, c, ask("You are the planner. <task>Sing [[sim subtasks=5]]</task><dependencies></dependencies>")), `"description"`); n != 5 {
		t.Errorf("%d subtasks", n)
	}
}
