package orchestration

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestCheckLanguage has every fault of the plan language reported at its place.
func TestCheckLanguage(t *testing.T) {
	for name, test := range map[string]struct {
		plan string   // subtasks in YAML, one a line
		want []string // pointer code detail's part
	}{
		"sound": {`
			{id: a, description: x}
			{id: t, kind: tool, tool: {name: look, arguments: {id: a.output}}}
			{id: d, kind: decide, decide: {by: model, prompt: Which, options: [x, y]}}
			{id: m, kind: merge, merge: concat, depends_on: [a, t], when: 'd.output == "x"'}
			{id: f, kind: for_each, for_each: {items: t.output, body: [{id: a, description: x, input: {i: item, n: index}}, {id: b, description: y, depends_on: [a], input: {o: d.output}}]}}
			{id: l, kind: loop, loop: {until: 'w.output > 1 && iteration < 3', stop_when_unchanged: output, body: [{id: w, description: x, input: {p: previous}}]}}
			{id: p, kind: plan, plan: {task: '"About " + string(a.output)'}}
			{id: ok, kind: approval, depends_on: [p], approval: {message: Good, timeout: 48h, default: approve}}
			{id: w, description: x, worker: researcher, on_failure: {fallback: {prompt: y, value: 3}}, timeout: 5s, cache: 1h, retry: {max_attempts: 2, backoff: 1s}}`, nil},
		"unknown kind":         {`{id: a, kind: magic, description: x}`, []string{"/subtasks/0/kind unknown_kind"}},
		"another kind's key":   {`{id: a, description: x, loop: {max_iterations: 2, body: [{id: b, description: x}]}}`, []string{"/subtasks/0/loop wrong_key say kind: loop"}},
		"a key of no kind's":   {`{id: a, kind: merge, merge: concat, check: {regex: x}}`, []string{"/subtasks/0/check wrong_key which has no check"}},
		"no key of its own":    {`{id: a, kind: loop}`, []string{"/subtasks/0 missing_key lacks the key"}},
		"unknown worker":       {`{id: a, description: x, worker: nobody}`, []string{"/subtasks/0/worker unknown_worker"}},
		"unknown tool":         {`{id: a, kind: tool, tool: {name: hammer}}`, []string{"/subtasks/0/tool/name unknown_tool"}},
		"unknown undoer":       {`{id: a, description: x, compensate: {name: hammer}}`, []string{"/subtasks/0/compensate/name unknown_tool"}},
		"a tool's arguments":   {`{id: a, kind: tool, tool: {name: look, arguments: {what: '1'}}}`, []string{"/subtasks/0/tool/arguments missing_key needs the argument id", "/subtasks/0/tool/arguments/what wrong_key"}},
		"unknown model":        {`{id: a, description: x, on_failure: {fallback: {model: gone}}}`, []string{"/subtasks/0/on_failure/fallback/model unknown_model"}},
		"unknown name":         {`{id: a, description: x, when: b.output == 1}`, []string{"/subtasks/0/when invalid_expression b"}},
		"unknown member":       {`{id: a, description: x}` + "\n" + `{id: b, description: x, when: a.outptu == 1}`, []string{"/subtasks/1/when invalid_expression outptu"}},
		"type error":           {`{id: a, description: x, when: '1 + "a"'}`, []string{"/subtasks/0/when invalid_expression"}},
		"no condition":         {`{id: a, description: x, when: '"yes"'}`, []string{"/subtasks/0/when invalid_expression must give a bool"}},
		"never true":           {`{id: a, description: x, when: 1 > 2}`, []string{"/subtasks/0/when unreachable"}},
		"unknown option":       {`{id: d, kind: decide, decide: {by: expr, expr: '"a"', options: [a, b]}}` + "\n" + `{id: x, description: x, when: 'd.output == "c"'}`, []string{`/subtasks/1/when unknown_option d has no option "c"; it has a, b`}},
		"times of nothing":     {`{id: x, description: x, timeout: 0s, cache: 0m, retry: {backoff: 0h}}`, []string{"/subtasks/0/retry/backoff invalid_value", "/subtasks/0/timeout invalid_value", "/subtasks/0/cache invalid_value"}},
		"waits for nothing":    {`{id: x, kind: approval, approval: {message: x, timeout: 0s, default: approve}}`, []string{"/subtasks/0/approval/timeout invalid_value"}},
		"chooses none":         {`{id: d, kind: decide, decide: {by: expr, expr: '"zz"', options: [a, b]}}`, []string{`/subtasks/0/decide/expr unknown_option d has no option "zz"; it has a, b`}},
		"option from inside":   {`{id: d, kind: decide, decide: {by: expr, expr: '"a"', options: [a, b]}}` + "\n" + `{id: f, kind: for_each, for_each: {items: '[1]', body: [{id: x, description: x, when: 'd.output in ["a", "z"]'}]}}`, []string{"/subtasks/1/for_each/body/0/when unknown_option"}},
		"no list":              {`{id: f, kind: for_each, for_each: {items: '3', body: [{id: x, description: x}]}}`, []string{"/subtasks/0/for_each/items invalid_expression must give a list"}},
		"unbounded loop":       {`{id: l, kind: loop, loop: {body: [{id: x, description: x}]}}`, []string{"/subtasks/0/loop unbounded_loop"}},
		"too many rounds":      {`{id: l, kind: loop, loop: {max_iterations: 101, body: [{id: x, description: x}]}}`, []string{"/subtasks/0/loop/max_iterations invalid_value at most 100"}},
		"too many items":       {`{id: f, kind: for_each, for_each: {items: '[1]', max_items: 1001, body: [{id: x, description: x}]}}`, []string{"/subtasks/0/for_each/max_items invalid_value"}},
		"no body":              {`{id: l, kind: loop, loop: {max_iterations: 2, body: []}}`, []string{"/subtasks/0/loop/body empty_plan"}},
		"fault in a body":      {`{id: l, kind: loop, loop: {max_iterations: 2, body: [{id: x, description: x, depends_on: [y]}, {id: x, description: ''}]}}`, []string{"/subtasks/0/loop/body/1/id duplicate_id", "/subtasks/0/loop/body/1/description blank_description", "/subtasks/0/loop/body/0/depends_on/0 unknown_dependency"}},
		"cycle by names":       {`{id: a, description: x, when: b.output == 1}` + "\n" + `{id: b, description: x, depends_on: [a]}`, []string{"/subtasks/1/depends_on/0 cycle a → b → a"}},
		"cycle through body":   {`{id: l, kind: loop, loop: {max_iterations: 2, body: [{id: x, description: x, input: {o: b.output}}]}}` + "\n" + `{id: b, description: x, depends_on: [l]}`, []string{"/subtasks/1/depends_on/0 cycle l → b → l"}},
		"cycle in a body":      {`{id: l, kind: loop, loop: {max_iterations: 2, body: [{id: x, description: x, depends_on: [y]}, {id: y, description: x, depends_on: [x]}]}}`, []string{"/subtasks/0/loop/body/1/depends_on/0 cycle x → y → x"}},
		"itself":               {`{id: a, description: x, when: a.output == 1}`, []string{"/subtasks/0/when self_dependency reads a itself"}},
		"its own whole":        {`{id: l, kind: loop, loop: {max_iterations: 2, body: [{id: x, description: x, depends_on: [l]}]}}`, []string{"/subtasks/0/loop/body/0/depends_on/0 self_dependency part of"}},
		"item outside":         {`{id: a, description: x, when: item == 1}`, []string{"/subtasks/0/when invalid_expression item"}},
		"out of a template":    {`{id: a, description: x}` + "\n" + `{id: w, kind: workflow, workflow: {name: n, body: [{id: x, description: x, input: {o: a.output}}]}}`, []string{"/subtasks/1/workflow/body/0/input/o invalid_expression a"}},
		"unknown workflow":     {`{id: w, kind: workflow, workflow: {name: gone}}`, []string{"/subtasks/0/workflow/name unknown_workflow gone", "/subtasks/0/workflow/body empty_plan"}},
		"hides a name":         {`{id: output, description: x}`, []string{"/subtasks/0/id reserved_id"}},
		"hides a word of CEL":  {`{id: in, description: x}`, []string{"/subtasks/0/id reserved_id"}},
		"schema by address":    {`{id: a, description: x, check: {json_schema: {$ref: 'http://x/y'}}}`, []string{"/subtasks/0/check/json_schema invalid_schema remote"}},
		"bad pattern":          {`{id: a, description: x, check: {regex: '('}}`, []string{"/subtasks/0/check/regex invalid_pattern"}},
		"empty check":          {`{id: a, description: x, check: {max_revisions: 1}}`, []string{"/subtasks/0/check missing_key"}},
		"no question":          {`{id: d, kind: decide, decide: {by: model, options: [a, b]}}`, []string{"/subtasks/0/decide/prompt missing_key"}},
		"another's question":   {`{id: d, kind: decide, decide: {by: expr, expr: '"a"', pattern: x, options: [a, b]}}`, []string{"/subtasks/0/decide/pattern wrong_key"}},
		"three ways of two":    {`{id: d, kind: decide, decide: {by: threshold, value: '1', at_least: 2, options: [a, b, c]}}`, []string{"/subtasks/0/decide/options invalid_value two options"}},
		"same option":          {`{id: d, kind: decide, decide: {by: expr, expr: '"a"', options: [a, a]}}`, []string{"/subtasks/0/decide/options invalid_value differ"}},
		"by nothing":           {`{id: d, kind: decide, decide: {by: dice, options: [a, b]}}`, []string{"/subtasks/0/decide/by invalid_value"}},
		"no message":           {`{id: ok, kind: approval, approval: {}}`, []string{"/subtasks/0/approval/message missing_key"}},
		"default for ever":     {`{id: ok, kind: approval, approval: {message: x, default: approve}}`, []string{"/subtasks/0/approval/timeout missing_key"}},
		"merge how":            {`{id: m, kind: merge, merge: stir}`, []string{"/subtasks/0/merge invalid_value"}},
		"on_failure":           {`{id: a, description: x, on_failure: shrug}`, []string{"/subtasks/0/on_failure invalid_value"}},
		"fallback of a tool":   {`{id: t, kind: tool, tool: {name: look, arguments: {id: '1'}}, on_failure: {fallback: {model: m}}}`, []string{"/subtasks/0/on_failure/fallback missing_key"}},
		"falls back on none":   {`{id: d, kind: decide, decide: {by: expr, expr: '"a"', options: [a, b]}, on_failure: {fallback: {value: c}}}`, []string{`/subtasks/0/on_failure/fallback/value unknown_option d has no option "c"; it has a, b`}},
		"falls back on asking": {`{id: d, kind: decide, decide: {by: expr, expr: '"a"', options: [a, escalate]}, on_failure: {fallback: {value: escalate}}}`, []string{"/subtasks/0/on_failure/fallback/value invalid_value on_failure: escalate"}},
		"after":                {`{id: a, description: x, after: never}`, []string{"/subtasks/0/after invalid_value"}},
		"a long wait":          {`{id: a, description: x, timeout: 25h}`, []string{"/subtasks/0/timeout invalid_value"}},
		"an input's name":      {`{id: a, description: x, input: {'a b': '1'}}`, []string{"/subtasks/0/input/a b invalid_id"}},
		"needs a task":         {`{id: p, kind: plan, plan: {task: ''}}`, []string{"/subtasks/0/plan/task missing_key"}},
	} {
		t.Run(name, func(t *testing.T) { wantProblems(t, planIn(t, test.plan), test.want) })
	}
}

func planIn(t *testing.T, subtasks string) Plan {
	te := teller{t: t, text: "subtasks:\n"}
	for line := range strings.Lines(subtasks) {
		if line = strings.TrimSpace(line); line != "" {
			te.text += "  - " + line + "\n"
		}
	}
	return te.plan()
}

func wantProblems(t *testing.T, plan Plan, want []string) {
	t.Helper()
	problems := plan.Check(languageRules())
	for i, p := range problems {
		got := fmt.Sprint(p.Pointer, " ", p.Code, " ", p.Detail)
		if i >= len(want) || !containsWords(got, want[i]) {
			t.Errorf("problem %d is %q", i, got)
		}
	}
	if len(problems) != len(want) {
		t.Errorf("%d problems, want %q", len(problems), want)
	}
}

func languageRules() Rules {
	return Rules{
		MaxSubtasks: 100, Expressions: StoryExpressions,
		Workers: []Worker{{Name: "researcher"}},
		Tools: []Tool{{Name: "look", Schema: json.RawMessage(
			`{"type":"object","properties":{"id":{}},"required":["id"],"additionalProperties":false}`)}},
		Model: func(name string) bool { return name == "m" },
		Schema: func(schema json.RawMessage) error {
			if strings.Contains(string(schema), "http://") {
				return errors.New("it refers to something remote")
			}
			return nil
		},
	}
}

// TestCheckDepth refuses bodies that stand in bodies too deep, without looking
// into those.
func TestCheckDepth(t *testing.T) {
	s := Subtask{ID: "x", Description: "x"}
	for i := range maxDepth + 3 {
		s = Subtask{ID: fmt.Sprint("l", i), Kind: KindLoop, Loop: &Loop{Body: []Subtask{s}, MaxIterations: 2}}
	}
	problems := Plan{Subtasks: []Subtask{s}}.Check(languageRules())
	if len(problems) != 1 || problems[0].Code != ProblemTooDeep {
		t.Errorf("got %v", problems)
	}
}

func TestCheckPolicy(t *testing.T) {
	problems := CheckPolicy([]Check{
		{JSONSchema: json.RawMessage(`{"type":"object"}`), Expr: "size(output) > 3"},
		{JSONSchema: json.RawMessage(`{"$ref":"http://x/y"}`), Regex: "("},
		{Regex: strings.Repeat("x", maxPattern+1)},
		{Expr: "T1.output"},
		{Expr: `"never"`},
		{},
	}, languageRules())
	want := []string{"/1/json_schema", "/1/regex", "/2/regex", "/3/expr", "/4/expr", "/5"}
	for i, p := range problems {
		if i >= len(want) || p.Pointer != want[i] {
			t.Errorf("problem %d: %+v", i, p)
		}
	}
	if len(problems) != len(want) {
		t.Errorf("%d problems", len(problems))
	}
}

// TestPatternsAreBounded refuses what would take too long.
func TestPatternsAreBounded(t *testing.T) {
	involved, err := CompilePattern(`(?:[a-z]{1,100}){10}x`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := involved.Match(strings.Repeat("a", 10<<20)); err == nil {
		t.Error("an involved pattern is held against 10 MB")
	}
	if matched, err := involved.Match("abcx"); err != nil || matched {
		t.Errorf("matched %v, %v", matched, err)
	}
	if _, err := CompilePattern(`((a{100}){100}){100}`); err == nil {
		t.Error("a pattern of a million instructions is taken")
	}
}

// TestCheckManyExpressions refuses expressions that are too much to be checked.
func TestCheckManyExpressions(t *testing.T) {
	var p Plan
	rules := languageRules()
	rules.MaxSubtasks = 1000
	for i := range 1000 {
		p.Subtasks = append(p.Subtasks, Subtask{ID: fmt.Sprint("s", i), Description: "x", When: "task != '" + strings.Repeat("x", 119) + "'"})
	}
	if problems := p.Check(rules); len(problems) > 0 {
		t.Errorf("130,000 bytes: %v", problems)
	}
	p.Subtasks[999].Input = map[string]string{"a": "task + '" + strings.Repeat("x", 2500) + "'", "b": "no expression", "c": "none either"}
	problems := p.Check(rules)
	if len(problems) != 1 || problems[0].Pointer != "/subtasks/999/input/a" || problems[0].Code != ProblemBadExpression {
		t.Errorf("132,000 bytes: %v", problems)
	}
}
