package workflow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// indexed returns templates, without the checks of a folder.
func indexed(t testing.TB, texts ...string) Rules {
	t.Helper()
	c := &catalog{byName: map[string]*Template{}}
	for _, text := range texts {
		c.list = append(c.list, must(t, text))
	}
	if faults := c.index(); len(faults) > 0 {
		t.Fatalf("%s", lines(faults))
	}
	r := rules()
	r.Lookup, r.Names = c.get, c.names
	return r
}

func planOf(t testing.TB, yaml string) orchestration.Plan {
	t.Helper()
	return *must(t, head+"plan:\n  subtasks:\n"+yaml).Plan
}

func TestResolve(t *testing.T) {
	r := indexed(t,
		"name: inner\nversion: \"1.1\"\nparameters: {tone: {default: dry}, who: {required: true}}\n"+
			"plan: {order: sequential, subtasks: [{id: a, description: A}, {id: b, description: B}, {id: c, description: C, depends_on: [b]}]}\n",
		"name: inner\nversion: \"1.0\"\ntask: an old one\n",
		"name: planned\nversion: \"2\"\ntask: \"Say \\\"hi\\\" <now>\"\nplanner: {max_subtasks: 3}\n",
		"name: outer\nversion: \"1\"\nplan: {subtasks: [{id: x, kind: workflow, workflow: {name: inner, context: {who: '\"me\"'}}}]}\n",
	)
	plan := planOf(t, `
    - {id: one, kind: workflow, workflow: {name: inner, context: {who: context.user}}}
    - {id: two, kind: loop, loop: {body: [{id: x, kind: workflow, workflow: {name: planned@2.0}}]}}
    - {id: three, kind: workflow, workflow: {name: outer}}
`)
	before, _ := json.Marshal(plan)
	whole, problems := r.Resolve(plan)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if after, _ := json.Marshal(plan); !bytes.Equal(after, before) {
		t.Error("the plan that was given has changed")
	}
	one := whole.Subtasks[0].Workflow
	if one.Name != "inner@1.1" || string(one.Defaults) != `{"tone":"dry"}` || one.Context["who"] != "context.user" {
		t.Errorf("the first is %+v", one)
	}
	var chain []string
	for _, s := range one.Body {
		chain = append(chain, fmt.Sprint(s.ID, s.DependsOn))
	}
	if diff := cmp.Diff([]string{"a[]", "b[a]", "c[b]"}, chain); diff != "" {
		t.Error(diff)
	}
	planned := whole.Subtasks[1].Loop.Body[0].Workflow
	if planned.Name != "planned@2" || len(planned.Body) != 1 || planned.Body[0].Kind != orchestration.KindPlan ||
		planned.Body[0].Plan.Task != `"Say \"hi\" <now>"` || planned.Body[0].Plan.MaxSubtasks != 3 {
		t.Errorf("the second is %+v", planned)
	}
	if inner := whole.Subtasks[2].Workflow.Body[0].Workflow; inner.Name != "inner@1.1" || len(inner.Body) != 3 {
		t.Errorf("the third's is %+v", inner)
	}
	again, problems := r.Resolve(whole)
	if diff := cmp.Diff(whole, again); diff != "" || len(problems) > 0 {
		t.Errorf("a second time it comes to %v\n%s", problems, diff)
	}
}

func TestResolveProblems(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("{kind: workflow, workflow: {name: NEXT}},", 20), ",")
	texts := []string{
		"name: a\nversion: \"1\"\nplan: {subtasks: [{kind: workflow, workflow: {name: b}}]}\n",
		"name: b\nversion: \"1\"\nplan: {subtasks: [{kind: for_each, for_each: {items: '[]', body: [{kind: workflow, workflow: {name: a}}]}}]}\n",
		"name: silent\nversion: \"1\"\n",
		"name: p\nversion: \"1\"\nparameters: {n: {required: true, schema: {type: integer}}, m: {default: 1}}\ntask: x\n",
	}
	for i := range 9 {
		texts = append(texts, fmt.Sprintf("name: deep%d\nversion: \"1\"\nplan: {subtasks: [{kind: workflow, workflow: {name: deep%d}}]}\n", i, i+1))
	}
	for i := range 5 { // which would come to 20^5 subtasks
		texts = append(texts, fmt.Sprintf("name: wide%d\nversion: \"1\"\nplan: {subtasks: [%s]}\n", i, strings.ReplaceAll(many, "NEXT", fmt.Sprint("wide", i+1))))
	}
	texts = append(texts, "name: deep9\nversion: \"1\"\ntask: x\n", "name: wide5\nversion: \"1\"\ntask: x\n")
	r := indexed(t, texts...)
	for _, c := range []struct{ name, workflow, want string }{
		{"unknown", "{name: silet}", `/subtasks/0/workflow/name unknown_workflow There is no workflow "silet"; perhaps silent is meant.`},
		{"unknown version", "{name: a@2}", `/subtasks/0/workflow/name unknown_workflow There is no workflow "a@2".`},
		{"cycle", "{name: a}", `/subtasks/0/workflow/body/0/workflow/body/0/for_each/body/0/workflow/name cycle The workflow is part of itself: a@1 → b@1 → a@1.`},
		{"no task", "{name: silent}", `/subtasks/0/workflow/name no_task The workflow silent@1 has neither a plan nor a task of its own, so that nothing can be put in its place.`},
		{"missing", "{name: p}", `/subtasks/0/workflow/context missing_parameter The workflow p@1 needs the parameter n.`},
		{"unknown parameter", "{name: p, context: {n: context.x, mm: '1'}}", `/subtasks/0/workflow/context/mm unknown_parameter The workflow p@1 has no parameter mm; perhaps m is meant.`},
		{"constant", "{name: p, context: {n: '\"one\"'}}", `/subtasks/0/workflow/context/n schema_violation The value does not satisfy the schema of the parameter n of the workflow p@1: got string, want integer.`},
		{"deep", "{name: deep0}", "too_deep More than 8 workflows are in each other: deep0@1 → deep1@1"},
		{"wide", "{name: wide0}", "/workflow/name too_many_subtasks With the workflow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := r.Resolve(planOf(t, "    - {kind: workflow, workflow: "+c.workflow+"}\n"))
			if len(problems) == 0 || len(problems) > maxFaults {
				t.Fatalf("%d problems", len(problems))
			}
			var all strings.Builder
			for _, p := range problems {
				fmt.Fprintln(&all, p.Pointer, p.Code, p.Detail)
			}
			if !strings.Contains(all.String(), c.want) {
				t.Errorf("got  %s\nwant %s", all.String(), c.want)
			}
		})
	}
}

// TestResolveEnds has every folder's templates put into each other end, and
// what comes out be complete or refused.
func TestResolveEnds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := []string{"a", "b", "c", "d", "e"}
		var texts []string
		for _, name := range names {
			var subtasks []string
			for range rapid.IntRange(1, 4).Draw(rt, "subtasks") {
				subtasks = append(subtasks, rapid.SampledFrom([]string{
					"{description: x}", "{kind: workflow, workflow: {name: a}}", "{kind: workflow, workflow: {name: b}}", "{kind: workflow, workflow: {name: c}}",
					"{kind: loop, loop: {body: [{kind: workflow, workflow: {name: d}}]}}", "{kind: workflow, workflow: {name: e@1.0.0}}",
				}).Draw(rt, "subtask"))
			}
			texts = append(texts, "name: "+name+"\nversion: \"1\"\nplan: {subtasks: ["+strings.Join(subtasks, ", ")+"]}\n")
		}
		r := indexed(t, texts...)
		plan, problems := r.Resolve(planOf(t, "    - {kind: workflow, workflow: {name: a}}\n"))
		if whole(plan.Subtasks) != (len(problems) == 0) {
			rt.Fatalf("%v of %s", problems, texts)
		}
	})
}

// whole reports whether all workflows are in their places.
func whole(subtasks []orchestration.Subtask) bool {
	for i := range subtasks {
		s := &subtasks[i]
		if s.Workflow != nil && (len(s.Workflow.Body) == 0 || !whole(s.Workflow.Body)) || s.Loop != nil && !whole(s.Loop.Body) {
			return false
		}
	}
	return true
}

func TestLoad(t *testing.T) {
	const a = "name: a\nversion: \"%s\"\ntask: x\n"
	folder := func(files ...string) fstest.MapFS {
		m := fstest.MapFS{"README.md": {Data: []byte("no template")}, "schema.json": {Data: []byte("{}")}, "sub/c.yaml": {Data: []byte("- no")}, ".hidden.yaml": {Data: []byte("- no")}}
		for i := 0; i < len(files); i += 2 {
			m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
		return m
	}
	t.Run("versions", func(t *testing.T) {
		c, faults := load(folder("1.yaml", fmt.Sprintf(a, "1.9"), "2.yml", fmt.Sprintf(a, "1.10"), "3.yaml", fmt.Sprintf(a, "1"), "4.yaml", "name: B\nversion: \"1\"\n"), rules())
		if len(faults) > 0 {
			t.Fatalf("%s", lines(faults))
		}
		var ids []string
		for _, w := range c.all() {
			ids = append(ids, w.ID())
		}
		if diff := cmp.Diff([]string{"B@1", "a@1", "a@1.9", "a@1.10"}, ids); diff != "" {
			t.Error(diff)
		}
		for ref, want := range map[string]string{"a": "a@1.10", "a@1": "a@1", "a@1.0.0": "a@1", "a@1.9.0": "a@1.9", "a@2": "", "a@": "", "b": "", "": "", "a@1.0.0.0": ""} {
			got, ok := c.get(ref)
			if ok != (want != "") || ok && got.ID() != want {
				t.Errorf("%q is %v", ref, got)
			}
		}
	})
	t.Run("faults", func(t *testing.T) {
		_, faults := load(folder(
			"a.yaml", fmt.Sprintf(a, "1"), "b.yaml", fmt.Sprintf(a, "1.0")+"tsk: x\n",
			"c.yaml", "name: c\nversion: \"1\"\nplan:\n  subtasks:\n    - kind: workflow\n      workflow: {name: d}\n",
			"d.yaml", "name: d\nversion: \"1\"\nplan:\n  subtasks:\n    - kind: workflow\n      workflow: {name: c}\n    - kind: workflow\n      workflow: {name: none}\n",
			"e.yaml", "[",
			"g.yaml", "name: g\nversion: \"1\"\nplan: {subtasks: [{id: x}]}\n", "h.yaml", "name: h\nversion: \"1\"\nplan: {subtasks: [{kind: workflow, workflow: {name: g}}]}\n",
		), rules())
		const want = `b.yaml:2:10: /version: The file a.yaml has the workflow a@1 already.
b.yaml:4:1: /tsk: The key "tsk" is unknown; perhaps task is meant.
c.yaml:6:17: /plan/subtasks/0/workflow/body/0/workflow/name: The workflow is part of itself: c@1 → d@1 → c@1.
d.yaml:6:17: /plan/subtasks/0/workflow/body/0/workflow/name: The workflow is part of itself: d@1 → c@1 → d@1.
d.yaml:8:24: /plan/subtasks/1/workflow/name: There is no workflow "none"; perhaps one is meant.
e.yaml:2:1: This is no YAML: did not find expected node content.
g.yaml:3:19: /plan/subtasks/0/description: Subtask x has no description: say what is to be done.
`
		got := lines(faults)
		var kept strings.Builder
		for line := range strings.Lines(strings.ReplaceAll(want, "; perhaps one is meant", "")) {
			if !strings.Contains(got, line) {
				t.Errorf("nobody says %s", line)
			}
			kept.WriteString(line)
		}
		if strings.Contains(got, "workflow/body/0/description") || strings.Contains(got, "workflow/body/1/workflow/name") {
			t.Errorf("what is wrong with one is told of those that it is put into, too:\n%s", got)
		}
		if kindsKnown() && got != kept.String() {
			t.Errorf("got\n%s", got)
		}
	})
	t.Run("no folder", func(t *testing.T) {
		if c, faults := load(fstest.MapFS{}, rules()); c == nil || len(faults) > 0 {
			t.Errorf("an empty folder: %s", lines(faults))
		}
	})
}

func TestStore(t *testing.T) {
	folder := fstest.MapFS{"a.yaml": {Data: []byte("name: a\nversion: \"1\"\ntask: x\n")}}
	s, faults := NewStore(folder, rules())
	if len(faults) > 0 {
		t.Fatalf("%s", lines(faults))
	}
	first, _ := s.Get("a")
	folder["b.yaml"] = &fstest.MapFile{Data: []byte("name: a\nversion: \"2\"\ntsk: x\n")}
	if faults := s.Reload(); len(faults) != 1 || faults[0].File != "b.yaml" {
		t.Errorf("a bad reload says\n%s", lines(faults))
	}
	if now, _ := s.Get("a"); now != first || len(s.List()) != 1 {
		t.Error("a bad reload changed something")
	}
	folder["b.yaml"] = &fstest.MapFile{Data: []byte("name: a\nversion: \"2\"\ntask: y\n")}
	if faults := s.Reload(); faults != nil {
		t.Errorf("%s", lines(faults))
	}
	if now, _ := s.Get("a"); now.Task != "y" || len(s.List()) != 2 {
		t.Error("a good reload changed nothing")
	}
	inline, faults := s.Read([]byte(`{"name": "b", "version": "1", "plan": {"subtasks": [{"id": "x", "description": "X"}]}}`))
	if len(faults) > 0 {
		t.Fatalf("%s", lines(faults))
	}
	if launch, faults := s.Apply(inline, json.RawMessage(`{"task": "z"}`)); len(faults) > 0 || launch.Plan.Subtasks[0].ID != "x" {
		t.Errorf("a template in a request begins with %+v\n%s", launch, lines(faults))
	}
	plan, problems := s.Resolve(planOf(t, "    - {kind: workflow, workflow: {name: a}}\n"))
	if len(problems) > 0 || plan.Subtasks[0].Workflow.Name != "a@2" {
		t.Errorf("it puts %+v in its place: %v", plan.Subtasks[0].Workflow, problems)
	}
	if _, faults := NewStore(fstest.MapFS{"a.yaml": {Data: []byte("-")}}, rules()); len(faults) == 0 {
		t.Error("a bad folder makes a store")
	}
}

// A plan that is put together while the folder is read anew has all of its templates
// from the same reading.
func TestReloadInTheMiddleOfAPlan(t *testing.T) {
	const template = "name: a\nversion: %q\ntask: x\nparameters: {n: {required: true, schema: {type: integer}}}\n"
	folder := fstest.MapFS{"a.yaml": {Data: fmt.Appendf(nil, template, "1")}}
	hangup := func() {}
	r := rules()
	r.Conforms = func(json.RawMessage, json.RawMessage) error {
		hangup()
		return nil
	}
	s, faults := NewStore(folder, r)
	if len(faults) > 0 {
		t.Fatalf("%s", lines(faults))
	}
	hangup = func() {
		folder["a.yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, template, "2")}
		if faults := s.Reload(); len(faults) > 0 {
			t.Errorf("%s", lines(faults))
		}
	}
	plan, problems := s.Resolve(planOf(t, strings.Repeat("    - {kind: workflow, workflow: {name: a, context: {n: '1'}}}\n", 2)))
	if len(problems) > 0 || plan.Subtasks[0].Workflow.Name != "a@1" || plan.Subtasks[1].Workflow.Name != "a@1" {
		t.Errorf("made of %s and %s: %v", plan.Subtasks[0].Workflow.Name, plan.Subtasks[1].Workflow.Name, problems)
	}
	if now, _ := s.Get("a"); now.Version != "2" {
		t.Error("the reload changed nothing")
	}
}
