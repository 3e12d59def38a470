package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// deciding serves a run that goes on, and keeps what is decided of it.
func deciding(t *testing.T) (c *client, path string, said *[]orchestration.Said) {
	t.Helper()
	said = new([]orchestration.Said)
	c = serve(t, func(_ *Options, w *world) {
		w.held = true
		w.decide = func(s orchestration.Said) error {
			*said = append(*said, s)
			return nil
		}
	})
	id := c.start(`{"task":"t","plan":{"subtasks":[{"description":"d"}]},"limits":{"max_output_bytes":20}}`)
	return c, "/v1/runs/" + id, said
}

func TestDecideSubtask(t *testing.T) {
	c, path, said := deciding(t)
	for _, body := range []string{
		`{"action":"approve","comment":"Fine"}`, `{"action":"retry"}`, `{"action":"reject"}`,
		`{"action":"edit","output":"as it \"stands\""}`, `{"action":"edit","output":{"a": [1]}}`, `{"action":"edit","output":null}`, `{"action":"edit","output":""}`,
	} {
		if run := c.do("POST", path+"/subtasks/T1/decision", body).is(http.StatusOK).run(); !strings.HasSuffix(path, run.Id) {
			t.Errorf("shows run %s", run.Id)
		}
	}
	output := func(s string) *string { return &s }
	want := []orchestration.Said{
		orchestration.DecideSubtask{Subtask: "T1", Action: orchestration.ActionApprove, Comment: "Fine"},
		orchestration.DecideSubtask{Subtask: "T1", Action: orchestration.ActionRetry},
		orchestration.DecideSubtask{Subtask: "T1", Action: orchestration.ActionReject},
		orchestration.DecideSubtask{Subtask: "T1", Action: orchestration.ActionEdit, Output: output(`as it "stands"`)},
		orchestration.DecideSubtask{Subtask: "T1", Action: orchestration.ActionEdit, Output: output(`{"a": [1]}`)},
		orchestration.DecideSubtask{Subtask: "T1", Action: orchestration.ActionEdit, Output: output("null")},
		orchestration.DecideSubtask{Subtask: "T1", Action: orchestration.ActionEdit, Output: output("")},
	}
	if diff := cmp.Diff(want, *said); diff != "" {
		t.Error(diff)
	}
}

func TestDecidePlan(t *testing.T) {
	c, path, said := deciding(t)
	c.do("POST", path+"/plan/decision", `{"action":"approve","version":1,"comment":"Go"}`).is(http.StatusOK)
	c.do("POST", path+"/plan/decision", `{"action":"edit","version":1,"plan":{"subtasks":[{"description":"other"}]}}`).is(http.StatusOK)
	want := []orchestration.Said{
		orchestration.DecidePlan{Version: 1, Action: orchestration.ActionApprove, Comment: "Go"},
		orchestration.DecidePlan{Version: 1, Action: orchestration.ActionEdit, Plan: &orchestration.Plan{
			Version: 1, Subtasks: []orchestration.Subtask{{ID: "T1", Description: "other"}},
		}},
	}
	if diff := cmp.Diff(want, *said); diff != "" {
		t.Error(diff)
	}
}

func TestDecisionsThatAreRefused(t *testing.T) {
	c, path, said := deciding(t)
	subtask, plan := path+"/subtasks/T1/decision", path+"/plan/decision"
	for _, r := range []struct {
		path, body string
		status     int
		code       orchestration.Code
		pointers   []string
	}{
		{subtask, `{"action":"maybe"}`, 400, codeInvalidRequest, []string{"/action"}},
		{subtask, `{"output":"x"}`, 400, codeInvalidRequest, []string{"/action"}},
		{subtask, `{"action":"edit"}`, 400, codeInvalidRequest, []string{"/output"}},
		{subtask, `{"action":"approve","output":"x"}`, 400, codeInvalidRequest, []string{"/output"}},
		{subtask, `{"action":"approve","comment":"` + strings.Repeat("x", 2001) + `"}`, 400, codeInvalidRequest, []string{"/comment"}},
		{subtask, `{"action":"edit","output":"` + strings.Repeat("x", 21) + `"}`, 422, codeInvalidRequest, []string{"/output"}},
		{path + "/subtasks/T2/decision", `{"action":"approve"}`, 404, codeNotFound, nil},
		{"/v1/runs/run_none/subtasks/T1/decision", `{"action":"approve"}`, 404, codeNotFound, nil},
		{"/v1/runs/run_none/plan/decision", `{"action":"approve","version":1}`, 404, codeNotFound, nil},
		{plan, `{"action":"approve"}`, 400, codeInvalidRequest, []string{"/version"}},
		{plan, `{"action":"retry","version":1}`, 400, codeInvalidRequest, []string{"/action"}},
		{plan, `{"action":"edit","version":1}`, 400, codeInvalidRequest, []string{"/plan"}},
		{plan, `{"action":"approve","version":1,"plan":{"subtasks":[{"description":"d"}]}}`, 400, codeInvalidRequest, []string{"/plan"}},
		{plan, `{"action":"approve","version":2}`, 409, codeConflict, nil},
		{plan, `{"action":"edit","version":1,"plan":{"subtasks":[{"description":" "}]}}`, 422, orchestration.CodePlanInvalid, []string{"/plan/subtasks/0/description"}},
	} {
		c.do("POST", r.path, r.body).problem(r.status, r.code, r.pointers...)
	}
	if len(*said) > 0 {
		t.Errorf("a refused decision was carried on: %v", *said)
	}

	approve := func() response { return c.do("POST", subtask, `{"action":"approve"}`) }
	c.world.decide = func(orchestration.Said) error { return orchestration.ErrNotWaiting }
	approve().problem(http.StatusConflict, codeConflict)
	c.world.decide = func(orchestration.Said) error { return orchestration.ErrNotFound } // it ended meanwhile
	approve().problem(http.StatusConflict, codeConflict)
	c.world.decide = func(orchestration.Said) error {
		return &orchestration.DecisionError{Pointer: "/action", Detail: "an approval cannot be tried again"}
	}
	if p := approve().problem(http.StatusUnprocessableEntity, codeInvalidRequest, "/action"); !strings.Contains(p.Detail, "cannot be tried again") {
		t.Errorf("%+v", p)
	}
	c.world.decide = func(orchestration.Said) error { return orchestration.ErrUnavailable }
	approve().problem(http.StatusServiceUnavailable, codeStorageUnavailable)

	c.world.decide = nil
	c.world.release(strings.TrimPrefix(path, "/v1/runs/"))
	approve().problem(http.StatusConflict, codeConflict)
}

// What has ended of a run stays, so that an edited plan may build on it without
// naming it.
func TestEditsBuildOnWhatHasEnded(t *testing.T) {
	var said orchestration.Said
	c := serve(t, func(_ *Options, w *world) {
		w.held = true
		w.decide = func(s orchestration.Said) error {
			said = s
			return nil
		}
	})
	id := c.start(`{"task":"t","plan":{"subtasks":[{"id":"T1","description":"d"},{"id":"T2","description":"d"}]}}`)
	c.world.releaseOne(id) // the timer
	c.world.releaseOne(id) // T1
	path := "/v1/runs/" + id + "/plan/decision"
	c.do("POST", path, `{"action":"edit","version":1,"plan":{"subtasks":[{"id":"X","description":"other","depends_on":["T1"]}]}}`).is(http.StatusOK)
	if d, ok := said.(orchestration.DecidePlan); !ok || len(d.Plan.Subtasks) != 1 || d.Plan.Subtasks[0].ID != "X" {
		t.Errorf("said %+v", said)
	}
	c.do("POST", path, `{"action":"edit","version":1,"plan":{"subtasks":[{"id":"X","description":"other","depends_on":["T2"]}]}}`).is(http.StatusUnprocessableEntity)
}
