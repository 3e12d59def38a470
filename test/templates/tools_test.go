package templates

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDataPipeline(t *testing.T) {
	s, stub := withTools(t)
	r := ask(t, s, `{"workflow": "data-pipeline", "context": {"host": "checkout"}}`)
	want(t, r, fate{"succeeded", 1, "T1 T2 T3 T4 T5", "", "T5"})
	var record struct {
		ID     string  `json:"ci_id"`
		Owner  string  `json:"owner"`
		State  string  `json:"state"`
		Peak   float64 `json:"peak_load"`
		Errors []int   `json:"errors"`
	}
	if err := json.Unmarshal([]byte(output(t, r, "T5")), &record); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(record); got != "{ci-17 payments alarming 0.97 [0 3 41 12]}" {
		t.Errorf("the record is %s", got)
	}
	calls, keys := stub.calls(t, r.ID)
	if diff := cmp.Diff([]string{"GET /ci?name=checkout 200", "GET /ci/ci-17/samples 200"}, calls); diff != "" {
		t.Errorf("calls of tools (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"subtask/T1", "subtask/T2"}, keys); diff != "" {
		t.Errorf("idempotency keys (-want +got):\n%s", diff)
	}
	r = ask(t, s, `{"workflow": "data-pipeline", "context": {"host": "search"}}`)
	if got := output(t, r, "T4"); got != "calm" {
		t.Errorf("the state is %s", got)
	}
	r = ask(t, s, `{"workflow": "data-pipeline", "context": {"host": "nowhere"}}`)
	want(t, r, fate{"failed", 0, "", "failed:T1 skipped:T2 skipped:T3 skipped:T4 skipped:T5", ""})

	// What only reads is cached with the run.
	const cached = `{"workflow": "data-pipeline", "context": {"host": "search"}, "cache": "1h"}`
	ask(t, s, cached)
	r = ask(t, s, cached)
	want(t, r, fate{"succeeded", 0, "T1 T2 T3 T4 T5", "", "T5"})
	if calls, _ := stub.calls(t, r.ID); len(calls) > 0 {
		t.Errorf("a cached rerun calls %v", calls)
	}
}

func TestIncidentRootCause(t *testing.T) {
	s, stub := withTools(t)
	for _, c := range []struct {
		incident string
		want     fate
	}{
		{"inc-1", fate{"succeeded", 3, "incident logs changes causes reach opinion root_cause", "", "root_cause"}},
		{"inc-2", fate{"succeeded", 2, "incident logs changes causes reach root_cause", "skipped:opinion", "root_cause"}},
		{"inc-9", fate{"failed", 0, "", "failed:incident skipped:logs skipped:changes skipped:causes skipped:reach skipped:opinion skipped:root_cause", ""}},
	} {
		r := ask(t, s, `{"workflow": "incident-root-cause", "context": {"incident": "`+c.incident+`"}}`)
		want(t, r, c.want)
		if c.incident == "inc-2" { // nothing is known of changes, which is as good as none
			if got := output(t, r, "changes"); got != `{"changes":[]}` {
				t.Errorf("the changes are %s", got)
			}
			calls, _ := stub.calls(t, r.ID)
			slices.Sort(calls)
			if diff := cmp.Diff([]string{"GET /incidents/inc-2 200", "GET /services/search/changes 404", "GET /services/search/logs 200"}, calls); diff != "" {
				t.Errorf("calls of tools (-want +got):\n%s", diff)
			}
		}
	}
}

func TestIncidentSweep(t *testing.T) {
	s, _ := withTools(t)
	r := ask(t, s, `{"workflow": "incident-sweep"}`)
	f := fateOf(t, r)
	// Of the three incidents of the last hour the third has no logs: it fails alone.
	if f.status != "succeeded, partial" || f.calls != 3+2+1 || f.final != "report" {
		t.Errorf("the run ended otherwise:\n%s", f)
	}
	for _, sub := range r.Plan.Subtasks { // what is told of it is what it failed of
		if sub.ID == "each.3.analysis" && (sub.Error == nil || sub.Error.Code != "tool_failed") {
			t.Errorf("the third incident failed of %+v", sub.Error)
		}
	}
	var each []struct {
		Status string
		Output *struct{ Incident string }
	}
	if err := json.Unmarshal([]byte(output(t, r, "each")), &each); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range each {
		got = append(got, e.Status)
		if e.Output != nil {
			got = append(got, e.Output.Incident)
		}
	}
	if diff := cmp.Diff([]string{"succeeded", "inc-1", "succeeded", "inc-2", "failed"}, got); diff != "" {
		t.Errorf("the items (-want +got):\n%s", diff)
	}
	// Nothing failed: there is nothing to report, and nobody is asked.
	want(t, ask(t, s, `{"workflow": "incident-sweep", "context": {"minutes": 5}}`), fate{"succeeded", 0, "failures each", "skipped:report", "each"})
}

const directed = `{"workflow": "director", "context": {"product": "%s", "facts": "Steel, half a liter. %s", "brand": "nordwind"%s}}`

// savings are the subtasks that write three files.
const savings = "texts.1.draft texts.1.save texts.2.draft texts.2.save texts.3.draft texts.3.save"

func TestDirector(t *testing.T) {
	s, stub := withTools(t)
	t.Run("all of it", func(t *testing.T) {
		r := ask(t, s, fmt.Sprintf(directed, "bottle", "", ""))
		want(t, r, fate{"succeeded", 8, "analysis worth guide texts verdict release announcement result guide.1.guide guide.1.rules " + savings, "", "result"})
		if n := stub.files(t, "bottle-"); n != 3 {
			t.Errorf("there are %d files", n)
		}
	})
	t.Run("another product, with the cached guide", func(t *testing.T) {
		r := ask(t, s, fmt.Sprintf(directed, "cup", "", ""))
		want(t, r, fate{"succeeded", 7, "analysis worth guide texts verdict release announcement result guide.1.guide guide.1.rules " + savings, "", "result"})
		if calls, _ := stub.calls(t, r.ID); slices.Contains(calls, "GET /brands/nordwind 200") {
			t.Error("the brand is asked for again")
		}
		for _, sub := range r.Plan.Subtasks {
			if cached := strings.HasPrefix(sub.ID, "guide.1."); sub.Cached != cached {
				t.Errorf("%s: cached %v", sub.ID, sub.Cached)
			}
		}
	})
	t.Run("without what may be left out", func(t *testing.T) {
		r := ask(t, s, fmt.Sprintf(directed, "mug", "", `, "validate": false, "announce": false, "formats": ["page"]`))
		want(t, r, fate{
			"succeeded", 3, "analysis worth guide texts release result guide.1.guide guide.1.rules texts.1.draft texts.1.save",
			"skipped:verdict skipped:announcement", "result",
		})
	})
	t.Run("stopped early", func(t *testing.T) {
		r := ask(t, s, fmt.Sprintf(directed, "pot", "[[sim option=stop]]", ""))
		want(t, r, fate{
			"succeeded", 2, "analysis worth",
			"skipped:guide skipped:texts skipped:verdict skipped:release skipped:announcement skipped:result", "analysis",
		})
		if calls, _ := stub.calls(t, r.ID); len(calls) > 0 {
			t.Errorf("tools were called: %v", calls)
		}
	})
	t.Run("held", func(t *testing.T) {
		r := ask(t, s, fmt.Sprintf(directed, "jug", "[[sim option=hold]]", ""))
		want(t, r, fate{
			"succeeded", 6, "analysis worth guide texts verdict result guide.1.guide guide.1.rules " + savings,
			"skipped:release skipped:announcement", "result",
		})
		if text := output(t, r, "result"); !strings.Contains(text, `"state":"held"`) {
			t.Error(text)
		}
	})
	t.Run("out of the cache", func(t *testing.T) {
		request := fmt.Sprintf(directed, "bowl", "", "")
		request = strings.TrimSuffix(request, "}") + `, "cache": "1h"}`
		ask(t, s, request)
		r := ask(t, s, request)
		if f := fateOf(t, r); f.calls != 0 || f.status != "succeeded" {
			t.Errorf("the run ended otherwise:\n%s", f)
		}
		if calls, _ := stub.calls(t, r.ID); len(calls) != 4 { // what has an effect is done each time
			t.Errorf("calls of tools: %v", calls)
		}
	})
}

// What was created is deleted again, the last one first, each by a call with a key of
// its own.
func TestDirectorRollsBack(t *testing.T) {
	s, stub := withTools(t)
	check := func(t *testing.T, run, product string) {
		t.Helper()
		calls, keys := stub.calls(t, run)
		var created, deleted []string
		for i, c := range calls {
			switch {
			case strings.HasPrefix(c, "POST /files 200"):
				created = append(created, keys[i])
			case strings.HasPrefix(c, "DELETE /files/"+product+"-"):
				deleted = append(deleted, keys[i])
			}
		}
		if len(created) != 3 || len(deleted) != 3 {
			t.Fatalf("%d files were created and %d deleted: %v", len(created), len(deleted), calls)
		}
		var want []string // the order in which the subtasks ended, from the last
		for _, e := range ended(t, s.Get(t, "/v1/runs/"+run+"/events?limit=200").Body) {
			if strings.HasSuffix(e, ".save") {
				want = append(want, "compensation/"+e)
			}
		}
		slices.Reverse(want)
		if diff := cmp.Diff(want, deleted); diff != "" {
			t.Errorf("what was undone (-want +got):\n%s", diff)
		}
		if n := stub.files(t, product+"-"); n != 0 {
			t.Errorf("%d files are left", n)
		}
	}
	t.Run("after a failure", func(t *testing.T) {
		r := ask(t, s, fmt.Sprintf(directed, "embargoed", "", "")) // whose release the stub refuses
		want(t, r, fate{
			"failed", 7, "analysis worth guide texts verdict guide.1.guide guide.1.rules " + savings,
			"failed:release skipped:announcement skipped:result", "",
		})
		check(t, r.ID, "embargoed")
		// A fork writes the files anew, as they are gone, but analyzes nothing again.
		var preview struct{ Redo, Keep []string }
		s.Post(t, "/v1/runs/"+r.ID+"/fork?dry_run=true", "{}").Into(t, &preview)
		if diff := cmp.Diff([][]string{{"texts", "verdict", "release", "announcement", "result"}, {"analysis", "worth", "guide"}}, [][]string{preview.Redo, preview.Keep}); diff != "" {
			t.Errorf("what a fork does again, and what not (-want +got):\n%s", diff)
		}
	})
	t.Run("after a cancel", func(t *testing.T) {
		r := ask(t, s, fmt.Sprintf(directed, "vase", "[[sim option=escalate]]", "")) // so that a person is waited for
		if r.Status != "waiting" || stub.files(t, "vase-") != 3 {
			t.Fatalf("the run is %s, with %d files", r.Status, stub.files(t, "vase-"))
		}
		if a := s.Post(t, "/v1/runs/"+r.ID+"/cancel", "", "Prefer: wait=60"); a.Status != 200 {
			t.Fatalf("status %d\n%s", a.Status, a.Body)
		}
		check(t, r.ID, "vase")
	})
}

// ended returns the subtasks that succeeded, in the order of their events.
func ended(t *testing.T, page []byte) (ids []string) {
	t.Helper()
	var events struct {
		Data []struct {
			Type    string `json:"type"`
			Subtask string `json:"subtask_id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(page, &events); err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Data {
		if e.Type == "subtask.succeeded" {
			ids = append(ids, e.Subtask)
		}
	}
	return ids
}

func TestBrandGuide(t *testing.T) {
	s, stub := withTools(t)
	const request = `{"workflow": "brand-guide", "context": {"brand": "salto"}}`
	want(t, ask(t, s, request), fate{"succeeded", 1, "guide rules", "", "rules"})
	r := ask(t, s, request)
	want(t, r, fate{"succeeded", 0, "guide rules", "", "rules"})
	if calls, _ := stub.calls(t, r.ID); len(calls) > 0 {
		t.Errorf("a cached rerun calls %v", calls)
	}
}
