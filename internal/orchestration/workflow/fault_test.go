package workflow

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const head = "name: w\nversion: \"1\"\n" // two lines

// TestFaults has every fault of a template told at its place, all at once.
func TestFaults(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"none", head + "task: x\n", ""},
		{"empty", "", "f:1:1: The template is empty.\n"},
		{"comments", "# nothing\n", "f:1:1: The template is empty.\n"},
		{"no YAML", head + "task: [a\nb: }", "f:3:1: This is no YAML: did not find expected ',' or ']'.\n"},
		{"no key", head + "task: x\n- a\n", "f:4:1: This is no YAML: did not find expected key.\n"},
		{"tab", head + "plan:\n\tsubtasks: []\n", "f:4:1: This is no YAML: found character that cannot start any token.\n"},
		{"bad UTF-8", "name: \xff\n", "f:1:1: This is no YAML: invalid leading UTF-8 octet.\n"},
		{"a list", "- a\n", "f:1:1: This must be of type object, not array.\n"},
		{"two documents", head + "---\nname: b\n", "f:3:1: There is a second document; a file has one template.\n"},
		{"nothing said", "task: x\n", `f:1:1: /name: The key name is missing.
f:1:1: /version: The key version is missing.
`},
		{"anchor", head + "task: &a x\n", "f:3:7: /task: Anchors (&name) are not supported.\nf:3:7: /task: This must be of type string, not null.\n"},
		{"alias", head + "task: &a x\ndescription: *a\n", `f:3:7: /task: Anchors (&name) are not supported.
f:3:7: /task: This must be of type string, not null.
f:4:14: /description: Aliases (*name) are not supported: write the value out.
f:4:14: /description: This must be of type string, not null.
`},
		{"merge key", head + "limits:\n  <<: {max_attempts: 1}\n  max_subtasks: 3\n", "f:4:3: /limits/<<: Merge keys (<<) are not supported: write the keys out.\n"},
		{"tag", head + "task: !!binary aGk=\n", "f:3:7: /task: Tags (!!binary) are not supported: a value is what it looks like, and a text is put in quotes.\nf:3:7: /task: This must be of type string, not null.\n"},
		{"duplicate key", head + "task: a\n\"task\": b\n", "f:4:1: /task: The key \"task\" is there twice; the first one is in line 3.\n"},
		{"complex key", head + "[a]: b\n", "f:3:1: A key must be a plain text.\n"},
		{"number of another form", head + "limits: {max_attempts: 0x3}\n", "f:3:24: /limits/max_attempts: 0x3 is no number as JSON writes one, such as 12 or 0.5; a text is put in quotes.\nf:3:24: /limits/max_attempts: This must be of type integer, not null.\n"},
		{"a date is a text", head + "task: 2026-01-01\n", ""},
		{"a whole number written long", head + "limits: {max_attempts: 3.0}\n", ""},
		{"version as a number", "name: w\nversion: 1.10\n", "f:2:10: /version: This must be of type string, not number. Put it in quotes.\n"},
		{"version", "name: w\nversion: v1\n", "f:2:10: /version: A version is one to three numbers, such as \"1\" or \"1.2.0\".\n"},
		{"name", "name: a b\nversion: \"1\"\n", "f:1:7: /name: This must match ^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$.\n"},
		{"unknown key", head + "plann: {subtasks: []}\n", "f:3:1: /plann: The key \"plann\" is unknown; perhaps plan is meant.\n"},
		{"unknown key of a subtask", head + "plan:\n  subtasks:\n    - description: x\n      depend_on: [a]\n", "f:6:7: /plan/subtasks/0/depend_on: The key \"depend_on\" is unknown; perhaps depends_on is meant.\n"},
		{"unknown key of a fallback", head + "plan:\n  subtasks:\n    - description: x\n      on_failure: {fallback: {promt: y}}\n", "f:6:31: /plan/subtasks/0/on_failure/fallback/promt: The key \"promt\" is unknown; perhaps prompt is meant.\n"},
		{"unknown on_failure", head + "plan:\n  subtasks:\n    - description: x\n      on_failure: skp\n", "f:6:19: /plan/subtasks/0/on_failure: This must be one of fail, skip, fallback, replan, escalate; perhaps skip is meant.\n"},
		{"what the core sets", head + "plan:\n  subtasks:\n    - {description: x, parent: a}\n", "f:5:24: /plan/subtasks/0/parent: The key \"parent\" is unknown.\n"},
		{"unknown kind", head + "plan:\n  subtasks:\n    - {description: x, kind: loops}\n", "f:5:30: /plan/subtasks/0/kind: This must be one of worker, tool, plan, decide, merge, for_each, loop, approval, workflow; perhaps loop is meant.\n"},
		{"duration", head + "limits: {timeout: 5 minutes}\n", "f:3:19: /limits/timeout: This must be a duration such as \"90s\" or \"1h30m\".\n"},
		{"too long a duration", head + "limits: {timeout: 48h}\n", "f:3:19: /limits/timeout: This must be more than 0 and at most 24h0m0s.\n"},
		{"out of range", head + "limits: {max_attempts: 11, max_cost_usd: 0}\n", "f:3:24: /limits/max_attempts: This must be at most 10.\nf:3:42: /limits/max_cost_usd: This must be more than 0.\n"},
		{"planner's bounds", head + "planner: {min_subtasks: 4, max_subtasks: 3}\n", "f:3:42: /planner/max_subtasks: This must be at least min_subtasks, 4.\n"},
		{"unknown model", head + "worker: {model: large}\nplanner: {model: small}\n", "f:3:17: /worker/model: The model \"large\" is not configured.\n"},
		{"label", head + "labels: {a b: c}\n", "f:3:10: /labels/a b: The name \"a b\" has characters that it may not have, or too many.\n"},
		{"prompts", head + "parameters: {audience: {required: true}}\nworker:\n  prompt: \"{task_description} for {audiense}\"\nplanner: {prompt: \"{task\"}\n", `f:5:11: /worker/prompt: the prompt uses {audiense}, which is not given: it is no key of context, and none of original_task, task_type, task_description, dependencies
f:6:19: /planner/prompt: line 1, character 1: a single { is not closed; write {{ for the character itself
`},
		{"parameters", head + `parameters:
  a: {required: true, default: 1}
  b: {description: neither}
  c: {default: high, schema: {enum: [low]}}
  d: {default: 1, schema: {$ref: "https://example.com/s"}}
  e-f: {required: true}
  g:
`, `f:4:6: /parameters/a: The parameter a is required, so that its default is never used: give one of both.
f:5:6: /parameters/b: The parameter b has no value where the caller gives none: give it a default, or say required: true.
f:6:16: /parameters/c/default: The default does not satisfy the parameter's schema: value must be 'low'.
f:7:27: /parameters/d/schema: the JSON Schema cannot be used: failing loading "https://example.com/s": references out of the schema are not followed.
f:8:3: /parameters/e-f: The name "e-f" has characters that it may not have, or too many.
f:9:5: /parameters/g: This must be of type object, not null.
`},
		{"unknown parameter", head + "parameters: {tone: {default: dry}}\nplan:\n  subtasks:\n    - description: x\n      input:\n        a: context.tone + context.tonne\n", "f:8:12: /plan/subtasks/0/input/a: The expression reads context.tonne, which is no parameter; perhaps tone is meant.\n"},
		{"the plan's own faults", head + `plan:
  subtasks:
    - id: a
      description: x
      depends_on:
        - z
    - id: b
      description: y
      depends_on: [a, c]
    - id: d
`, `f:8:11: /plan/subtasks/0/depends_on/0: Subtask a depends on "z", which is no subtask of the plan.
f:11:23: /plan/subtasks/1/depends_on/1: Subtask b depends on "c", which is no subtask of the plan.
f:12:7: /plan/subtasks/2/description: Subtask d has no description: say what is to be done.
`},
		{"a cycle", head + "plan:\n  subtasks:\n    - {id: a, description: x, depends_on: [b]}\n    - {id: b, description: x, depends_on: [a]}\n", "f:6:44: /plan/subtasks/1/depends_on/0: The subtasks wait for each other: a → b → a.\n"},
		{"shape and meaning at once", head + `plan:
  subtasks:
    - {id: a, descr: x}
    - {id: 2, description: y}
    - {id: c, description: z, depends_on: ["2", q]}
    - {id: d, depends_on: 5}
    - {id: e, description: [z]}
    - just text
`, `f:5:7: /plan/subtasks/0/description: Subtask a has no description: say what is to be done.
f:5:15: /plan/subtasks/0/descr: The key "descr" is unknown.
f:6:12: /plan/subtasks/1/id: This must be of type string, not number. Put it in quotes.
f:7:49: /plan/subtasks/2/depends_on/1: Subtask c depends on "q", which is no subtask of the plan.
f:8:7: /plan/subtasks/3/description: Subtask d has no description: say what is to be done.
f:8:27: /plan/subtasks/3/depends_on: This must be of type array, not number.
f:9:28: /plan/subtasks/4/description: This must be of type string, not array.
f:10:7: /plan/subtasks/5: This must be of type object, not string.
`},
		{"policy", head + "policy:\n  - regex: ok\n  - {regex: ok, max_revision: 1}\n", "f:5:17: /policy/1/max_revision: The key \"max_revision\" is unknown; perhaps max_revisions is meant.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, faults := Parse("f", []byte(c.text))
			if got != nil {
				faults = got.Check(rules())
			}
			if diff := cmp.Diff(c.want, lines(faults)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestDeepFaults has what is wrong deep in bodies told at its line.
func TestDeepFaults(t *testing.T) {
	text := head + `plan:
  subtasks:
    - id: a
      kind: loop
      loop:
        max_iterations: 3
        body:
          - id: b
            kind: for_each
            for_each:
              items: context.rows
              body:
                - id: c
                  description: |
                    Something
                  when: context.when
                  wen: "true"
`
	got, faults := Parse("f", []byte(text))
	const want = "f:19:19: /plan/subtasks/0/loop/body/0/for_each/body/0/wen: The key \"wen\" is unknown; perhaps when is meant.\n"
	if diff := cmp.Diff(want, lines(faults)); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	all := lines(got.Check(rules()))
	for _, want := range []string{
		"f:13:22: /plan/subtasks/0/loop/body/0/for_each/items: The expression reads context.rows, which is no parameter.\n",
		"f:18:25: /plan/subtasks/0/loop/body/0/for_each/body/0/when: The expression reads context.when, which is no parameter.\n",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("nobody says %sbut\n%s", want, all)
		}
	}
}

// TestUnreadPart has a part that was not read told once, not also as missing.
func TestUnreadPart(t *testing.T) {
	if !kindsKnown() {
		t.Skip("the core knows no loops")
	}
	got, _ := Parse("f", []byte(head+"plan:\n  subtasks:\n    - {kind: loop, loop: 5}\n"))
	const want = "f:5:26: /plan/subtasks/0/loop: This must be of type object, not number.\n"
	if diff := cmp.Diff(want, lines(got.Check(rules()))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
