package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// follow opens a stream.
func (c *client) follow(path string, header ...string) *http.Response {
	c.t.Helper()
	answer, err := c.http.Do(c.request("GET", path, "", append(header, "Accept", "text/event-stream")...))
	if err != nil {
		c.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != typeEvents {
		c.t.Fatalf("status %d, headers %v", answer.StatusCode, answer.Header)
	}
	return answer
}

func TestStreamOfANewRun(t *testing.T) {
	c := serve(t, nil)
	answer, err := c.http.Do(c.request("POST", "/v1/runs", `{"task":"t"}`, "Accept", "text/event-stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	all := frames(t, answer.Body, nil)
	const want = "run.created,run.started,plan.started,plan.subtask_added,plan.subtask_added,plan.created," +
		"subtask.started,subtask.succeeded,subtask.started,subtask.succeeded,synthesis.started,synthesis.succeeded,run.succeeded"
	if types(all) != want {
		t.Errorf("frames %s", types(all))
	}
	for i, f := range all {
		if e := frameOf(c.world.runs[0].events[i]); f.id != strconv.FormatInt(e.Seq, 10) || !strings.Contains(f.data, `"seq":`+f.id+`,"type":"`+f.event+`"`) {
			t.Errorf("frame %+v", f)
		}
	}
	if got := answer.Header.Get("Location"); got != "/v1/runs/run_0001/events" {
		t.Errorf("Location: %s", got)
	}

	page := decode[struct {
		Data      []frame `json:"data"`
		NextAfter int64   `json:"next_after"`
	}](c.do("GET", "/v1/runs/run_0001/events?after=3&limit=2", "").is(http.StatusOK))
	if len(page.Data) != 2 || page.Data[0].Seq != 4 || page.NextAfter != 5 {
		t.Errorf("page %+v", page)
	}
	end := decode[eventPage](c.do("GET", "/v1/runs/run_0001/events?after=99", "").is(http.StatusOK))
	if len(end.Data) != 0 || end.NextAfter != 99 {
		t.Errorf("page %+v", end)
	}
}

func TestStreamOfEveryKindOfEnd(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"retried": {
			`{"task":"t","limits":{"max_attempts":2},"plan":{"subtasks":[{"description":"FAIL AGAIN"}]}}`,
			"run.created,run.started,plan.subtask_added,plan.created,subtask.started,subtask.retrying,subtask.started,subtask.failed,run.failed",
		},
		"given up": {
			`{"task":"t","on_failure":"fail","plan":{"subtasks":[{"description":"FAIL"},{"description":"d","depends_on":["T1"]}]}}`,
			"run.created,run.started,plan.subtask_added,plan.subtask_added,plan.created,subtask.started,subtask.failed,subtask.skipped,run.canceling,run.failed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, nil)
			answer, err := c.http.Do(c.request("POST", "/v1/runs", test.body, "Accept", "text/event-stream"))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if all := frames(t, answer.Body, nil); types(all) != test.want {
				t.Errorf("frames %s", types(all))
			}
		})
	}
}

func TestStreamOfAPlannerThatFails(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) {
		w.perform = func(cmd orchestration.Command) orchestration.Said {
			if plan, ok := cmd.(orchestration.MakePlan); ok {
				return orchestration.Planned{Attempt: plan.Attempt, Failure: &orchestration.Failure{Code: orchestration.CodePlanRefused, Detail: "no"}}
			}
			return perform(cmd)
		}
	})
	r := c.do("POST", "/v1/runs", `{"task":"t"}`, "Prefer", "wait=9").is(http.StatusOK)
	answer := c.follow("/v1/runs/" + r.run().Id + "/events")
	defer answer.Body.Close()
	if all := frames(t, answer.Body, nil); !strings.HasPrefix(types(all), "run.created,run.started,plan.started,plan.invalid,run.failed") {
		t.Errorf("frames %s", types(all))
	}
	if run := r.run(); run.Plan != nil || run.Result == nil || run.Error.Code != orchestration.CodePlanRefused {
		t.Errorf("%s", r.body)
	}
}

func TestStreamResumes(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	id := c.start(`{"task":"t","plan":{"subtasks":[{"description":"d"}]}}`)
	first := c.follow("/v1/runs/" + id + "/events?after=1")
	all := frames(t, first.Body, func(f sse) bool { return f.event == "plan.created" })
	first.Body.Close()
	if all[0].id != "2" {
		t.Errorf("began at %s", all[0].id)
	}
	last := all[len(all)-1].id

	second := c.follow("/v1/runs/"+id+"/events?after=1", "Last-Event-ID", last)
	defer second.Body.Close()
	c.world.release(id)
	rest := frames(t, second.Body, nil)
	if got := types(rest); got != "subtask.started,subtask.succeeded,run.succeeded" {
		t.Errorf("resumed with %s", got)
	}

	end := rest[len(rest)-1].id
	c.do("GET", "/v1/runs/"+id+"/events", "", "Accept", "text/event-stream", "Last-Event-ID", end).is(http.StatusNoContent)
	c.do("GET", "/v1/runs/"+id+"/events", "", "Accept", "text/event-stream", "Last-Event-ID", "x").problem(http.StatusBadRequest, codeInvalidRequest, "header/Last-Event-ID")
	c.do("GET", "/v1/runs/"+id+"/events?after=-1", "").problem(http.StatusBadRequest, codeInvalidRequest, "query/after")
	c.do("GET", "/v1/runs/none/events", "", "Accept", "text/event-stream").problem(http.StatusNotFound, codeNotFound)
	c.do("HEAD", "/v1/runs/"+id+"/events", "", "Accept", "text/event-stream").is(http.StatusOK)
}

// A reader may come with an id that is not of this run, or was never given: there is
// nothing to show it, but its stream ends with the run all the same.
func TestStreamFromBeyondTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(_ *Options, w *world) { w.held = true })
		id := c.start(`{"task":"t"}`)
		answer := c.follow("/v1/runs/"+id+"/events", "Last-Event-ID", "9999")
		defer answer.Body.Close()
		synctest.Wait()
		c.world.release(id)
		synctest.Wait()
		if n := c.world.followers(); n != 0 {
			t.Errorf("%d still follow a run that has ended", n)
		}
	})
}

func TestStreamIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(_ *Options, w *world) { w.held = true })
		id := c.start(`{"task":"t"}`)
		answer := c.follow("/v1/runs/" + id + "/events?after=3")
		defer answer.Body.Close()
		began := time.Now()
		time.AfterFunc(40*time.Second, func() { c.world.release(id) })
		all := frames(t, answer.Body, nil)
		if got := types(all[:3]); got != ": ping,: ping,plan.subtask_added" {
			t.Errorf("frames %s", types(all))
		}
		if took := time.Since(began); took != 40*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestStreamEndsWithItsReaderAndItsServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draining := make(chan struct{})
		c := serve(t, func(o *Options, w *world) { w.held, o.Draining = true, draining })
		id := c.start(`{"task":"t"}`)
		ctx, leave := context.WithCancel(t.Context())
		gone, err := c.http.Do(c.request("GET", "/v1/runs/"+id+"/events?deltas=true", "", "Accept", "text/event-stream").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		defer gone.Body.Close()
		stays := c.follow("/v1/runs/" + id + "/events")
		defer stays.Body.Close()
		synctest.Wait()
		if c.world.followers() != 2 || c.world.listeners() != 1 {
			t.Fatalf("%d followers", c.world.followers())
		}
		leave()
		synctest.Wait()
		if c.world.followers() != 1 || c.world.listeners() != 0 {
			t.Error("the stream outlived its reader")
		}
		close(draining)
		if all := frames(t, stays.Body, nil); types(all) != "run.created,run.started,plan.started" {
			t.Errorf("frames %s", types(all))
		}
	})
}

func TestDeltas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(_ *Options, w *world) { w.held = true })
		id := c.start(`{"task":"t","plan":{"subtasks":[{"description":"d"}]}}`)
		answer := c.follow("/v1/runs/" + id + "/events?deltas=true&after=4")
		defer answer.Body.Close()
		synctest.Wait()
		c.world.say(orchestration.Delta{Run: id, Subtask: "T1", Attempt: 1, Text: "out"})
		c.world.say(orchestration.Delta{Run: "run_other", Text: "no"})
		c.world.say(orchestration.Delta{Run: id, Subtask: "T1", Attempt: 1, Offset: 3, Text: "put"})
		c.world.release(id)
		all := frames(t, answer.Body, nil)
		if got := types(all); got != "subtask.started,delta,delta,subtask.succeeded,run.succeeded" {
			t.Fatalf("frames %s", got)
		}
		if all[1].id != "" || all[2].data != `{"run_id":"`+id+`","subtask_id":"T1","attempt":1,"offset":3,"text":"put"}` {
			t.Errorf("deltas %+v", all[1:3])
		}
	})
	c := serve(t, nil)
	c.start(`{"task":"t"}`)
	c.do("POST", "/v1/runs?deltas=true", `{"task":"t"}`).is(http.StatusAccepted)
	if c.world.runs[0].run.Spec.Deltas || !c.world.runs[1].run.Spec.Deltas {
		t.Error("the run does not know whether deltas are asked for")
	}
}

func TestEventsDoNotHoldWhatIsNotForReaders(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) {
		planned := false
		w.perform = func(cmd orchestration.Command) orchestration.Said {
			if plan, ok := cmd.(orchestration.MakePlan); ok && !planned {
				planned = true
				return orchestration.Planned{Attempt: plan.Attempt, Answer: "SECRET ANSWER", Problems: []orchestration.Problem{{Pointer: "", Code: "unreadable", Detail: "no plan"}}}
			}
			return perform(cmd)
		}
	})
	id := c.do("POST", "/v1/runs", `{"task":"t","worker":{"prompt":"SECRET PROMPT"}}`, "Prefer", "wait=9").is(http.StatusOK).run().Id
	all := c.do("GET", "/v1/runs/"+id+"/events?limit=200", "").is(http.StatusOK)
	if strings.Contains(string(all.body), "SECRET") || !strings.Contains(string(all.body), "plan.invalid") {
		t.Errorf("%s", all.body)
	}
}

// A page of events is as long as was asked for, though the journal gives fewer at a time.
func TestEventsOfShortPages(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.page = 2 })
	id := c.do("POST", "/v1/runs", `{"task":"t"}`, "Prefer", "wait=10").is(http.StatusOK).run().Id
	page := decode[eventPage](c.do("GET", "/v1/runs/"+id+"/events?limit=5", "").is(http.StatusOK))
	if len(page.Data) != 5 || page.NextAfter != 5 {
		t.Errorf("%d events, the next after %d", len(page.Data), page.NextAfter)
	}
}
