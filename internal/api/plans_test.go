package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// wholeLanguage is a plan that uses every key of the language.
const wholeLanguage = `{"analysis":"why","order":"parallel","subtasks":[
	{"id":"a","type":"formal","description":"d","worker":"researcher","after":"ended","when":"task != ''","input":{"x":"context.x"},"output":"output.y",
	 "check":{"json_schema":{"type":"object"},"regex":"x","expr":"output != null","rubric":"Is it short?","max_revisions":0},
	 "retry":{"max_attempts":2,"backoff":"1s"},"timeout":"1m30s","cache":"1h","compensate":{"name":"delete","arguments":{"id":"a.output.id"}},
	 "on_failure":{"fallback":{"prompt":"p","model":"small","value":null}}},
	{"kind":"tool","tool":{"name":"search","arguments":{"q":"task"}},"on_failure":"escalate"},
	{"kind":"decide","decide":{"by":"threshold","value":"a.output","at_least":0,"options":["yes","no"]}},
	{"kind":"decide","decide":{"by":"regex","pattern":"x","value":"a.output","options":["yes","no"]}},
	{"kind":"decide","decide":{"by":"expr","expr":"true","options":["yes","no"]}},
	{"kind":"decide","decide":{"by":"model","prompt":"p","options":["stop","no"]}},
	{"kind":"for_each","for_each":{"items":"[1, 2, 3]","body":[{"description":"d"}],"order":"sequential","max_items":5,"max_concurrency":2}},
	{"kind":"loop","loop":{"body":[{"description":"d"},{"kind":"for_each","for_each":{"items":"a.output","body":[{"description":"d"}]}}],"order":"sequential","until":"true","max_iterations":3,"stop_when_unchanged":"output"}},
	{"kind":"plan","plan":{"task":"a.output","max_subtasks":4,"depth":2}},
	{"kind":"approval","approval":{"message":"Good?","timeout":"1h","default":"approve"}},
	{"kind":"merge","merge":"concat","depends_on":["a"]}]}`

func wholePlanOf(t *testing.T) orchestration.Plan {
	t.Helper()
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	raw, value, err := readStrict(strings.NewReader(wholeLanguage), false)
	if err != nil {
		t.Fatal(err)
	}
	if faults := check(c.operationFor("POST", "/v1/plans/validate").body, value, ""); len(faults) > 0 {
		t.Fatal(faults)
	}
	var plan PlanRequest
	if err := json.Unmarshal(raw, &plan); err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestThePlanLanguageIsTheCores(t *testing.T) {
	zero, threshold := 0, 0.0
	work := []orchestration.Subtask{{ID: "T1", Description: "d"}}
	want := orchestration.Plan{Analysis: "why", Order: orchestration.OrderParallel, Subtasks: []orchestration.Subtask{
		{
			ID: "a", Type: "formal", Description: "d", Worker: "researcher", After: orchestration.AfterEnded, When: "task != ''",
			Input: map[string]string{"x": "context.x"}, Gives: "output.y",
			Check: &orchestration.Check{JSONSchema: json.RawMessage(`{"type":"object"}`), Regex: "x", Expr: "output != null", Rubric: "Is it short?", MaxRevisions: &zero},
			Retry: &orchestration.Retry{MaxAttempts: 2, Backoff: orchestration.Duration(time.Second)}, Timeout: orchestration.Duration(90 * time.Second),
			Cache: orchestration.Duration(time.Hour), Compensate: &orchestration.ToolCall{Name: "delete", Arguments: map[string]string{"id": "a.output.id"}},
			OnFailure: orchestration.Recovery{Do: orchestration.OnFailureFallback, Fallback: &orchestration.Fallback{Prompt: "p", Model: "small", Value: json.RawMessage("null")}},
		},
		{
			ID: "T2", Kind: orchestration.KindTool, Tool: &orchestration.ToolCall{Name: "search", Arguments: map[string]string{"q": "task"}},
			OnFailure: orchestration.Recovery{Do: orchestration.OnFailureEscalate},
		},
		{ID: "T3", Kind: orchestration.KindDecide, Decide: &orchestration.Decide{By: orchestration.DecideByThreshold, Value: "a.output", AtLeast: &threshold, Options: []string{"yes", "no"}}},
		{ID: "T4", Kind: orchestration.KindDecide, Decide: &orchestration.Decide{By: orchestration.DecideByRegex, Pattern: "x", Value: "a.output", Options: []string{"yes", "no"}}},
		{ID: "T5", Kind: orchestration.KindDecide, Decide: &orchestration.Decide{By: orchestration.DecideByExpr, Expr: "true", Options: []string{"yes", "no"}}},
		{ID: "T6", Kind: orchestration.KindDecide, Decide: &orchestration.Decide{By: orchestration.DecideByModel, Prompt: "p", Options: []string{"stop", "no"}}},
		{ID: "T7", Kind: orchestration.KindForEach, ForEach: &orchestration.ForEach{Items: "[1, 2, 3]", Body: work, Order: orchestration.OrderSequential, MaxItems: 5, MaxConcurrency: 2}},
		{ID: "T8", Kind: orchestration.KindLoop, Loop: &orchestration.Loop{
			Body:  []orchestration.Subtask{work[0], {ID: "T2", Kind: orchestration.KindForEach, ForEach: &orchestration.ForEach{Items: "a.output", Body: work}}},
			Order: orchestration.OrderSequential, Until: "true", MaxIterations: 3, StopWhenUnchanged: "output",
		}},
		{ID: "T9", Kind: orchestration.KindPlan, Plan: &orchestration.Nested{Task: "a.output", MaxSubtasks: 4, Depth: 2}},
		{ID: "T10", Kind: orchestration.KindApproval, Approval: &orchestration.Approval{Message: "Good?", Timeout: orchestration.Duration(time.Hour), Default: orchestration.ActionApprove}},
		{ID: "T11", Kind: orchestration.KindMerge, Merge: orchestration.MergeConcat, DependsOn: []string{"a"}},
	}}
	plan := wholePlanOf(t)
	named(plan.Subtasks)
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Error(diff)
	}
}

// A subtask is told of in the form that it can be given in.
func TestPlannedSubtasksAreInThePlanLanguage(t *testing.T) {
	plan := wholePlanOf(t)
	named(plan.Subtasks)
	plan.Subtasks = append(plan.Subtasks, orchestration.Subtask{
		ID: "each.2.T1", Parent: "each", Round: 2, Workflow: &orchestration.Inlined{Name: "w", Body: plan.Subtasks, Defaults: json.RawMessage(`{}`)},
	})
	for _, s := range plan.Subtasks {
		s.Kept, s.Uses, s.Implied, s.Passes = true, []string{"T1"}, []string{"T1"}, map[string]string{"x": "T1"}
		for _, body := range s.Bodies() {
			body[0].Kept = true
		}
		shown := toJSON(t, planned(s))
		(&holder{t: t}).schema("PlannedSubtask", []byte(shown))
		if strings.Contains(shown, "kept") || strings.Contains(shown, "implied") || strings.Contains(shown, "defaults") {
			t.Errorf("shows what is the server's own: %s", shown)
		}
		var again orchestration.Subtask
		if err := json.Unmarshal([]byte(shown), &again); err != nil {
			t.Fatal(err)
		}
		want := asWritten(s)
		again.DependsOn, want.DependsOn = list(again.DependsOn), list(want.DependsOn)
		if want.Kind == "" {
			want.Kind = orchestration.KindWorker
		}
		if want.Type == "" {
			want.Type = orchestration.DefaultType
		}
		if want.After == "" {
			want.After = orchestration.AfterSucceeded
		}
		if diff := cmp.Diff(want, again); diff != "" {
			t.Error(diff)
		}
		for _, body := range s.Bodies() {
			if !body[0].Kept {
				t.Error("the run's own subtask was changed")
			}
		}
	}
}

func TestPlansThatTheContractRefuses(t *testing.T) {
	c := serve(t, nil)
	for subtask, pointers := range map[string]string{
		`"parent":"x"`: "/parent", `"round":1`: "/round", `"kept":true`: "/kept",
		`"workflow":{"name":"w","body":[],"defaults":{}}`: "/workflow/body /workflow/defaults",
		`"kind":"step"`: "/kind", `"merge":"sum"`: "/merge", `"after":"failed"`: "/after",
		`"approval":{}`: "/approval/message", `"approval":{"message":" ","default":"edit"}`: "/approval/default /approval/message",
		`"tool":{"arguments":{"a":1}}`:              "/tool/arguments/a /tool/name",
		`"decide":{"by":"vote"}`:                    "/decide/by /decide/options",
		`"for_each":{"items":"x","body":[]}`:        "/for_each/body",
		`"for_each":{"body":[{"bodyy":1}]}`:         "/for_each/body/0/bodyy /for_each/items",
		`"loop":{"body":[{}],"max_iterations":101}`: "/loop/max_iterations",
		`"plan":{"task":"t","depth":9}`:             "/plan/depth",
		`"check":{}`:                                "/check/json_schema",
		`"check":{"regex":"x","max_revisions":11}`:  "/check/max_revisions",
		`"retry":{"max_attempts":11,"backoff":"x"}`: "/retry/backoff /retry/max_attempts",
		`"when":""`: "/when",
		`"on_failure":{"fallback":{"models":["a"]}}`: "/on_failure/fallback/models",
	} {
		want := strings.Fields(strings.ReplaceAll(" "+pointers, " /", " /subtasks/0/"))
		c.do("POST", "/v1/plans/validate", `{"subtasks":[{`+subtask+`}]}`).problem(http.StatusBadRequest, codeInvalidRequest, want...)
	}
}

// constants is an expression language of lists that are written out.
type constants struct{ orchestration.Expressions }

func (constants) Check(expression string, _, _ []string) (orchestration.Reads, error) {
	if strings.HasPrefix(expression, "[") {
		return orchestration.Reads{Constant: json.RawMessage(expression)}, nil
	}
	return orchestration.Reads{}, nil
}

func (constants) Reserved(string) bool { return false }

func TestExpectedCalls(t *testing.T) {
	c := serve(t, func(o *Options, _ *world) { o.Defaults.Expressions = constants{} })
	const worker = `{"description":"d"}`
	for subtasks, calls := range map[string]int{
		worker:                1,
		worker + "," + worker: 3, // and the answer
		`{"kind":"tool","tool":{"name":"search"}},{"kind":"merge","merge":"concat"},{"kind":"approval","approval":{"message":"m"}}`: 1,
		`{"description":"d","check":{"rubric":"r"}}`:                                                                 2,
		`{"description":"d","check":{"regex":"r"}}`:                                                                  1,
		`{"kind":"decide","decide":{"by":"model","options":["a","b"]}}`:                                              1,
		`{"kind":"decide","decide":{"by":"expr","expr":"true","options":["a","b"]}}`:                                 0,
		`{"kind":"for_each","for_each":{"items":"[1,2,3]","body":[` + worker + `,` + worker + `]}}`:                  6,
		`{"kind":"for_each","for_each":{"items":"task","body":[` + worker + `,` + worker + `]}}`:                     2,
		`{"kind":"loop","loop":{"body":[{"kind":"for_each","for_each":{"items":"[1,2]","body":[` + worker + `]}}]}}`: 2,
		`{"kind":"plan","plan":{"task":"task"}}`:                                                                     2,
	} {
		v := decode[Validation](c.do("POST", "/v1/plans/validate", `{"subtasks":[`+subtasks+`]}`).is(http.StatusOK))
		if v.Expected.Calls != calls || v.Expected.CostUsd == nil || (calls > 0) != (*v.Expected.CostUsd > 0) {
			t.Errorf("%s: %+v, want %d calls", subtasks, v.Expected, calls)
		}
	}
}

func TestValidatePlan(t *testing.T) {
	c := serve(t, nil)
	good := decode[Validation](c.do("POST", "/v1/plans/validate", `{"order":"sequential","subtasks":[{"description":"a"},{"description":"b","worker":"researcher"}]}`).is(http.StatusOK))
	if !good.Valid || good.Expected.Calls != 3 || good.Expected.CostUsd == nil || *good.Expected.CostUsd <= 0 {
		t.Errorf("%+v", good)
	}
	bad := decode[Validation](c.do("POST", "/v1/plans/validate", `{"subtasks":[{"description":" ","depends_on":["z"]}]}`).is(http.StatusOK))
	var got []string
	for _, p := range bad.Problems {
		got = append(got, p.Pointer)
	}
	if strings.Join(got, " ") != "/subtasks/0/description /subtasks/0/depends_on/0" || bad.Valid || bad.Expected.Calls != 1 {
		t.Errorf("%+v", bad)
	}
	c.do("POST", "/v1/plans/validate", `{"subtasks":{}}`).problem(http.StatusBadRequest, codeInvalidRequest, "/subtasks")
}

func TestWhatAPlanBringsIntoTheSpec(t *testing.T) {
	plan := wholePlanOf(t)
	plan.Subtasks[0].OnFailure.Fallback.Model = "medium"
	inner := orchestration.Subtask{ID: "x", OnFailure: orchestration.Recovery{Fallback: &orchestration.Fallback{Model: "tiny"}}, Tool: &orchestration.ToolCall{Name: "write"}}
	plan.Subtasks = append(plan.Subtasks, orchestration.Subtask{ID: "w", Workflow: &orchestration.Inlined{Body: []orchestration.Subtask{inner}}})
	d := testDefaults()
	d.Evaluator.Model = "judge"
	d.Tools = append(d.Tools, orchestration.Tool{Name: "write"})
	d.Models = append(d.Models, orchestration.Model{Name: "tiny", Fallback: "tinier"})
	spec := &orchestration.Spec{Plan: &plan, Planner: d.Planner, Worker: d.Worker, Synthesizer: d.Synthesizer, Evaluator: d.Evaluator}
	var models, tools []string
	for _, m := range d.modelsOf(spec) {
		models = append(models, m.Name)
	}
	for _, tool := range d.toolsOf(spec) {
		tools = append(tools, tool.Name)
	}
	if got := strings.Join(models, " "); got != "small judge medium tiny tinier" {
		t.Errorf("models %s", got)
	}
	if got := strings.Join(tools, " "); got != "delete search write" {
		t.Errorf("tools %s", got)
	}
	spec = &orchestration.Spec{Workers: d.Workers}
	if got := d.toolsOf(spec); len(got) != 1 || got[0].Name != "search" {
		t.Errorf("tools %v", got)
	}
}

func TestRules(t *testing.T) {
	d := testDefaults()
	d.Expressions = constants{}
	d.Schema = func(json.RawMessage) error { return nil }
	r := d.rules(orchestration.Limits{MaxSubtasks: 7})
	if r.MaxSubtasks != 7 || len(r.Workers) != 1 || len(r.Tools) != 3 || r.Expressions == nil || r.Schema == nil {
		t.Errorf("%+v", r)
	}
	if !r.Model("small") || r.Model("gpt-9") {
		t.Error("a plan may name the models that a request may name")
	}
	d.Exclusive = false
	if d.rules(d.Limits).Model != nil {
		t.Error("a plan may name any model")
	}
	r = d.rulesOf(&orchestration.Spec{Models: []orchestration.Model{{Name: "gpt-9"}}, Tools: []orchestration.Tool{{Name: "old"}}})
	if !r.Model("gpt-9") || r.Model("small") || len(r.Workers) != 0 || r.Tools[0].Name != "old" {
		t.Errorf("a run that has begun goes by another configuration: %+v", r)
	}
}

func TestAcceptedSettings(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	id := c.start(`{"task":"t","cache":"1h","review_plan":true,"priority":-10,"limits":{"max_iterations":9},"policy":[{"rubric":"Is it kind?","max_revisions":1},{"regex":"x"}]}`)
	spec := c.world.runs[0].run.Spec
	if spec.Cache != orchestration.Duration(time.Hour) || !spec.ReviewPlan || spec.Priority != -10 || spec.Limits.MaxIterations != 9 || len(spec.Policy) != 2 ||
		*spec.Policy[0].MaxRevisions != 1 || spec.Policy[1].Regex != "x" || spec.Evaluator.Model != "small" || len(spec.Tools) != 1 {
		t.Errorf("%+v", spec)
	}
	events := decode[struct{ Data []struct{ Data RunCreated } }](c.do("GET", "/v1/runs/"+id+"/events?limit=1", "").is(http.StatusOK))
	if e := events.Data[0].Data; e.Cache != "1h0m0s" || !e.ReviewPlan || len(e.Policy) != 2 || e.Limits.MaxIterations != 9 {
		t.Errorf("%+v", e)
	}
}
