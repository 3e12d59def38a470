package main

// A spoken is a plan in the plan language, and what comes of it.
type spoken struct {
	name    string
	request string   // further keys of the request, in YAML
	plan    string   // in YAML
	decide  []string // what a person says whenever the run waits: "subtasks/a {…}", "plan {…}"
	want    string
	calls   string // of tools that change something, in their order
}

// sayings have each kind and each key of the plan language at least once.
var sayings = []spoken{
	{
		name: "a worker", plan: `
analysis: Two of them.
subtasks:
- {description: 'One [[sim json=1]]'}
- {id: b, kind: worker, worker: clerk, type: formal, description: 'Two [[sim json=2]]', depends_on: [T1]}`,
		want: "succeeded: T1 1; b 2",
	},
	{
		name: "a sequence", plan: `
order: sequential
subtasks:
- {id: a, description: BREAK}
- {id: b, description: Never, after: succeeded}
- {id: c, description: 'After all [[sim json=3]]', after: ended}`,
		want: "succeeded, partial: a failed upstream_error; b skipped dependency_failed; c 3",
	},
	{
		name: "values", plan: `
subtasks:
- {id: a-1, description: 'One [[sim json={"rows":[4,5]}]]', output: 'output.rows'}
- {id: b, description: 'See [[sim json=true]]', input: {first: 'subtasks["a-1"].output[0]', whole: 'subtasks["a-1"].output', said: task, to: context.audience}}
- {id: c, description: 'Go on [[sim json=6]]', when: b.output}
- {id: d, description: 'Never', when: '!b.output || run.id == ""'}
- {id: e, kind: decide, decide: {by: expr, expr: 'd.output == null && d.status == "skipped"', options: ['yes', 'no']}}`,
		want: "succeeded: a-1 [4,5]; b true; c 6; d skipped; e yes",
	},
	{
		name: "conditions that are none", plan: `
subtasks:
- {id: a, description: 'One [[sim json="yes"]]'}
- {id: b, description: 'Two', when: a.output}
- {id: c, kind: loop, loop: {until: x.output, max_iterations: 3, body: [{id: x, description: 'Three [[sim json=3]]'}]}}`,
		want: `succeeded, partial: a "yes"; b failed output_invalid; c failed output_invalid; c.1.x 3`,
	},
	{
		name: "a tool", plan: `
subtasks:
- {id: a, kind: tool, tool: {name: look, arguments: {what: '"tea"', many: 1 + 1}}}
- {id: b, kind: tool, tool: {name: look, arguments: {what: a.output.what}}, output: output.what, check: {expr: output.many == 1}}`,
		want: `succeeded, partial: a {"many":2,"what":"tea"}; b failed check_failed`,
	},
	{
		name: "decisions", plan: `
subtasks:
- {id: a, description: 'Rate [[sim json={"n":7,"text":"so so"}]]'}
- {id: b, kind: decide, decide: {by: model, prompt: 'Which?', options: [x, y]}, input: {n: a.output.n}, timeout: 30s}
- {id: c, kind: decide, decide: {by: regex, pattern: ^so, value: a.output.text, options: [x, y]}}
- {id: d, kind: decide, decide: {by: threshold, value: a.output.n, at_least: 7.5, options: [x, y]}}
- {id: e, kind: decide, decide: {by: expr, expr: c.output + d.output, options: [xx, xy]}}`,
		want: `succeeded: a {"n":7,"text":"so so"}; b x; c x; d y; e xy`,
	},
	{
		name: "a decision to stop", plan: `
subtasks:
- {id: a, description: 'One [[sim json=1]]'}
- {id: b, kind: decide, decide: {by: expr, expr: a.output == 1, options: [stop, go]}}
- {id: c, description: Never, depends_on: [b]}`,
		want: "succeeded: a 1; b stop; c skipped",
	},
	{
		name: "a decision to replan", plan: `
subtasks:
- {id: a, description: 'One [[sim json=1]]'}
- {id: b, kind: decide, decide: {by: expr, expr: a.output == 1, options: [replan, go]}}
- {id: c, description: Never, depends_on: [b]}`,
		want: "succeeded: a 1; b replan; R in another way",
	},
	{
		name: "a decision to ask", plan: `
subtasks:
- {id: b, kind: decide, decide: {by: model, prompt: 'Which? [[sim option="escalate"]]', options: [x, y, escalate]}}`,
		decide: []string{`subtasks/b {"action": "edit", "output": "y"}`},
		want:   "succeeded: b y",
	},
	{
		name: "merges", plan: `
subtasks:
- {id: a, description: 'One [[sim json={"x":1,"y":1}]]'}
- {id: b, description: 'Two [[sim json={"y":2}]]'}
- {id: c, kind: merge, merge: concat, depends_on: [a, b]}
- {id: d, kind: merge, merge: merge, depends_on: [a, b]}
- {id: e, kind: merge, merge: replace, depends_on: [b, a], output: output.x}`,
		want: `succeeded: a {"x":1,"y":1}; b {"y":2}; c {"x":1,"y":1} {"y":2}; d {"x":1,"y":2}; e 1`,
	},
	{
		name: "each item", plan: `
subtasks:
- id: a
  kind: for_each
  for_each:
    items: '["tea", "none"]'
    max_items: 2
    max_concurrency: 1
    order: sequential
    body:
    - {id: x, kind: tool, tool: {name: look, arguments: {what: item, many: index}}}
    - {id: y, description: 'Tell [[sim json="told"]]', input: {x: x.output.many}}
  output: 'output.map(o, o.status)'`,
		want: `succeeded, partial: a ["succeeded","failed"]; a.1.x {"many":0,"what":"tea"}; a.1.y "told"; a.2.x failed tool_failed; a.2.y skipped dependency_failed`,
	},
	{
		name: "items that a decision leaves undone", plan: `
subtasks:
- {id: a, kind: for_each, for_each: {items: '[1, 2, 3]', max_concurrency: 1, body: [{id: d, kind: decide, decide: {by: expr, expr: item == 2, options: [stop, go]}}, {id: x, description: 'One [[sim json=1]]', depends_on: [d]}]}, output: 'output.map(o, o.status)'}`,
		want: `succeeded: a ["succeeded","skipped","skipped"]; a.1.d go; a.1.x 1; a.2.d stop; a.2.x skipped`,
	},
	{
		name: "bodies that are made up for", plan: `
subtasks:
- {id: a, kind: loop, loop: {max_iterations: 2, body: [{id: x, description: BREAK}]}, on_failure: {fallback: {value: 1}}}
- {id: b, kind: for_each, for_each: {items: '[1]', body: [{id: l, kind: loop, loop: {max_iterations: 2, body: [{id: x, description: BREAK}]}}]}, on_failure: escalate}`,
		decide: []string{`subtasks/b {"action": "edit", "output": [2]}`},
		want:   "succeeded: a 1; b [2]; a.1.x failed upstream_error; b.1.l failed upstream_error; b.1.l.1.x failed upstream_error",
	},
	{
		name: "a loop until", plan: `
subtasks:
- id: a
  kind: loop
  loop:
    until: output >= 6 || x.status == "failed"
    max_iterations: 3
    order: sequential
    body:
    - {id: x, kind: tool, tool: {name: look, arguments: {what: '"n"', many: 'previous == null ? 3 : previous + iteration + 1'}}}
    - {id: y, kind: merge, merge: replace, depends_on: [x], output: output.many}`,
		want: `succeeded: a 6; a.1.x {"many":3,"what":"n"}; a.1.y 3; a.2.x {"many":6,"what":"n"}; a.2.y 6`,
	},
	{
		name: "a loop that changes nothing", plan: `
subtasks:
- {id: a, kind: loop, loop: {stop_when_unchanged: x.output, body: [{id: x, description: 'One [[sim json=1]]', input: {before: previous}}]}}`,
		want: "succeeded: a 1; a.1.x 1; a.2.x 1",
	},
	{
		name: "a plan in the plan", plan: `
subtasks:
- {id: a, kind: plan, plan: {task: '"PART of " + task', max_subtasks: 2, depth: 2}, input: {to: context.audience}, output: output + "!"}`,
		want: `succeeded: a deep!; a.1.P deep; a.1.P.1.Q deep`,
	},
	{
		name: "an approval", plan: `
subtasks:
- {id: a, description: 'One [[sim json=1]]'}
- {id: b, kind: approval, approval: {message: 'Is it good?'}, depends_on: [a]}
- {id: c, kind: approval, approval: {message: 'Really?', timeout: 20ms, default: approve}, depends_on: [b]}
- {id: d, kind: approval, approval: {message: 'At all?', timeout: 20ms}, depends_on: [c], on_failure: skip}`,
		decide: []string{`subtasks/b {"action": "edit", "output": "better"}`},
		want:   "succeeded, partial: a 1; b better; c better; d skipped rejected",
	},
	{
		name: "a workflow in the plan", plan: `
subtasks:
- {id: a, description: 'One [[sim json="Ada"]]'}
- {id: b, kind: workflow, workflow: {name: hello, context: {who: a.output}}, output: output.what}`,
		want: `succeeded: a "Ada"; b Ada; b.1.x {"many":5,"what":"Ada"}`,
	},
	{
		name: "checks", plan: `
subtasks:
- {id: a, description: 'One [[sim json={"n":"x"}]] [[sim json={"n":1}]]', check: {json_schema: {properties: {n: {type: integer}}}}}
- {id: b, description: 'Two [[sim json="no"]]', check: {regex: '^"y', max_revisions: 0}}
- {id: c, description: 'Three [[sim json={"n":3}]]', check: {expr: 'output.n == 3 && output.revision == 1', max_revisions: 2}}
- {id: d, description: 'Four [[sim unsatisfied=1]]', check: {rubric: It must be good.}, output: '"judged"'}`,
		want: `succeeded, partial: a {"n":1}; b failed check_failed; c {"revision":1,"n":3}; d judged`,
	},
	{
		name: "a policy", request: `policy: [{regex: '^"y', max_revisions: 0}]`, plan: `
subtasks:
- {id: a, description: 'One [[sim json="yes"]]'}
- {id: b, description: 'Two [[sim json="no"]]'}`,
		want: `succeeded, partial: a "yes"; b failed policy_violation`,
	},
	{
		name: "retries", plan: `
subtasks:
- {id: a, kind: tool, tool: {name: flaky, arguments: {times: '2'}}, retry: {max_attempts: 3, backoff: 1ms}}
- {id: b, kind: tool, tool: {name: flaky, arguments: {times: '3'}}, retry: {max_attempts: 2, backoff: 1ms}}
- {id: c, description: 'Long [[sim latency=5m]]', timeout: 20ms, retry: {max_attempts: 1}}`,
		want: "succeeded, partial: a done; b failed tool_failed; c failed upstream_timeout",
	},
	{
		name: "what fails and does not matter", plan: `
subtasks:
- {id: a, description: BREAK, on_failure: skip}
- {id: b, description: BREAK, on_failure: fallback}
- {id: c, description: BREAK, on_failure: {fallback: {prompt: 'Simply [[sim json=1]]', model: other-model}}}
- {id: d, kind: tool, tool: {name: look, arguments: {what: '"none"'}}, on_failure: {fallback: {value: {"n": [1]}}}}
- {id: e, description: 'Go on [[sim json=2]]', depends_on: [a, c, d]}`,
		want: `succeeded, partial: a skipped upstream_error; b failed upstream_error; c 1; d {"n":[1]}; e 2`,
	},
	{
		name: "what fails and is asked about", plan: `
subtasks:
- {id: a, kind: tool, tool: {name: flaky, arguments: {times: '1'}}, retry: {max_attempts: 1}, on_failure: escalate}
- {id: b, description: 'Two [[sim json="no"]]', check: {regex: '^"y', max_revisions: 0}, on_failure: escalate, depends_on: [a]}
- {id: c, description: BREAK, on_failure: escalate, depends_on: [b]}`,
		decide: []string{`subtasks/a {"action": "retry"}`, `subtasks/b {"action": "approve"}`, `subtasks/c {"action": "reject", "comment": "It is of no use."}`},
		want:   `succeeded, partial: a done; b "no"; c failed rejected`,
	},
	{
		name: "what fails and has the plan revised", plan: `
subtasks:
- {id: a, description: BREAK, on_failure: replan}
- {id: b, description: Never, depends_on: [a]}`,
		want: "succeeded: a failed upstream_error; R in another way",
	},
	{
		name: "what fails and is undone", plan: `
subtasks:
- {id: a, kind: tool, tool: {name: make, arguments: {what: '"first"'}}, compensate: {name: undo, arguments: {what: output.what}}}
- {id: b, description: 'Two [[sim json="second"]]', depends_on: [a], compensate: {name: undo, arguments: {what: output}}}
- {id: c, description: BREAK, depends_on: [b], on_failure: fail}`,
		want:  `failed: a {"many":null,"what":"first"}; b "second"; c failed upstream_error`,
		calls: "make first, undo second, undo first",
	},
	{
		name: "a plan that is looked at first", request: `review_plan: true`, plan: `
subtasks:
- {id: a, description: 'One [[sim json=1]]'}`,
		decide: []string{`plan {"action": "edit", "version": 1, "plan": {"subtasks": [{"id": "b", "description": "Two [[sim json=2]]"}]}}`},
		want:   "succeeded: b 2",
	},
	{
		name: "something kept", plan: `
subtasks:
- {id: a, description: 'One [[sim json=1]]', cache: 1h}
- {id: b, description: 'Two [[sim json=2]]', depends_on: [a]}`,
		want: "succeeded: a 1; b 2",
	},
	{
		name: "something used again", plan: `
subtasks:
- {id: a, description: 'One [[sim json=1]]', cache: 1h}
- {id: b, description: 'Three [[sim json=3]]', depends_on: [a]}`,
		want: "succeeded: a 1 (cached); b 3",
	},
}
