package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// png is the smallest thing that is known as one.
var png = base64.StdEncoding.EncodeToString([]byte("\x89PNG\x0d\x0a\x1a\x0a rest"))

func TestRefusedByTheContract(t *testing.T) {
	c := serve(t, nil)
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for name, test := range map[string]struct {
		body     string
		pointers []string
	}{
		"no body":             {"", []string{""}},
		"no task":             {`{}`, []string{"/task"}},
		"empty task":          {`{"task":""}`, []string{"/task"}},
		"blank task":          {`{"task":" \n\t "}`, []string{"/task"}},
		"null task":           {`{"task":null}`, []string{"/task"}},
		"wrong type":          {`{"task":["t"]}`, []string{"/task"}},
		"an array":            {`[]`, []string{""}},
		"unknown field":       {`{"task":"t","taks":1}`, []string{"/taks"}},
		"unknown in plan":     {`{"task":"t","plan":{"subtasks":[{"description":"d","dependson":[]}]}}`, []string{"/plan/subtasks/0/dependson"}},
		"plan without any":    {`{"task":"t","plan":{}}`, []string{"/plan/subtasks"}},
		"limit too small":     {`{"task":"t","limits":{"max_attempts":0}}`, []string{"/limits/max_attempts"}},
		"limit too great":     {`{"task":"t","limits":{"max_concurrency":101,"max_subtasks":1001}}`, []string{"/limits/max_concurrency", "/limits/max_subtasks"}},
		"limit a fraction":    {`{"task":"t","limits":{"max_attempts":1.5}}`, []string{"/limits/max_attempts"}},
		"limit enormous":      {`{"task":"t","limits":{"max_attempts":1e999999999}}`, []string{"/limits/max_attempts"}},
		"number past float64": {`{"task":"t","context":{"a":1e400}}`, []string{"/context/a"}},
		"number of digits":    {`{"task":"t","context":{"a":` + strings.Repeat("9", 65) + `}}`, []string{"/context/a"}},
		"duration a number":   {`{"task":"t","limits":{"timeout":60}}`, []string{"/limits/timeout"}},
		"duration of words":   {`{"task":"t","limits":{"timeout":"a minute"}}`, []string{"/limits/timeout"}},
		"mode":                {`{"task":"t","synthesizer":{"mode":"vote"}}`, []string{"/synthesizer/mode"}},
		"an empty check":      {`{"task":"t","policy":[{"max_revisions":1}]}`, []string{"/policy/0/json_schema"}},
		"iterations":          {`{"task":"t","limits":{"max_iterations":101}}`, []string{"/limits/max_iterations"}},
		"duration too great":  {`{"task":"t","plan":{"subtasks":[{"description":"d","timeout":"999999999h"}]}}`, []string{"/plan/subtasks/0/timeout"}},
		"fall back on":        {`{"task":"t","plan":{"subtasks":[{"description":"d","on_failure":{"value":1}},{"description":"d","on_failure":"partial"},{"description":"d","on_failure":1}]}}`, []string{"/plan/subtasks/0/on_failure/fallback", "/plan/subtasks/0/on_failure/value", "/plan/subtasks/1/on_failure", "/plan/subtasks/2/on_failure"}},
		"priority":            {`{"task":"t","priority":11}`, []string{"/priority"}},
		"label of no string":  {`{"task":"t","labels":{"a":1}}`, []string{"/labels/a"}},
		"label's name":        {`{"task":"t","labels":{"a b":"c"}}`, []string{"/labels/a b"}},
		"webhook":             {`{"task":"t","webhook":{"url":"ftp://x"}}`, []string{"/webhook/url"}},
		"webhook too long":    {`{"task":"t","webhook":{"url":"https://x/` + strings.Repeat("a", 2048) + `"}}`, []string{"/webhook/url"}},
		"webhook to nowhere":  {`{"task":"t","webhook":{}}`, []string{"/webhook/url"}},
		"not JSON":            {`{"task":"t"`, []string{""}},
		"not JSON at all":     {`task: t`, []string{""}},
		"trailing data":       {`{"task":"t"} {}`, []string{""}},
		"trailing comma":      {`{"task":"t",}`, []string{""}},
		"invalid UTF-8":       {"{\"task\":\"\xff\"}", []string{"/task"}},
		"lone surrogate":      {`{"task":"\ud800"}`, []string{"/task"}},
		"duplicate key":       {`{"task":"t","limits":{"max_attempts":1,"max_attempts":2}}`, []string{"/limits/max_attempts"}},
		"depth bomb":          {`{"task":"t","context":` + deep(100_000) + `}`, []string{"/context" + strings.Repeat("/a", 63)}},
		"array bomb":          {`{"task":"t","context":{"a":` + strings.Repeat("[", 200_000), []string{"/context/a" + strings.Repeat("/0", 61)}},
		"several at once": {
			`{"task":"","limits":{"max_attempts":99,"timeout":"x"},"planner":{"odel":"m"},"on_failure":"panic"}`,
			[]string{"/limits/max_attempts", "/limits/timeout", "/on_failure", "/planner/odel", "/task"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			p := c.do("POST", "/v1/runs", test.body, "Content-Type", "application/json").problem(http.StatusBadRequest, codeInvalidRequest, test.pointers...)
			if p.Detail == "" || p.Retryable || p.Instance != "/v1/runs" {
				t.Errorf("problem %+v", p)
			}
			t.Log(p.Detail)
		})
	}
	if len(c.world.runs) > 0 {
		t.Error("a refused request left a run")
	}
}

func TestRefusedByTheServer(t *testing.T) {
	c := serve(t, func(o *Options, _ *world) { o.Checker = promptChecker{} })
	plan := func(subtasks string) string { return `{"task":"t","plan":{"subtasks":[` + subtasks + `]}}` }
	many := strings.Repeat(`{"description":"d"},`, 100) + `{"description":"d"}`
	for name, test := range map[string]struct {
		body     string
		code     orchestration.Code
		pointers []string
		detail   string // a part of it
	}{
		"task of odd spaces":  {"{\"task\":\"\u00a0\u2003\"}", codeInvalidRequest, []string{"/task"}, "blank"},
		"unknown model":       {`{"task":"t","worker":{"model":"gpt-9"}}`, codeInvalidRequest, []string{"/worker/model"}, "large, small, unpriced"},
		"timeout too long":    {`{"task":"t","limits":{"timeout":"25h"}}`, codeInvalidRequest, []string{"/limits/timeout"}, "24h"},
		"timeout of nothing":  {`{"task":"t","limits":{"subtask_timeout":"0s"}}`, codeInvalidRequest, []string{"/limits/subtask_timeout"}, "more than 0"},
		"min over max":        {`{"task":"t","planner":{"min_subtasks":3,"max_subtasks":2}}`, codeInvalidRequest, []string{"/planner/max_subtasks"}, "min_subtasks"},
		"max over limit":      {`{"task":"t","planner":{"max_subtasks":5},"limits":{"max_subtasks":4}}`, codeInvalidRequest, []string{"/planner/max_subtasks"}, "4"},
		"webhook":             {`{"task":"t","webhook":{"url":"https://x.org/"}}`, codeNotSupported, []string{"/webhook"}, ""},
		"workflow":            {`{"workflow":"w@1"}`, codeInvalidRequest, []string{"/workflow"}, "no workflows"},
		"whole workflow":      {`{"workflow":{"name":"w"}}`, codeInvalidRequest, []string{"/workflow"}, "no workflows"},
		"cache of nothing":    {`{"task":"t","cache":"0s"}`, codeInvalidRequest, []string{"/cache"}, "more than 0"},
		"cache too long":      {`{"task":"t","cache":"721h"}`, codeInvalidRequest, []string{"/cache"}, "720h"},
		"price of a fallback": {`{"task":"t","limits":{"max_cost_usd":1},"plan":{"subtasks":[{"description":"d","on_failure":{"fallback":{"model":"unpriced"}}}]}}`, codeInvalidRequest, []string{"/limits/max_cost_usd"}, "unpriced"},
		"cooldown":            {`{"task":"t","limits":{"replan_cooldown":"25h"}}`, codeInvalidRequest, []string{"/limits/replan_cooldown"}, ""},
		"cycle":               {plan(`{"id":"a","description":"d","depends_on":["c"]},{"id":"b","description":"d","depends_on":["a"]},{"id":"c","description":"d","depends_on":["b"]}`), orchestration.CodePlanInvalid, []string{"/plan/subtasks/1/depends_on/0"}, "a → c → b → a"},
		"dangling dependency": {plan(`{"id":"a","description":"d","depends_on":["x"]}`), orchestration.CodePlanInvalid, []string{"/plan/subtasks/0/depends_on/0"}, `"x"`},
		"self dependency":     {plan(`{"id":"a","description":"d","depends_on":["a"]}`), orchestration.CodePlanInvalid, []string{"/plan/subtasks/0/depends_on/0"}, "itself"},
		"duplicate id":        {plan(`{"id":"a","description":"d"},{"id":"a","description":"d"}`), orchestration.CodePlanInvalid, []string{"/plan/subtasks/1/id"}, `"a"`},
		"id taken by place":   {plan(`{"id":"T2","description":"d"},{"description":"d"}`), orchestration.CodePlanInvalid, []string{"/plan/subtasks/1/id"}, `"T2"`},
		"malformed id":        {plan(`{"id":"a b","description":"d"}`), orchestration.CodePlanInvalid, []string{"/plan/subtasks/0/id"}, ""},
		"blank description":   {plan(`{"description":" "}`), orchestration.CodePlanInvalid, []string{"/plan/subtasks/0/description"}, ""},
		"empty plan":          {plan(``), orchestration.CodePlanInvalid, []string{"/plan/subtasks"}, ""},
		"too many subtasks":   {plan(many), orchestration.CodePlanInvalid, []string{"/plan/subtasks"}, "101"},
		"missing name":        {`{"task":"t","worker":{"prompt":"for {audience}"}}`, codeMissingPromptVariable, []string{"/worker/prompt"}, "audience"},
		"odd placeholder":     {`{"task":"t","planner":{"prompt":"{task!r}"}}`, codeInvalidRequest, []string{"/planner/prompt"}, "{task!r}"},
		"no image":            {`{"task":"t","attachments":[{"name":"a","data":"aGVsbG8="}]}`, codeInvalidRequest, []string{"/attachments/0"}, "image"},
		"another image":       {`{"task":"t","attachments":[{"name":"a","media_type":"image/gif","data":"` + png + `"}]}`, codeInvalidRequest, []string{"/attachments/0/media_type"}, "image/png"},
		"no base64":           {`{"task":"t","attachments":[{"name":"a","data":"*"}]}`, codeInvalidRequest, []string{"/attachments/0/data"}, ""},
		"url and data":        {`{"task":"t","attachments":[{"name":"a","data":"` + png + `","url":"https://x.org"}]}`, codeInvalidRequest, []string{"/attachments/0"}, "exactly one"},
		"url not fetched":     {`{"task":"t","attachments":[{"name":"a","url":"https://x.org"}]}`, codeInvalidRequest, []string{"/attachments/0/url"}, ""},
		"several at once": {
			`{"task":"t","planner":{"model":"m1"},"synthesizer":{"model":"m2"},"limits":{"timeout":"48h"},"worker":{"prompt":"{who}"},"plan":{"subtasks":[{"description":""}]}}`,
			orchestration.CodePlanInvalid,
			[]string{"/limits/timeout", "/planner/model", "/synthesizer/model", "/plan/subtasks/0/description", "/worker/prompt"},
			"who",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			p := c.do("POST", "/v1/runs", test.body).problem(http.StatusUnprocessableEntity, test.code, test.pointers...)
			if !strings.Contains(p.Detail+fmt.Sprint(p.Errors), test.detail) {
				t.Errorf("%q is not in %q", test.detail, p.Detail)
			}
			t.Log(p.Detail)
		})
	}
	if len(c.world.runs) > 0 {
		t.Error("a refused request left a run")
	}
}

// promptChecker knows just enough of prompts.
type promptChecker struct{}

func (promptChecker) Check(spec *orchestration.Spec) []Fault {
	if spec.Worker.Prompt != "" {
		return []Fault{{Pointer: "/worker/prompt", Code: "missing_prompt_variable", Detail: "not given: " + spec.Worker.Prompt}}
	}
	if spec.Planner.Prompt != "" {
		return []Fault{{Pointer: "/planner/prompt", Code: "invalid_placeholder", Detail: spec.Planner.Prompt + " is no placeholder"}}
	}
	return nil
}

func TestSizes(t *testing.T) {
	image := func(bytes int) string {
		return base64.StdEncoding.EncodeToString([]byte("\x89PNG\x0d\x0a\x1a\x0a" + strings.Repeat("\x00", bytes-8)))
	}
	with := func(rest, data string) string {
		return `{"attachments":[{"name":"a","media_type":"image/png","data":"` + data + `"}],"task":"` + rest + `"}`
	}
	fill := func(n int) string { return `{"task":"` + strings.Repeat("x", n-len(`{"task":""}`)) + `"}` }
	ten := image(maxImages)
	for name, test := range map[string]struct {
		body string
		fits bool
	}{
		"just fits":               {fill(maxBody), true},
		"one byte more":           {fill(maxBody + 1), false},
		"spaces":                  {strings.Repeat(" ", maxBody) + "{}", false},
		"keys":                    {`{"` + strings.Repeat("k", maxBody) + `":1}`, false},
		"images apart":            {with("t", ten), true},
		"both":                    {with(strings.Repeat("x", maxBody-200), ten), true},
		"too much besides":        {with(strings.Repeat("x", maxBody), ten), false},
		"too much in images":      {with("t", ten+ten[:1000]), false},
		"data that is no image's": {`{"context":` + with("t", image(2<<20)) + `}`, false},
		"data deeper down":        {`{"attachments":[{"x":{"data":"` + image(2<<20) + `"}}]}`, false},
	} {
		_, _, err := readStrict(strings.NewReader(test.body), true)
		if test.fits != (err == nil) || !test.fits && err != errTooLarge { //nolint:errorlint // it must be that very one
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := readStrict(strings.NewReader(with("t", image(2<<20))), false); err != errTooLarge { //nolint:errorlint // as above
		t.Errorf("images where there are none: %v", err)
	}

	c := serve(t, nil)
	c.do("POST", "/v1/runs", fill(maxBody+1)).problem(http.StatusRequestEntityTooLarge, codePayloadTooLarge)
	c.do("POST", "/v1/runs", fill(maxBody+maxData+1)).problem(http.StatusRequestEntityTooLarge, codePayloadTooLarge) // by its length alone
	for _, path := range []string{"/v1/plans/validate", "/v1/runs/r/subtasks/T1/decision", "/v1/runs/r/plan/decision", "/v1/runs/r/fork", "/v1/workflows/validate"} {
		c.do("POST", path, fill(maxBody+1)).problem(http.StatusRequestEntityTooLarge, codePayloadTooLarge)
	}
	c.do("POST", "/v1/workflows/validate", fill(maxBody+1), "Content-Type", "text/yaml").problem(http.StatusRequestEntityTooLarge, codePayloadTooLarge)
	c.do("POST", "/v1/runs", with("t", image(maxBody))).is(http.StatusAccepted)
	if got := c.world.runs[0]; len(got.attachments[0]) != maxBody || got.run.Spec.Attachments[0].Bytes != maxBody {
		t.Error("the image did not arrive")
	}
}

func TestImagesInAll(t *testing.T) {
	half := base64.StdEncoding.EncodeToString(append([]byte("\x89PNG\x0d\x0a\x1a\x0a"), make([]byte, maxImages/2)...))
	a := &acceptance{request: &RunRequest{Attachments: []AttachmentRequest{{Name: "a", Data: half}, {Name: "b", Data: half}}}}
	a.attachments(t.Context(), nil, new(orchestration.Spec))
	if len(a.faults) != 1 || a.faults[0].Pointer != "/attachments/1/data" {
		t.Errorf("%+v", a.faults)
	}
}

func TestMediaTypes(t *testing.T) {
	c := serve(t, nil)
	for _, odd := range []string{"", "text/plain", "application/jsonx", "application/x-www-form-urlencoded", "application/json; charset=latin1", ";"} {
		c.do("POST", "/v1/runs", `{"task":"t"}`, "Content-Type", odd).problem(http.StatusUnsupportedMediaType, codeInvalidRequest)
	}
	c.do("POST", "/v1/runs", `{"task":"t"}`, "Content-Encoding", "gzip").problem(http.StatusUnsupportedMediaType, codeInvalidRequest)
	c.do("POST", "/v1/runs", `{"task":"t"}`, "Content-Type", "Application/JSON; charset=UTF-8").is(http.StatusAccepted)
	for _, odd := range []string{"text/html", "application/json;q=0", "image/*"} {
		c.do("POST", "/v1/runs", `{"task":"t"}`, "Accept", odd).problem(http.StatusNotAcceptable, codeInvalidRequest)
		c.do("GET", "/v1/runs", "", "Accept", odd).problem(http.StatusNotAcceptable, codeInvalidRequest)
	}
	for _, fine := range []string{"*/*", "application/*", "text/html, application/json;q=0.1", "application/json, text/event-stream"} {
		c.do("POST", "/v1/runs", `{"task":"t"}`, "Accept", fine).is(http.StatusAccepted)
	}
}

func TestAcceptedPlan(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	c.start(`{"task":"t","plan":{"analysis":"why","order":"sequential","subtasks":[{"description":"a"},{"id":"b","type":"formal","description":"b","after":"ended"},{"description":"c","depends_on":["T1"]}]},
		"limits":{"max_concurrency":2,"subtask_timeout":"1m30s"},"planner":{"min_subtasks":20},"attachments":[{"name":"a","data":"` + png + `"}]}`)
	spec := c.world.runs[0].run.Spec
	p := spec.Plan
	if p.Version != 1 || p.Analysis != "why" || p.Order != orchestration.OrderSequential || p.Subtasks[0].ID != "T1" || p.Subtasks[1].After != orchestration.AfterEnded {
		t.Errorf("%+v", p)
	}
	if spec.Limits.MaxConcurrency != 2 || spec.Limits.SubtaskTimeout.String() != "1m30s" || spec.Planner.MaxSubtasks != 20 {
		t.Errorf("%+v", spec)
	}
	if want := (orchestration.Attachment{Name: "a", MediaType: "image/png", Bytes: 13}); spec.Attachments[0] != want {
		t.Errorf("%+v", spec.Attachments)
	}
}
