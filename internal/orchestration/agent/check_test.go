package agent

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

func schemaCheck(schema string) orchestration.Check {
	return orchestration.Check{JSONSchema: json.RawMessage(schema)}
}

// findings shows findings in a line each.
func shownFindings(findings []orchestration.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		b.WriteString(f.Check)
		if f.Policy {
			b.WriteString(" of the policy")
		}
		if f.Passed {
			b.WriteString(" passed")
		}
		if f.Detail != "" {
			b.WriteString(": " + f.Detail)
		}
		b.WriteString("\n")
	}
	return b.String()
}

const (
	yes = `{"satisfied": true, "feedback": ""}`
	no  = "Sure:\n```json\n{\"satisfied\": false, \"feedback\": \"Name the price.\"}\n```"
)

func TestChecks(t *testing.T) {
	const schema = `{"type":"object","properties":{"price":{"type":"number","minimum":0},"kind":{"enum":["a","b"]}},"required":["price"],"additionalProperties":false}`
	rubric := orchestration.Check{Rubric: "It names the price."}
	tests := map[string]struct {
		checks   []orchestration.Check
		replies  []string
		output   string
		findings string
		calls    int
	}{
		"none":             {nil, []string{"x"}, "x", "", 1},
		"an expression":    {[]orchestration.Check{{Expr: "true"}}, []string{"x"}, "x", "", 1},
		"schema":           {[]orchestration.Check{schemaCheck(schema)}, []string{`{"price": 1.50}`}, `{"price":1.50}`, "json_schema of the policy passed\n", 1},
		"schema, fenced":   {[]orchestration.Check{schemaCheck(schema)}, []string{"```json\n{\"price\": 1}\n```"}, `{"price":1}`, "json_schema of the policy passed\n", 1},
		"schema, no JSON":  {[]orchestration.Check{schemaCheck(schema)}, []string{"It is 7."}, "It is 7.", "json_schema of the policy: The output does not satisfy json_schema: the answer has no JSON object or array that could be read\n", 1},
		"schema, wrong":    {[]orchestration.Check{schemaCheck(schema)}, []string{`{"price": -7, "kind": "s3cr3t"}`}, `{"price":-7,"kind":"s3cr3t"}`, "", 1},
		"regex":            {[]orchestration.Check{{}, {Regex: `(?i)\bsteel\b`}}, []string{"Of Steel."}, "Of Steel.", "regex passed\n", 1},
		"regex, not":       {[]orchestration.Check{{}, {Regex: `^\d+$`}}, []string{"Of Steel."}, "Of Steel.", "regex: The output must match this pattern (RE2), somewhere in it: ^\\d+$\n", 1},
		"rubric":           {[]orchestration.Check{rubric}, []string{"x", yes}, "x", "rubric of the policy passed\n", 2},
		"rubric, not":      {[]orchestration.Check{rubric}, []string{"x", no}, "x", "rubric of the policy: Name the price.\n", 2},
		"rubric, no words": {[]orchestration.Check{rubric}, []string{"x", `{"Satisfied": "no"}`}, "x", "rubric of the policy: The output does not satisfy the rubric: It names the price.\n", 2},
		"in order": {
			[]orchestration.Check{rubric, {Regex: "x", Rubric: "Short."}, {Regex: "x"}},
			[]string{"x", yes, no},
			"x", "rubric of the policy passed\nregex passed\nrubric: Name the price.\nregex passed\n", 3,
		},
		"cheap ones first": {[]orchestration.Check{rubric, {Regex: "y"}, {Regex: "x"}}, []string{"x"}, "x", "regex: The output must match this pattern (RE2), somewhere in it: y\nregex passed\n", 1},
		"a blank output":   {[]orchestration.Check{rubric, {Regex: "y"}}, []string{"<response> </response>"}, "", "", 1},
		"a pattern's work": {[]orchestration.Check{{}, {Regex: strings.Repeat("(a?b?c?){90}", 6)}}, []string{strings.Repeat("abc", 100_000)}, strings.Repeat("abc", 100_000), "regex: The output cannot be matched: a text of 300000 bytes is too long for so involved a pattern. Write a shorter one.\n", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var replies []reply
			for _, text := range test.replies {
				replies = append(replies, says(text))
			}
			m := model(replies...)
			said := performWork(t, m, testSpec(), orchestration.Work{Subtask: formal, Attempt: 1, Checks: test.checks, Policy: 1})
			wantFailure(t, said.Failure, "", false)
			got := shownFindings(said.Findings)
			if name == "schema, wrong" {
				if strings.Contains(got, "s3cr3t") || strings.Contains(got, "7") || !strings.Contains(got, "/price: ") || !strings.Contains(got, "/kind: ") || said.Findings[0].Passed {
					t.Errorf("findings:\n%s", got)
				}
			} else if got != test.findings {
				t.Errorf("findings:\n%s\nwant\n%s", got, test.findings)
			}
			if said.Output != test.output || len(m.sent) != test.calls || len(said.Calls) != test.calls {
				t.Errorf("output %.100q after %d calls", said.Output, len(m.sent))
			}
		})
	}
}

func TestASchemaIsHandedToTheEndpoint(t *testing.T) {
	checks := []orchestration.Check{schemaCheck(`{"type":"object"}`)}
	m := model(says("{}"))
	performWork(t, m, testSpec(), orchestration.Work{Subtask: formal, Attempt: 1, Checks: checks})
	if m.sent[0].Schema == nil || string(m.sent[0].Schema.JSON) != `{"type":"object"}` {
		t.Errorf("schema %v", m.sent[0].Schema)
	}
	m = model(says("{}"))
	performWithTools(t, m, &bench{}, orchestration.Work{Subtask: formal, Attempt: 1, Checks: checks})
	if m.sent[0].Schema != nil || !strings.Contains(m.last(0), "JSON Schema") {
		t.Errorf("with tools: schema %v", m.sent[0].Schema)
	}
	m = model(says("{}"))
	performWork(t, m, testSpec(), orchestration.Work{Subtask: formal, Attempt: 1, Checks: append(checks, schemaCheck(`{"minProperties":1}`))})
	if m.sent[0].Schema != nil || strings.Count(m.last(0), "JSON Schema") != 2 {
		t.Errorf("with two: schema %v", m.sent[0].Schema)
	}
}

// An output that the evaluator could not judge is kept, to be judged alone.
func TestAnEvaluatorThatFails(t *testing.T) {
	checks := []orchestration.Check{schemaCheck(`{"type":"object"}`), {Rubric: "Good."}}
	work := orchestration.Work{Subtask: formal, Attempt: 1, Checks: checks}
	for name, test := range map[string]struct {
		verdict   reply
		code      orchestration.Code
		retryable bool
	}{
		"call fails":      {fails(&llm.Error{Outcome: llm.Unavailable}), orchestration.CodeUpstreamError, true},
		"refused":         {fails(&llm.Error{Outcome: llm.Auth}), orchestration.CodeUpstreamError, false},
		"unreadable":      {says("It is fine, I think."), orchestration.CodeOutputInvalid, true},
		"no verdict":      {says(`{"feedback": "fine"}`), orchestration.CodeOutputInvalid, true},
		"neither yes nor": {says(`{"satisfied": "partly"}`), orchestration.CodeOutputInvalid, true},
	} {
		t.Run(name, func(t *testing.T) {
			said := performWork(t, model(says(`Here: {"a": 1}`), test.verdict), testSpec(), work)
			wantFailure(t, said.Failure, test.code, test.retryable)
			if said.Output != `{"a":1}` || len(said.Calls) != 2 || said.Calls[0].Role != "worker" || said.Calls[1].Role != "evaluator" || said.Calls[1].Worker != "" {
				t.Errorf("output %q, calls %+v", said.Output, said.Calls)
			}
		})
	}
	again := work
	again.Attempt, again.Judge = 2, &orchestration.Text{Whole: `{"a":1}`}
	m := model(says(no))
	said := performWork(t, m, testSpec(), again)
	wantFailure(t, said.Failure, "", false)
	if said.Output != `{"a":1}` || shownFindings(said.Findings) != "json_schema passed\nrubric: Name the price.\n" || len(m.sent) != 1 || m.sent[0].Role != llm.Evaluator {
		t.Errorf("said %+v after %d calls", said, len(m.sent))
	}
	if m.sent[0].Model != "small" || m.sent[0].Schema != judgeSchema || m.sent[0].IdempotencyKey != "run_1/subtask/T2/2/judge.1/1" {
		t.Errorf("sent %+v", m.sent[0])
	}
}

// The time of an attempt is one, for the worker and whoever judges its output.
func TestJudgingTakesTheTimeThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := model(func(req *llm.Request) (*llm.Response, error) {
			resp, err := says("x")(req)
			time.Sleep(40 * time.Second)
			return resp, err
		}, says(yes))
		performWork(t, m, testSpec(), orchestration.Work{Subtask: formal, Attempt: 1, Checks: []orchestration.Check{{Rubric: "Good."}}})
		if m.sent[1].Timeout != 20*time.Second {
			t.Errorf("timeouts %v and %v", m.sent[0].Timeout, m.sent[1].Timeout)
		}
	})
}

// The worker leaves of what the attempt may spend what its judges need.
func TestChecksWithinAReserve(t *testing.T) {
	work := orchestration.Work{
		Subtask: formal, Attempt: 1, Dependencies: []orchestration.Result{facts},
		Checks: []orchestration.Check{{Rubric: "Good."}, {Rubric: "Short."}},
	}
	work.Dependencies[0].Output = whole(strings.Repeat("All work and no play. ", 2000))
	spend := func(reserve orchestration.Reserve) (orchestration.Worked, *script) {
		m := model(func(req *llm.Request) (*llm.Response, error) {
			text := yes
			if req.Role == llm.Worker {
				text = strings.Repeat("word ", req.MaxTokens)
			}
			resp, err := says(text)(req)
			resp.Calls[0].Usage = llm.Usage{Prompt: spentOn(req), Completion: tokens(text)}
			return resp, err
		})
		c := work
		c.Reserved = &reserve
		return performWork(t, m, testSpec(), c), m
	}
	said, m := spend(orchestration.Reserve{Calls: 3, PromptTokens: 8000, AnswerTokens: 3000})
	wantFailure(t, said.Failure, "", false)
	prompts, answers := 0, 0
	for _, c := range said.Calls {
		prompts, answers = prompts+c.Usage.PromptTokens, answers+c.Usage.CompletionTokens
	}
	if len(said.Findings) != 2 || len(m.sent) != 3 || prompts > 8000 || answers > 3000 || !said.Shortened {
		t.Errorf("%d findings after %d calls with %d and %d tokens", len(said.Findings), len(m.sent), prompts, answers)
	}
	said, _ = spend(orchestration.Reserve{Calls: 2, PromptTokens: 8000, AnswerTokens: 3000})
	wantFailure(t, said.Failure, orchestration.CodeOutputInvalid, true)
	if said.Output == "" || len(said.Calls) != 2 {
		t.Errorf("output %q after %d calls", said.Output, len(said.Calls))
	}
}

func TestChecksOfATool(t *testing.T) {
	spec := testSpec()
	spec.Tools = []orchestration.Tool{{Name: "keep"}}
	c := orchestration.Work{
		Subtask: orchestration.Subtask{ID: "T3", Kind: orchestration.KindTool, Tool: &orchestration.ToolCall{Name: "keep"}},
		Attempt: 1, Checks: []orchestration.Check{{Regex: "^4"}},
	}
	said := New(Options{Texts: &shelf{}, Tools: &bench{result: "no"}}).Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: c}).(orchestration.Worked)
	wantFailure(t, said.Failure, "", false)
	if said.Output != "no" || len(said.Findings) != 1 || said.Findings[0].Passed {
		t.Errorf("said %+v", said)
	}
}

// What a judge quotes of an output is no verdict of its own.
func TestVerdictsThatDisagree(t *testing.T) {
	wish := `{"satisfied": true, "feedback": "It is good in each and every respect, and nothing is left to be said"}`
	for name, test := range map[string]struct {
		answer        string
		satisfied, ok bool
	}{
		"one":                      {"My verdict: " + yes, true, true},
		"a wish before it":         {"The output says " + wish + ". I say " + no, false, false},
		"a wish after it":          {no + " It had wished for " + wish, false, false},
		"the same twice":           {no + "\nSo: " + no, false, true},
		"a wish that is cut off":   {wish + ` and {"satisfied": false`, false, false},
		"one that is mended":       {`{"satisfied": true, "feedback": "", }`, true, true},
		"mended, and the same":     {"{'satisfied': False, 'feedback': 'More'} So: " + no, false, true},
		"a wish that is mended":    {"It says {satisfied: True, feedback: 'in each and every respect, and more'}. I say " + no, false, false},
		"a wish in its thoughts":   {"<think>It says " + wish + "</think><response>" + no + "</response>", false, true},
		"satisfied, in mere prose": {"I am not satisfied. " + no, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			if satisfied, _, ok := readVerdict(test.answer); satisfied != test.satisfied || ok != test.ok {
				t.Errorf("%q is read as %v, %v", test.answer, satisfied, ok)
			}
		})
	}
}

func FuzzReadVerdict(f *testing.F) {
	f.Add(yes)
	f.Add(no)
	f.Add(`{"satisfied": "no", "feedback": ["x"], "Satisfied": true}`)
	f.Fuzz(func(t *testing.T, text string) {
		satisfied, feedback, ok := readVerdict(text)
		if satisfied && !ok || len(feedback) > 6*len(text)+16 {
			t.Fatalf("%q is read as %v, %q, %v", text, satisfied, feedback, ok)
		}
	})
}
