package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// missayings are plans with something wrong, and what is said of it: place and
// code of each fault. What the contract refuses has its status, 400; all else is
// told as what is wrong with the plan, 422.
var missayings = []struct {
	name, plan string
	status     int
	want       []string
}{
	{"a cycle", `subtasks: [{id: a, description: A, depends_on: [c]}, {id: b, description: B, depends_on: [a]}, {id: c, description: C, input: {b: b.output}}]`, 422, []string{"/subtasks/1/depends_on/0 cycle: a → c → b → a"}},
	{"a cycle in a body", `subtasks: [{id: l, kind: loop, loop: {until: 'true || x.output == 1', body: [{id: x, description: X, depends_on: [y]}, {id: y, description: Y, depends_on: [x]}]}}]`, 422, []string{"/subtasks/0/loop/body/1/depends_on/0 cycle"}},
	{"itself", `subtasks: [{id: a, description: A, depends_on: [a]}, {id: b, description: B, when: b.output == 1}]`, 422, []string{"/subtasks/0/depends_on/0 self_dependency", "/subtasks/1/when self_dependency"}},
	{"an unknown kind", `subtasks: [{description: A, kind: magic}]`, 400, []string{"/subtasks/0/kind"}},
	{"an unknown key", `subtasks: [{description: A, dependson: []}]`, 400, []string{"/subtasks/0/dependson unknown_field"}},
	{"keys of another kind", `subtasks: [{id: a, description: A, merge: concat}, {id: b, kind: merge, merge: concat, retry: {max_attempts: 2}}, {id: c, kind: loop}]`, 422, []string{"/subtasks/0/merge wrong_key", "/subtasks/1/retry wrong_key", "/subtasks/2 missing_key"}},
	{"unknown workers, tools, models and workflows", `subtasks: [{id: a, description: A, worker: nobody}, {id: b, kind: tool, tool: {name: nothing}}, {id: c, description: C, compensate: {name: nothing}},
  {id: d, kind: workflow, workflow: {name: nowhere}}]`, 422, []string{"/subtasks/0/worker unknown_worker", "/subtasks/1/tool/name unknown_tool", "/subtasks/2/compensate/name unknown_tool", "/subtasks/3/workflow/name unknown_workflow"}},
	{"arguments of a tool", `subtasks: [{id: a, kind: tool, tool: {name: look, arguments: {many: '1', other: '2'}}}]`, 422, []string{"/subtasks/0/tool/arguments missing_key", "/subtasks/0/tool/arguments/other wrong_key"}},
	{
		"parameters of a workflow", `subtasks: [{id: a, kind: workflow, workflow: {name: hello, context: {whom: '1'}}}, {id: b, kind: workflow, workflow: {name: hello, context: {who: '1'}}}]`, 422,
		[]string{"/subtasks/0/workflow/context missing_parameter", "/subtasks/0/workflow/context/whom unknown_parameter", "/subtasks/1/workflow/context/who schema_violation"},
	},
	{
		"names in expressions", `subtasks: [{id: a, description: A, when: T9.output == 1, input: {x: item, y: z-1.output}, output: outptu}, {id: z-1, description: B}]`, 422,
		[]string{"/subtasks/0/when invalid_expression: T9 is not known", "/subtasks/0/input/x invalid_expression", `/subtasks/0/input/y invalid_expression: subtasks["z-1"]`, "/subtasks/0/output invalid_expression"},
	},
	{
		"types", `subtasks: [{id: a, description: A, when: '"yes"', input: {x: '1 + "a"', y: a.status + 1}}, {id: b, kind: for_each, for_each: {items: '5', body: [{description: B}]}}, {id: c, kind: decide, decide: {by: threshold, value: '"x"', at_least: 1, options: [y, z]}},
  {id: d, kind: plan, plan: {task: '[1]'}}, {id: e, description: E, when: 'a.output ==='}, {id: f, description: F, check: {expr: size(output)}}]`, 422,
		[]string{"/subtasks/0/when invalid_expression: must give a bool", "/subtasks/0/input/x invalid_expression", "/subtasks/0/input/y", "/subtasks/1/for_each/items invalid_expression: must give a list", "/subtasks/2/decide/value invalid_expression", "/subtasks/3/plan/task invalid_expression", "/subtasks/4/when invalid_expression", "/subtasks/5/check/expr invalid_expression"},
	},
	{
		"branches that cannot be reached", `subtasks: [{id: d, kind: decide, decide: {by: expr, expr: task == "x", options: [y, z]}}, {id: a, description: A, when: 1 > 2}, {id: b, description: B, when: 'd.output == "w"'}, {id: c, description: C, when: 'd.output in ["v", "y"]'}]`, 422,
		[]string{"/subtasks/1/when unreachable", `/subtasks/2/when unknown_option: d has no option "w"`, `/subtasks/3/when unknown_option: "v"`},
	},
	{"a loop without bound", `subtasks: [{id: l, kind: loop, loop: {body: [{description: A}]}}]`, 422, []string{"/subtasks/0/loop unbounded_loop"}},
	{"bodies in bodies", `subtasks: [` + strings.Repeat(`{id: l, kind: loop, loop: {max_iterations: 1, body: [`, 10) + `{description: A}` + strings.Repeat(`]}}`, 10) + `]`, 422, []string{"/subtasks/0" + strings.Repeat("/loop/body/0", 8) + "/loop/body too_deep"}},
	{"too many", `subtasks: [` + strings.Repeat("{description: A},", 101) + `]`, 422, []string{"/subtasks too_many_subtasks"}},
	{"too many in bodies", `subtasks: [{id: l, kind: loop, loop: {max_iterations: 1, body: [` + strings.Repeat("{description: A},", 100) + `]}}]`, 422, []string{"/subtasks too_many_subtasks"}},
	{
		"out of range", `subtasks: [{id: l, kind: loop, loop: {max_iterations: 101, body: [{description: A}]}}, {id: e, kind: for_each, for_each: {items: '[]', max_items: 1001, body: [{description: A}]}}, {description: A, retry: {max_attempts: 11}}, {description: B, check: {regex: a, max_revisions: 11}}]`, 400,
		[]string{"/subtasks/0/loop/max_iterations", "/subtasks/1/for_each/max_items", "/subtasks/2/retry/max_attempts", "/subtasks/3/check/max_revisions"},
	},
	{"durations", `subtasks: [{id: a, description: A, timeout: 25h, cache: 1000h}, {id: b, kind: approval, approval: {message: M, default: approve}}]`, 422, []string{"/subtasks/0/timeout invalid_value", "/subtasks/0/cache invalid_value", "/subtasks/1/approval/timeout missing_key"}},
	{"schemas and patterns", `subtasks: [{id: a, description: A, check: {json_schema: {$ref: 'https://example.com/s.json'}}}, {id: b, description: B, check: {json_schema: {$ref: 'file:///etc/passwd'}}}, {id: c, description: C, check: {regex: '('}},
  {id: d, kind: decide, decide: {by: regex, pattern: '(?=a)', value: task, options: [y, z]}}]`, 422, []string{"/subtasks/0/check/json_schema invalid_schema", "/subtasks/1/check/json_schema invalid_schema", "/subtasks/2/check/regex invalid_pattern", "/subtasks/3/decide/pattern invalid_pattern"}},
	{
		"ids", `subtasks: [{id: task, description: A}, {id: item, description: B}, {id: list, description: C}, {id: in, description: D}, {id: a.b, description: E}, {id: x, description: F}, {id: x, description: G}]`, 422,
		[]string{"/subtasks/0/id reserved_id", "/subtasks/1/id reserved_id", "/subtasks/2/id reserved_id", "/subtasks/3/id reserved_id", "/subtasks/4/id invalid_id", "/subtasks/6/id duplicate_id"},
	},
	{
		"decisions", `subtasks: [{id: a, kind: decide, decide: {by: model, options: [x, y]}}, {id: b, kind: decide, decide: {by: expr, expr: 'true', prompt: P, options: [x, y]}}, {id: c, kind: decide, decide: {by: threshold, value: '1', options: [x, y, z]}}, {id: d, kind: decide, decide: {by: expr, expr: 'true', options: [x, x]}}]`, 422,
		[]string{"/subtasks/0/decide/prompt missing_key", "/subtasks/1/decide/prompt wrong_key", "/subtasks/2/decide/options invalid_value", "/subtasks/2/decide/at_least missing_key", "/subtasks/3/decide/options invalid_value"},
	},
	{"nothing", `subtasks: []`, 422, []string{"/subtasks empty_plan"}},
	{
		"nothing to do", `subtasks: [{id: a, description: ' '}, {id: b, description: B, depends_on: [c]}, {id: d, kind: tool, tool: {name: look, arguments: {what: '1'}}, on_failure: fallback}]`, 422,
		[]string{"/subtasks/0/description blank_description", "/subtasks/1/depends_on/0 unknown_dependency", "/subtasks/2/on_failure/fallback missing_key"},
	},
}

// Each fault of a plan is told with its place, all of them at once, and no model is
// called: by the check of plans, and to whoever would run it.
func TestFaultsOfPlans(t *testing.T) {
	r, _ := speaking(t)
	for _, m := range missayings {
		t.Run(m.name, func(t *testing.T) {
			plan := asJSON(t, m.plan)
			checked, refused := r.ask("POST", "/v1/plans/validate", plan), r.ask("POST", "/v1/runs", `{"task": "Hello", "plan": `+plan+`}`)
			code := "plan_invalid"
			if m.status == http.StatusBadRequest {
				code = "invalid_request"
			}
			if refused.status != m.status || refused.json["code"] != code || refused.kind != "application/problem+json" {
				t.Errorf("a run: status %d, %s", refused.status, refused.text)
			}
			wantFaults(t, "a run", refused, "/plan", m.want)
			if m.status == http.StatusBadRequest {
				if checked.status != m.status || checked.json["code"] != code {
					t.Errorf("a check: status %d, %s", checked.status, checked.text)
				}
			} else if checked.status != http.StatusOK || !strings.Contains(checked.text, `"valid":false`) {
				t.Errorf("a check: status %d, %s", checked.status, checked.text)
			}
			wantFaults(t, "a check", checked, "", m.want)
		})
	}
	if list := r.ask("GET", "/v1/runs", "").json["data"]; fmt.Sprint(list) != "[]" {
		t.Errorf("there are runs: %v", list)
	}
}

// wantFaults holds the faults of an answer to those that are wanted, each as
// "place code: some of its words".
func wantFaults(t *testing.T, who string, a answer, prefix string, want []string) {
	t.Helper()
	var told struct {
		Errors, Problems []struct{ Pointer, Code, Detail string }
	}
	if err := json.Unmarshal([]byte(a.text), &told); err != nil {
		t.Fatal(err)
	}
	faults := slices.Concat(told.Errors, told.Problems)
	for _, w := range want {
		place, words, _ := strings.Cut(w, ": ")
		i := slices.IndexFunc(faults, func(f struct{ Pointer, Code, Detail string }) bool {
			return strings.HasPrefix(f.Pointer+" "+f.Code, prefix+place) && strings.Contains(f.Detail, words)
		})
		if i < 0 {
			t.Errorf("%s is not told of %s: %s", who, w, a.text)
			continue
		}
		faults = slices.Delete(faults, i, i+1)
	}
	if len(faults) > 0 {
		t.Errorf("%s is told of more: %v", who, faults)
	}
}
