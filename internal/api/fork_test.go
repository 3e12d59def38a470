package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// forkable has run a plan of which the second subtask failed.
func forkable(t *testing.T) (c *client, path string) {
	t.Helper()
	c = serve(t, nil)
	body := `{"task":"t","labels":{"team":"a"},"attachments":[{"name":"a","data":"` + png + `"}],"plan":{"subtasks":[
		{"id":"a","description":"LONG"},{"id":"b","description":"FAIL"},{"id":"c","description":"c","depends_on":["b"]},{"id":"d","description":"d","depends_on":["a"]}]}}`
	run := c.do("POST", "/v1/runs", body, "Prefer", "wait=10").is(http.StatusOK).run()
	return c, "/v1/runs/" + run.Id
}

func TestFork(t *testing.T) {
	c, path := forkable(t)
	c.world.working.Wait()
	c.world.held = true
	r := c.do("POST", path+"/fork", `{}`).is(http.StatusAccepted)
	run := r.run()
	if r.header.Get("Location") != "/v1/runs/"+run.Id || *run.ForkedFrom != strings.TrimPrefix(path, "/v1/runs/") || run.Labels["team"] != "a" {
		t.Errorf("%s", r.body)
	}
	source, fork := c.world.runs[0].run.Spec, c.world.runs[1]
	spec := fork.run.Spec
	if len(spec.Plan.Subtasks) != 4 || len(spec.Fork.Given) != 2 || spec.Fork.Given[0].Subtask != "a" || len(spec.Fork.Given[0].Output) != 120_000 || spec.Fork.Given[1].Output != "output of d" {
		t.Errorf("%+v", spec.Fork)
	}
	if spec.Task != source.Task || spec.Limits != source.Limits || source.Fork != nil || len(fork.attachments) != 1 || !bytes.Equal(fork.attachments[0], c.world.runs[0].attachments[0]) {
		t.Errorf("%+v", spec)
	}

	c.do("POST", path+"/fork", `{"edits":{"a":{"description":"other","type":"formal"},"b":{"output":{"x":1}}}}`).is(http.StatusAccepted)
	spec = c.world.runs[2].run.Spec
	if a := spec.Plan.Subtasks[0]; a.Description != "other" || a.Type != "formal" || source.Plan.Subtasks[0].Description != "LONG" {
		t.Errorf("%+v", a)
	}
	if len(spec.Fork.Given) != 1 || spec.Fork.Given[0] != (orchestration.Given{Subtask: "b", Output: `{"x":1}`}) {
		t.Errorf("%+v", spec.Fork)
	}
}

func TestForkPreview(t *testing.T) {
	c, path := forkable(t)
	for body, want := range map[string]string{
		// 1 call for b, 1 that c is expected to take, and the answer.
		`{}`:                                  "[b c] [a d] 3",
		`{"from":["a"]}`:                      "[a b c d] [] 5",
		`{"edits":{"b":{"output":""}}}`:       "[c] [a b d] 2",
		`{"edits":{"d":{"description":"x"}}}`: "[b c d] [a] 4",
	} {
		p := decode[ForkPreview](c.do("POST", path+"/fork?dry_run=true", body).is(http.StatusOK))
		if got := fmt.Sprint(p.Redo, p.Keep, p.Expected.Calls); got != want || p.Expected.CostUsd == nil || *p.Expected.CostUsd <= 0 {
			t.Errorf("%s: %s %v, want %s", body, got, p.Expected.CostUsd, want)
		}
	}
	if len(c.world.runs) != 1 {
		t.Error("a preview started a run")
	}
	source := c.world.runs[0].run
	source.Spec.Models[0].Price = nil
	if p := decode[ForkPreview](c.do("POST", path+"/fork?dry_run=true", `{}`).is(http.StatusOK)); p.Expected.CostUsd != nil {
		t.Errorf("a price is not known, and the cost is %v", *p.Expected.CostUsd)
	}
}

func TestForkOfExpandedSubtasksCostsWhatTheyDid(t *testing.T) {
	run := &orchestration.Run{Spec: &orchestration.Spec{}, Subtasks: []*orchestration.SubtaskState{
		{Subtask: orchestration.Subtask{ID: "each"}, Attempts: 1},
		{Subtask: orchestration.Subtask{ID: "each.1.a", Parent: "each"}, Totals: orchestration.Totals{LLMCalls: 2, CostUSD: 0.5}},
		{Subtask: orchestration.Subtask{ID: "each.1.a.1.x", Parent: "each.1.a"}, Totals: orchestration.Totals{LLMCalls: 3, CostUSD: 0.25}},
		{Subtask: orchestration.Subtask{ID: "other"}, Attempts: 1, Totals: orchestration.Totals{LLMCalls: 7, CostUSD: 7}},
	}}
	h := &history{run: run, synthesis: orchestration.Totals{LLMCalls: 1, CostUSD: 1}}
	if e := h.expectAgain(Defaults{}, []string{"each"}); e.Calls != 6 || *e.CostUsd != 1.75 {
		t.Errorf("%+v", e)
	}
}

func TestForksThatAreRefused(t *testing.T) {
	c, path := forkable(t)
	c.do("POST", path+"/fork", `{"edits":{"x/y":{"type":"z"}},"from":["a","z"]}`).problem(http.StatusUnprocessableEntity, codeInvalidRequest, "/edits/x~1y", "/from/1")
	c.do("POST", path+"/fork", `{"edits":{"a":{}}}`).problem(http.StatusBadRequest, codeInvalidRequest, "/edits/a")
	c.do("POST", path+"/fork", `{"edits":{"a":{"description":" ","kind":"tool"}}}`).problem(http.StatusBadRequest, codeInvalidRequest, "/edits/a/description", "/edits/a/kind")
	c.do("POST", "/v1/runs/run_none/fork", `{}`).problem(http.StatusNotFound, codeNotFound)
	c.world.working.Wait()
	c.world.held = true
	id := c.start(`{"task":"t"}`)
	c.do("POST", "/v1/runs/"+id+"/fork", `{}`).problem(http.StatusConflict, codeConflict)

	c.world.full = orchestration.ErrTooManyRuns
	c.do("POST", path+"/fork", `{}`).problem(http.StatusTooManyRequests, codeRateLimited)
	c.do("POST", path+"/fork?dry_run=true", `{}`).is(http.StatusOK)
	c.world.full = nil
	source := c.world.runs[0].run.Spec
	source.Models = append(source.Models, orchestration.Model{Name: "gone"})
	source.Tools = append(source.Tools, orchestration.Tool{Name: "gone"})
	source.Webhook = "https://x.org/"
	if p := c.do("POST", path+"/fork", `{}`).problem(http.StatusUnprocessableEntity, codeInvalidRequest, "", "", ""); !strings.Contains(p.Detail, "gone") {
		t.Error(p.Detail)
	}
}

func TestForkWithAKey(t *testing.T) {
	c, path := forkable(t)
	fork := func(path, body string) response { return c.do("POST", path+"/fork", body, "Idempotency-Key", "k") }
	first := fork(path, `{}`).is(http.StatusAccepted)
	again := fork(path, `{}`).is(http.StatusAccepted)
	if first.run().Id != again.run().Id || again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("Location") == "" || len(c.world.runs) != 2 {
		t.Errorf("%s", again.body)
	}
	fork(path, `{"from":["a"]}`).problem(http.StatusUnprocessableEntity, codeInvalidRequest, "header/Idempotency-Key")
	c.world.working.Wait()
	fork(first.header.Get("Location"), `{}`).problem(http.StatusUnprocessableEntity, codeInvalidRequest, "header/Idempotency-Key") // of another run
	c.do("POST", "/v1/runs", `{}`, "Idempotency-Key", "k").problem(http.StatusBadRequest, codeInvalidRequest, "/task")
	c.world.lateKey = true
	if r := fork(path, `{}`).is(http.StatusAccepted); r.run().Id != first.run().Id {
		t.Errorf("%s", r.body)
	}
}
