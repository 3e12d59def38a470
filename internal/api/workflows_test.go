package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/workflow"
)

// shelf has one template, which presets a few things.
type shelf struct{ t workflow.Template }

func newShelf() *shelf {
	return &shelf{workflow.Template{
		Name: "research", Version: "2.0", Hash: strings.Repeat("ab", 32), Description: "Finds out",
		Parameters: []workflow.Parameter{{Name: "topic", Required: true, Schema: json.RawMessage(`{"type":"string"}`)}, {Name: "depth", Default: json.RawMessage("3")}},
		Plan:       &orchestration.Plan{Version: 1, Analysis: "why", Subtasks: []orchestration.Subtask{{ID: "find", Description: "Find"}, {ID: "tell", Description: "Tell", DependsOn: []string{"find"}}}},
	}}
}

func (s *shelf) List() []*workflow.Template { return []*workflow.Template{&s.t} }

func (s *shelf) Get(name string) (*workflow.Template, bool) {
	return &s.t, name == "research" || name == "research@2.0"
}

func (s *shelf) Read(source []byte) (*workflow.Template, []workflow.Fault) {
	if strings.Contains(string(source), "broken") {
		return nil, []workflow.Fault{{Pointer: "/plan/subtasks/0/kind", Code: "not_allowed", Detail: "There is no such kind.", Line: 3, Column: 5}, {Code: "odd", Detail: "It is odd."}}
	}
	t := s.t
	t.Name, t.Plan = "inline", nil
	return &t, nil
}

func (*shelf) Apply(t *workflow.Template, request json.RawMessage) (workflow.Launch, []workflow.Fault) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(request, &keys); err != nil || keys["attachments"] != nil {
		return workflow.Launch{}, []workflow.Fault{{Code: "odd", Detail: "The request is odd."}}
	}
	if !strings.Contains(string(keys["context"]), "topic") {
		return workflow.Launch{}, []workflow.Fault{{Pointer: "/context/topic", Code: "required", Detail: "The workflow needs the parameter topic."}}
	}
	delete(keys, "workflow")
	for key, value := range map[string]string{"task": `"preset"`, "limits": `{"max_replans":0}`, "policy": `[{"regex":"x"}]`} {
		if keys[key] == nil {
			keys[key] = json.RawMessage(value)
		}
	}
	whole, err := json.Marshal(keys)
	if err != nil {
		panic(err)
	}
	return workflow.Launch{Request: whole, Plan: t.Plan, Origin: orchestration.Origin{Name: t.Name, Version: t.Version, Hash: t.Hash}}, nil
}

func (s *shelf) Resolve(plan orchestration.Plan) (orchestration.Plan, []orchestration.Problem) {
	for i, subtask := range plan.Subtasks {
		if w := subtask.Workflow; w != nil {
			if _, known := s.Get(w.Name); !known {
				return plan, []orchestration.Problem{{Pointer: "/subtasks/0/workflow/name", Code: "unknown_workflow", Detail: "There is none."}}
			}
			plan.Subtasks[i].Workflow = &orchestration.Inlined{Name: "research@2.0", Body: s.t.Plan.Subtasks}
		}
	}
	return plan, nil
}

func shelved(t *testing.T) *client {
	t.Helper()
	return serve(t, func(o *Options, w *world) { o.Workflows, w.held = newShelf(), true })
}

func TestRunOfAWorkflow(t *testing.T) {
	c := shelved(t)
	id := c.start(`{"workflow":"research","context":{"topic":"rain"},"labels":{"a":"b"},"worker":{"model":"large"},"attachments":[{"name":"a","data":"` + png + `"}]}`)
	spec := c.world.runs[0].run.Spec
	if spec.Task != "preset" || string(spec.Context) != `{"topic":"rain"}` || spec.Labels["a"] != "b" || spec.Worker.Model != "large" ||
		spec.Limits.MaxReplans != 0 || len(spec.Policy) != 1 || len(spec.Attachments) != 1 || spec.Plan.Subtasks[0].ID != "find" {
		t.Errorf("%+v", spec)
	}
	if *spec.Workflow != (orchestration.Origin{Name: "research", Version: "2.0", Hash: strings.Repeat("ab", 32)}) {
		t.Errorf("%+v", spec.Workflow)
	}
	if run := c.do("GET", "/v1/runs/"+id, "").is(http.StatusOK).run(); *run.Workflow != *spec.Workflow {
		t.Errorf("%+v", run.Workflow)
	}
	c.start(`{"task":"my own","workflow":{"name":"inline"},"context":{"topic":"snow"}}`)
	if spec := c.world.runs[1].run.Spec; spec.Task != "my own" || spec.Plan != nil || spec.Workflow.Name != "inline" {
		t.Errorf("%+v", spec)
	}
	for query, want := range map[string]int{"research": 1, "inline": 1, "other": 0} {
		if page := decode[RunPage](c.do("GET", "/v1/runs?workflow="+query, "").is(http.StatusOK)); len(page.Data) != want {
			t.Errorf("%s: %d runs", query, len(page.Data))
		}
	}
}

func TestWorkflowsThatAreRefused(t *testing.T) {
	c := shelved(t)
	for _, r := range []struct {
		body    string
		code    orchestration.Code
		pointer string
	}{
		{`{"workflow":"research@1.0","context":{"topic":"x"}}`, codeInvalidRequest, "/workflow"},
		{`{"workflow":"research"}`, codeInvalidRequest, "/context/topic"},
		{`{"workflow":{"kind":"broken"}}`, orchestration.CodePlanInvalid, "/workflow/plan/subtasks/0/kind /workflow"},
		{`{"workflow":"research","context":{"topic":"x"},"limits":{"max_subtasks":1}}`, orchestration.CodePlanInvalid, "/workflow/plan/subtasks"},
		{`{"workflow":"research","context":{"topic":"x"},"task":"\u00a0"}`, codeInvalidRequest, "/task"},
	} {
		c.do("POST", "/v1/runs", r.body).problem(http.StatusUnprocessableEntity, r.code, strings.Fields(r.pointer)...)
	}
	c.do("POST", "/v1/runs", `{"workflow":1}`).problem(http.StatusBadRequest, codeInvalidRequest, "/workflow")
	c.do("POST", "/v1/runs", `{"workflow":""}`).problem(http.StatusBadRequest, codeInvalidRequest, "/workflow")
	if len(c.world.runs) > 0 {
		t.Error("a refused request left a run")
	}
}

func TestWorkflowCatalog(t *testing.T) {
	c := shelved(t)
	w := decode[Workflow](c.do("GET", "/v1/workflows/research@2.0", "").is(http.StatusOK))
	if w.Name != "research" || w.Version != "2.0" || w.Task != nil || len(w.Parameters) != 2 || string(w.Parameters[1].Default) != "3" ||
		len(w.Plan.Subtasks) != 2 || w.Plan.Subtasks[1].Kind != orchestration.KindWorker || w.Plan.Subtasks[1].DependsOn[0] != "find" {
		t.Errorf("%+v", w)
	}
	if l := decode[WorkflowList](c.do("GET", "/v1/workflows", "").is(http.StatusOK)); len(l.Data) != 1 || l.Data[0].Hash != w.Hash {
		t.Errorf("%+v", l)
	}
	c.do("GET", "/v1/workflows/other", "").problem(http.StatusNotFound, codeNotFound)

	none := serve(t, nil)
	if l := none.do("GET", "/v1/workflows", "").is(http.StatusOK); string(l.body) != "{\"data\":[]}\n" {
		t.Errorf("%s", l.body)
	}
	none.do("GET", "/v1/workflows/research", "").problem(http.StatusNotFound, codeNotFound)
	none.do("POST", "/v1/workflows/validate", "{}").problem(http.StatusUnprocessableEntity, codeNotSupported, "")
}

func TestValidateWorkflow(t *testing.T) {
	c := shelved(t)
	validate := func(body string, header ...string) response {
		return c.do("POST", "/v1/workflows/validate", body, header...)
	}
	if v := decode[WorkflowValidation](validate(`{"name":"x"}`).is(http.StatusOK)); !v.Valid || len(v.Problems) != 0 || v.Expected.Calls != 2 {
		t.Errorf("%+v", v)
	}
	for _, media := range []string{"application/yaml", "text/yaml; charset=utf-8"} {
		v := decode[WorkflowValidation](validate("name: x\nplan:\n  kind: broken\n", "Content-Type", media).is(http.StatusOK))
		if v.Valid || len(v.Problems) != 2 || *v.Problems[0].Line != 3 || *v.Problems[0].Column != 5 || v.Problems[1].Line != nil || v.Expected != nil {
			t.Errorf("%+v", v)
		}
	}
	validate("name: x", "Content-Type", "application/json").problem(http.StatusBadRequest, codeInvalidRequest, "")
	validate(`["name"]`).problem(http.StatusBadRequest, codeInvalidRequest, "")
	validate("name: \xff", "Content-Type", "text/yaml").problem(http.StatusBadRequest, codeInvalidRequest, "")
	validate("name: x", "Content-Type", "text/plain").problem(http.StatusUnsupportedMediaType, codeInvalidRequest)
	c.do("POST", "/v1/plans/validate", "subtasks: []", "Content-Type", "text/yaml").problem(http.StatusUnsupportedMediaType, codeInvalidRequest)
}

func TestPlanWithAWorkflowInIt(t *testing.T) {
	c := shelved(t)
	bad := decode[Validation](c.do("POST", "/v1/plans/validate", `{"subtasks":[{"kind":"workflow","workflow":{"name":"other"}},{"description":" ","depends_on":["x"]}]}`).is(http.StatusOK))
	var at []string
	for _, p := range bad.Problems {
		at = append(at, p.Pointer)
	}
	if got := strings.Join(at, " "); !strings.HasPrefix(got, "/subtasks/0/workflow/name ") || !strings.Contains(got, " /subtasks/1/description /subtasks/1/depends_on/0") {
		t.Errorf("not every fault at once: %s", got)
	}
	const deep = `{"subtasks":[{"kind":"loop","loop":{"body":[{"description":"d"},{"kind":"workflow","workflow":{"name":"w"}}]}}]}`
	none := decode[Validation](serve(t, nil).do("POST", "/v1/plans/validate", deep).is(http.StatusOK))
	if p := none.Problems[0]; p.Pointer != "/subtasks/0/loop/body/1/workflow/name" || p.Code != "unknown_workflow" {
		t.Errorf("%+v", none)
	}
	found := []orchestration.Problem{{Pointer: "/subtasks/0/workflow/name"}}
	if more := besides(found, []orchestration.Problem{{Pointer: "/subtasks/0/workflow/body"}, {Pointer: "/subtasks/0/when"}}); len(more) != 1 {
		t.Errorf("%v", more)
	}
	v := decode[Validation](c.do("POST", "/v1/plans/validate", `{"subtasks":[{"kind":"workflow","workflow":{"name":"research"}}]}`).is(http.StatusOK))
	if v.Expected.Calls != 2 {
		t.Errorf("%+v", v)
	}
}

// What a template presets counts in what its runs are expected to take.
func TestExpectedOfATemplate(t *testing.T) {
	for text, calls := range map[string]int{
		"":                             2,
		"planner: {min_subtasks: 2}\n": 4,
		"planner: {min_subtasks: 2}\nsynthesizer: {mode: none}\n":                                                    3,
		"plan: {subtasks: [{description: x}, {description: x}]}\n":                                                   3,
		"plan: {subtasks: [{description: x}, {description: x}]}\nsynthesizer: {mode: none}\n":                        2,
		"plan: {subtasks: [{description: x}, {description: x}]}\nworker: {model: dear}\nsynthesizer: {mode: none}\n": 2,
	} {
		template, faults := workflow.Parse("", []byte("name: x\nversion: \"1\"\ntask: x\n"+text))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		d := Defaults{Models: []orchestration.Model{{Name: "", Price: &orchestration.Price{Input: 1}}, {Name: "dear", Price: &orchestration.Price{Input: 1000}}}}
		e := d.presetBy(template).expectOf(template.Plan)
		if e.Calls != calls || (*e.CostUsd > 0.1) != strings.Contains(text, "dear") {
			t.Errorf("%s: %d calls, $%v", text, e.Calls, *e.CostUsd)
		}
	}
}
