package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
)

func TestRunToTheEnd(t *testing.T) {
	c := serve(t, nil)
	const body = `{"task":"Say <hello>","context":{"b":1,"a":["x"]},"labels":{"team":"growth"},"limits":{"timeout":"90s"}}`
	r := c.do("POST", "/v1/runs", body, "Prefer", "respond-async, wait=10").is(http.StatusOK)
	run := r.run()
	if r.header.Get("Location") != "/v1/runs/"+run.Id || r.header.Get("Preference-Applied") != "wait=10" {
		t.Errorf("headers %v", r.header)
	}
	if run.Status != orchestration.StatusSucceeded || run.Usage.LLMCalls != 4 || run.EndedAt == nil || run.Error != nil {
		t.Errorf("run %s", r.body)
	}
	if !strings.Contains(string(r.body), `"task":"Say <hello>","context":{"b":1,"a":["x"]}`) {
		t.Errorf("the caller's own is not as it came: %s", r.body)
	}
	want := &Result{Analysis: "Two things.", FinalOutput: json.RawMessage(`"{\"answer\": 42}"`)}
	for _, s := range run.Plan.Subtasks {
		output := "output of " + s.Id
		want.WorkerResults = append(want.WorkerResults, WorkerResult{Id: s.Id, Type: s.Type, Description: s.Description, Result: &output})
		if *s.Output != output || s.OutputBytes != len(output) || s.Usage.LLMCalls != 1 {
			t.Errorf("subtask %+v", s)
		}
	}
	if diff := cmp.Diff(want, run.Result); diff != "" {
		t.Error(diff)
	}
	if got := run.Plan.Subtasks[1]; *got.Worker != "researcher" || *got.Model != "large" || got.DependsOn[0] != "T1" {
		t.Errorf("subtask %+v", got)
	}
	if again := c.do("GET", "/v1/runs/"+run.Id, "").is(http.StatusOK); !bytes.Equal(again.body, r.body) {
		t.Errorf("GET shows %s, POST showed %s", again.body, r.body)
	}
	if spec := c.world.runs[0].run.Spec; spec.Limits.Timeout != 90*time.Second || spec.Limits.MaxAttempts != 3 || len(spec.Models) != 2 {
		t.Errorf("spec %+v", spec)
	}
}

func TestAcceptedAtOnce(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	r := c.do("POST", "/v1/runs", `{"task":"t"}`).is(http.StatusAccepted)
	run := r.run()
	if run.Status != orchestration.StatusRunning || run.Plan != nil || run.Result != nil || r.header.Get("Location") == "" {
		t.Errorf("run %s", r.body)
	}
	c.world.release(run.Id)
	if run := c.do("GET", "/v1/runs/"+run.Id, "").run(); run.Status != orchestration.StatusSucceeded {
		t.Errorf("status %s", run.Status)
	}
}

func TestFinalOutputIsJSONWhereASchemaWasGiven(t *testing.T) {
	c := serve(t, nil)
	r := c.do("POST", "/v1/runs", `{"task":"t","synthesizer":{"json_schema":{"type":"object"}}}`, "Prefer", "wait=10").is(http.StatusOK)
	if !strings.Contains(string(r.body), `"final_output":{"answer":42}`) {
		t.Errorf("run %s", r.body)
	}
	r = c.do("POST", "/v1/runs", `{"task":"t","synthesizer":{"mode":"none"}}`, "Prefer", "wait=10").is(http.StatusOK)
	if got := string(r.run().Result.FinalOutput); got != "null" {
		t.Errorf("final output %s", got)
	}
}

func TestFailedRunShowsWhatExists(t *testing.T) {
	c := serve(t, nil)
	const plan = `{"task":"t","on_failure":"fail","plan":{"subtasks":[{"description":"works"},{"id":"bad","description":"FAIL","depends_on":["T1"]},{"description":"never","depends_on":["bad"]}]}}`
	r := c.do("POST", "/v1/runs", plan, "Prefer", "wait=10").is(http.StatusOK)
	run := r.run()
	if run.Status != orchestration.StatusFailed || run.Error == nil || run.Error.Code != orchestration.CodeUpstreamError ||
		run.Error.Status != 502 || run.Error.Instance != "/v1/runs/"+run.Id || run.Error.RequestId == "" {
		t.Fatalf("run %s", r.body)
	}
	w := run.Result.WorkerResults
	if len(w) != 3 || *w[0].Result != "output of T1" || w[1].Error.Code != orchestration.CodeUpstreamError || w[2].Error.Code != orchestration.CodeDependencyFailed {
		t.Errorf("worker results %s", r.body)
	}
}

func TestLongOutputsAreCutWhereTheyAreShown(t *testing.T) {
	c := serve(t, nil)
	r := c.do("POST", "/v1/runs", `{"task":"t","plan":{"subtasks":[{"description":"LONG"}]}}`, "Prefer", "wait=10").is(http.StatusOK)
	run := r.run()
	s := run.Plan.Subtasks[0]
	if s.OutputBytes != 120_000 || len(*s.Output) != maxShown-1 || strings.Trim(*s.Output, "€") != "" {
		t.Errorf("%d of %d bytes are shown", len(*s.Output), s.OutputBytes)
	}
	if len(*run.Result.WorkerResults[0].Result) != maxShown-1 {
		t.Error("the worker's result is not cut")
	}
	if len(run.Result.FinalOutput) != 120_002 {
		t.Errorf("the final output has %d bytes", len(run.Result.FinalOutput))
	}
	for _, e := range decode[struct{ Data []frame }](c.do("GET", "/v1/runs/"+run.Id+"/events", "").is(http.StatusOK)).Data {
		if data, _ := e.Data.(map[string]any); e.Type == "subtask.succeeded" && (len(data["output"].(string)) != maxShown-1 || data["output_bytes"] != 120_000.0) {
			t.Error("the event's output is not cut")
		}
	}
	path := "/v1/runs/" + run.Id + "/subtasks/T1/output"
	whole := c.do("GET", path, "").is(http.StatusOK)
	if len(whole.body) != 120_000 || whole.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%d bytes, headers %v", len(whole.body), whole.header)
	}
	part := c.do("GET", path, "", "Range", "bytes=3-5", "If-Range", whole.header.Get("ETag")).is(http.StatusPartialContent)
	if string(part.body) != "€" || part.header.Get("Content-Range") != "bytes 3-5/120000" {
		t.Errorf("%q, headers %v", part.body, part.header)
	}
	c.do("GET", path, "", "Range", "bytes=200000-").problem(http.StatusRequestedRangeNotSatisfiable, codeInvalidRequest)
	c.do("GET", "/v1/runs/"+run.Id+"/subtasks/T9/output", "").problem(http.StatusNotFound, codeNotFound)
}

func TestOutputThatIsNotThere(t *testing.T) {
	c := serve(t, func(_ *Options, w *world) { w.held = true })
	id := c.start(`{"task":"t","plan":{"subtasks":[{"description":"d"}]}}`)
	c.do("GET", "/v1/runs/"+id+"/subtasks/T1/output", "").problem(http.StatusNotFound, codeNotFound)
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(_ *Options, w *world) { w.held = true })
		began := time.Now()
		r := c.do("POST", "/v1/runs", `{"task":"t"}`, "Prefer", "wait=20").is(http.StatusAccepted)
		if waited := time.Since(began); waited != 20*time.Second || r.header.Get("Preference-Applied") != "wait=20" {
			t.Errorf("waited %v, headers %v", waited, r.header)
		}
		id := r.run().Id

		reads := c.world.reads
		time.AfterFunc(5*time.Second, func() { c.world.release(id) })
		began = time.Now()
		run := c.do("GET", "/v1/runs/"+id+"?wait=60", "", "Prefer", "wait=1").is(http.StatusOK).run()
		if waited := time.Since(began); waited != 5*time.Second || run.Status != orchestration.StatusSucceeded {
			t.Errorf("waited %v for a run that %s", waited, run.Status)
		}
		if c.world.reads != reads+1 {
			t.Errorf("the events were read %d times, want once", c.world.reads-reads)
		}

		began = time.Now()
		c.do("GET", "/v1/runs/"+id, "", "Prefer", "wait=60").is(http.StatusOK)
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %v for a run that has ended", waited)
		}

		began = time.Now()
		r = c.do("POST", "/v1/runs", `{"task":"t"}`, "Prefer", "wait=99999999999999999999").is(http.StatusAccepted)
		if waited := time.Since(began); waited != maxWait || r.header.Get("Preference-Applied") != "wait=300" {
			t.Errorf("waited %v, headers %v", waited, r.header)
		}
		c.do("GET", "/v1/runs/"+id+"?wait=301", "").problem(http.StatusBadRequest, codeInvalidRequest, "query/wait")
		for _, odd := range []string{"wait=soon", "wait=-1", "wait", "handling=lenient"} {
			began = time.Now()
			r = c.do("POST", "/v1/runs", `{"task":"t"}`, "Prefer", odd).is(http.StatusAccepted)
			if time.Since(began) != 0 || r.header.Get("Preference-Applied") != "" {
				t.Errorf("Prefer: %s was not ignored", odd)
			}
		}
	})
}

func TestDrainingAnswersThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draining := make(chan struct{})
		c := serve(t, func(o *Options, w *world) { w.held, o.Draining = true, draining })
		c.do("GET", "/readyz", "").is(http.StatusOK)
		time.AfterFunc(3*time.Second, func() { close(draining) })
		began := time.Now()
		c.do("POST", "/v1/runs", `{"task":"t"}`, "Prefer", "wait=60").is(http.StatusAccepted)
		if waited := time.Since(began); waited != 3*time.Second {
			t.Errorf("waited %v", waited)
		}
		c.do("GET", "/readyz", "").problem(http.StatusServiceUnavailable, codeOverloaded)
	})
}

func TestIdempotencyKey(t *testing.T) {
	c := serve(t, nil)
	first := c.do("POST", "/v1/runs", `{"task":"t"}`, "Idempotency-Key", "k").is(http.StatusAccepted)
	id := first.run().Id
	if first.header.Get("Idempotency-Replayed") != "" {
		t.Error("the first request replays nothing")
	}
	again := c.do("POST", "/v1/runs", `{"task":"t"}`, "Idempotency-Key", "k", "Prefer", "wait=5").is(http.StatusOK)
	if again.run().Id != id || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("headers %v, body %s", again.header, again.body)
	}
	c.do("POST", "/v1/runs", `{"task": "t"}`, "Idempotency-Key", "k").problem(http.StatusUnprocessableEntity, codeInvalidRequest, "header/Idempotency-Key")
	c.do("POST", "/v1/runs", `{"task":""}`, "Idempotency-Key", "k2").problem(http.StatusBadRequest, codeInvalidRequest, "/task")
	if other := c.start(`{"task":"t"}`, "Idempotency-Key", "k2"); other == id {
		t.Error("a refused request has used the key")
	}
	c.do("POST", "/v1/runs", `{"task":"t"}`, "Idempotency-Key", strings.Repeat("k", 256)).problem(http.StatusBadRequest, codeInvalidRequest, "header/Idempotency-Key")

	c.do("POST", "/v1/runs", `{"task":"t"}`, "Idempotency-Key", "clé").problem(http.StatusBadRequest, codeInvalidRequest, "header/Idempotency-Key")

	stream, err := c.http.Do(c.request("POST", "/v1/runs", `{"task":"t"}`, "Idempotency-Key", "k", "Accept", "text/event-stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if stream.Header.Get("Idempotency-Replayed") != "true" || stream.Header.Get("Location") != "/v1/runs/"+id+"/events" {
		t.Errorf("headers %v", stream.Header)
	}
	if all := frames(t, stream.Body, nil); all[0].id != "1" || all[len(all)-1].event != "run.succeeded" {
		t.Errorf("frames %s", types(all))
	}
}

func TestIdempotencyKeyTakenMeanwhile(t *testing.T) {
	c := serve(t, nil)
	id := c.start(`{"task":"t"}`, "Idempotency-Key", "k")
	c.world.lateKey = true // the key is not found at first: it is being written
	again := c.do("POST", "/v1/runs", `{"task":"t"}`, "Idempotency-Key", "k").is(http.StatusAccepted)
	if again.run().Id != id || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("headers %v, body %s", again.header, again.body)
	}
	c.do("POST", "/v1/runs", `{"task":"u"}`, "Idempotency-Key", "k").problem(http.StatusUnprocessableEntity, codeInvalidRequest, "header/Idempotency-Key")
}

func TestList(t *testing.T) {
	c := serve(t, nil)
	for i := range 5 {
		c.start(fmt.Sprintf(`{"task":"t%d","labels":{"team":"a","n":"%d"}}`, i, i%2))
	}
	var seen []string
	path := "/v1/runs?limit=2&label=team:a"
	for range 5 {
		page := decode[RunPage](c.do("GET", path, "").is(http.StatusOK))
		for _, s := range page.Data {
			seen = append(seen, s.Task)
		}
		if page.NextCursor == nil {
			break
		}
		path = "/v1/runs?limit=2&label=team:a&cursor=" + *page.NextCursor
	}
	if got := strings.Join(seen, " "); got != "t4 t3 t2 t1 t0" {
		t.Errorf("listed %s", got)
	}
	for query, want := range map[string]int{
		"label=n:1": 2, "label=n:1&label=team:b": 0, "label=n:1&label=n:0": 0, "status=succeeded": 5, "status=failed&status=canceled": 0,
		"created_after=2000-01-01T00:00:00Z": 5, "created_before=2000-01-01T00:00:00Z": 0, "limit=200": 5,
	} {
		c.world.working.Wait()
		if page := decode[RunPage](c.do("GET", "/v1/runs?"+query, "").is(http.StatusOK)); len(page.Data) != want {
			t.Errorf("%s lists %d, want %d", query, len(page.Data), want)
		}
	}
	for query, pointer := range map[string]string{
		"cursor=xyz": "query/cursor", "cursor=" + cursorAfter("nothing"): "query/cursor", "cursor=" + cursorAfter("run_gone"): "query/cursor",
		"limit=0": "query/limit", "limit=201": "query/limit", "limit=x": "query/limit", "limit=1&limit=2": "query/limit",
		"status=done": "query/status/0", "label=x": "query/label/0", "created_after=now": "query/created_after", "wat=1": "query/wat",
		"limit=%zz": "query",
	} {
		c.do("GET", "/v1/runs?"+query, "").problem(http.StatusBadRequest, codeInvalidRequest, pointer)
	}
}

// Who deletes what a page lists can go on to the next one.
func TestListWhileRunsAreDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, nil)
		for i := range 6 {
			c.start(fmt.Sprintf(`{"task":"t%d"}`, i))
			time.Sleep(time.Millisecond)
		}
		c.world.working.Wait()
		const first = "/v1/runs?limit=2&created_before=2000-01-01T00:00:00.005Z" // the last one is not meant
		var seen []string
		for path := first; path != ""; {
			page := decode[RunPage](c.do("GET", path, "").is(http.StatusOK))
			for _, s := range page.Data {
				seen = append(seen, s.Task)
			}
			last := page.Data[len(page.Data)-1] // those before it must not be listed again
			c.do("DELETE", "/v1/runs/"+last.Id, "").is(http.StatusNoContent)
			if path = ""; page.NextCursor != nil {
				path = first + "&cursor=" + *page.NextCursor
			}
		}
		if got := strings.Join(seen, " "); got != "t4 t3 t2 t1 t0" {
			t.Errorf("listed %s", got)
		}
		end := cursorOf(orchestration.Row{ID: "run_gone", CreatedAt: time.Now()})
		if page := decode[RunPage](c.do("GET", first+"&cursor="+end, "").is(http.StatusOK)); len(page.Data) != 2 || page.Data[0].Task != "t4" {
			t.Errorf("%v is listed: not all of it is before that time", page.Data)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(_ *Options, w *world) { w.held = true })
		id := c.start(`{"task":"t","plan":{"subtasks":[{"description":"d"},{"description":"e","depends_on":["T1"]}]}}`)
		c.do("DELETE", "/v1/runs/"+id, "").problem(http.StatusConflict, codeConflict)

		began := time.Now()
		r := c.do("POST", "/v1/runs/"+id+"/cancel", `{"detail":"no longer needed"}`).is(http.StatusAccepted)
		if waited := time.Since(began); waited != 10*time.Second || r.run().Status != orchestration.StatusCanceling || r.header.Get("Location") == "" {
			t.Errorf("waited %v: %s", waited, r.body)
		}
		time.AfterFunc(time.Second, func() { c.world.release(id) })
		r = c.do("POST", "/v1/runs/"+id+"/cancel", "", "Prefer", "wait=5").is(http.StatusOK)
		run := r.run()
		if run.Status != orchestration.StatusCanceled || run.Reason.Detail != "no longer needed" || r.header.Get("Preference-Applied") != "wait=5" {
			t.Errorf("run %s", r.body)
		}
		if s := run.Plan.Subtasks; s[0].Status != orchestration.StatusCanceled || s[1].Status != orchestration.StatusCanceled || run.Result == nil {
			t.Errorf("run %s", r.body)
		}
		c.do("POST", "/v1/runs/"+id+"/cancel", "").is(http.StatusOK) // once more changes nothing

		c.do("DELETE", "/v1/runs/"+id, "").is(http.StatusNoContent)
		c.do("DELETE", "/v1/runs/"+id, "").problem(http.StatusNotFound, codeNotFound)
		c.do("POST", "/v1/runs/"+id+"/cancel", "").problem(http.StatusNotFound, codeNotFound)
	})
}

func TestCancelTooLate(t *testing.T) {
	c := serve(t, nil)
	id := c.do("POST", "/v1/runs", `{"task":"t"}`, "Prefer", "wait=10").is(http.StatusOK).run().Id
	c.do("POST", "/v1/runs/"+id+"/cancel", "").problem(http.StatusConflict, codeConflict)
}

func TestGraph(t *testing.T) {
	c := serve(t, nil)
	const nasty = `{"task":"t","plan":{"subtasks":[{"id":"end","description":"a \"]:::x <b> \\ ; c"},{"id":"b","description":"d","depends_on":["end"]}]}}`
	id := c.do("POST", "/v1/runs", nasty, "Prefer", "wait=10").is(http.StatusOK).run().Id
	mermaid := c.do("GET", "/v1/runs/"+id+"/graph", "").is(http.StatusOK)
	if want := `s0["end: a #34;#93;:::x #60;b#62; #92; #59; c"]:::succeeded`; !strings.Contains(string(mermaid.body), want) || !strings.Contains(string(mermaid.body), "s0 --> s1") {
		t.Errorf("%s", mermaid.body)
	}
	dot := c.do("GET", "/v1/runs/"+id+"/graph?format=dot", "").is(http.StatusOK)
	if want := `s0 [label="end: a \"]:::x <b> \\ ; c"`; !strings.Contains(string(dot.body), want) || !strings.Contains(string(dot.body), "s0 -> s1") {
		t.Errorf("%s", dot.body)
	}
	g := decode[Graph](c.do("GET", "/v1/runs/"+id+"/graph?format=json", "").is(http.StatusOK))
	if len(g.Subtasks) != 2 || g.Edges[0] != (GraphEdge{From: "end", To: "b"}) {
		t.Errorf("%+v", g)
	}
	c.do("GET", "/v1/runs/"+id+"/graph?format=svg", "").problem(http.StatusBadRequest, codeInvalidRequest, "query/format")
}

func TestCatalog(t *testing.T) {
	c := serve(t, func(o *Options, _ *world) { o.Simulated = true })
	if l := decode[WorkerList](c.do("GET", "/v1/workers", "").is(http.StatusOK)); l.Data[0].Name != "researcher" || l.Data[0].Description != "Finds things" || fmt.Sprint(l.Data[0].Tools) != "[search]" {
		t.Errorf("%+v", l)
	}
	if l := decode[ModelList](c.do("GET", "/v1/models", "").is(http.StatusOK)); len(l.Data) != 3 || l.Data[2].Price != nil || *l.Data[0].ContextWindow != 200_000 {
		t.Errorf("%+v", l)
	}
	c.do("GET", "/livez?verbose", "", "Accept", "text/plain").is(http.StatusOK)
	if r := decode[Readiness](c.do("GET", "/readyz", "").is(http.StatusOK)); !r.Simulated || r.Version != "test" {
		t.Errorf("%+v", r)
	}
	if r := c.do("GET", "/openapi.yaml", "").is(http.StatusOK); !strings.HasPrefix(string(r.body), "openapi: 3.1.0") {
		t.Errorf("%.40s", r.body)
	}
	c.do("GET", "/metrics", "").problem(http.StatusNotFound, codeNotFound)
}
