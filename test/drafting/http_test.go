package drafting

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/test/service"
)

// forms are a plan of three subtasks, the last after the first, in the pieces that a
// test writes.
var forms = map[string][]string{
	"JSON": {`{"analysis": "so", "subtasks": [` + part(1), `, ` + part(2), `, ` + part(3, "T1"), `]}`},
	"XML":  {`<analysis>so</analysis><tasks>` + partXML(1), partXML(2), partXML(3, "T1"), `</tasks>`},
}

// Each piece of a plan is written only when the request has arrived that the piece
// before it has sent off, so that a run that waited for its whole plan would hang.
func TestWorkersAreAskedBeforeTheNextPiece(t *testing.T) {
	for form, pieces := range forms {
		t.Run(form, func(t *testing.T) {
			var u *upstream
			u = serveModel(t, false, func(_ int, _ string, a *answer) {
				for i, piece := range pieces {
					a.say(piece)
					if i < 3 && !strings.Contains((<-u.works).prompt, "Do part") {
						t.Error("something else was asked for")
					}
				}
				a.end()
			})
			s := service.Start(t, "OPENAI_BASE_URL="+u.URL)
			var events []string
			s.Stream(t, "/v1/runs", `{"task": "Do it"}`, func(f service.Frame) bool {
				events = append(events, f.Event)
				return true
			})
			planned := slices.Index(events, "plan.created")
			for _, kind := range []string{"plan.subtask_added", "subtask.started"} {
				if n := count(events[:max(planned, 0)], kind); n != 3 {
					t.Errorf("%s comes %d times before the plan is there: %v", kind, n, events)
				}
			}
			if events[len(events)-1] != "run.succeeded" {
				t.Errorf("the run ends with %v", events)
			}
		})
	}
}

func count(events []string, kind string) (n int) {
	for _, e := range events {
		if e == kind {
			n++
		}
	}
	return n
}

// At a known pace nothing holds a plan up, and its subtasks begin before it is there.
func TestDraftsOfTheSimulator(t *testing.T) {
	for form, pieces := range forms {
		t.Run(form, func(t *testing.T) {
			model, err := simulator.Listen(simulator.Options{
				Ledger: 100, TokenInterval: simulatedPace,
				Answer: func(r simulator.Request) (simulator.Reply, bool) {
					return simulator.Reply{Text: strings.Join(pieces, "")}, r.Role == simulator.Planner
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer model.Close()
			s := service.Start(t, "OPENAI_BASE_URL="+model.URL())
			var events []string
			s.Stream(t, "/v1/runs", `{"task": "Do it"}`, func(f service.Frame) bool {
				events = append(events, f.Event)
				return true
			})
			if first, planned := slices.Index(events, "subtask.started"), slices.Index(events, "plan.created"); first < 0 || first > planned {
				t.Errorf("the run went %v", events)
			}
			for _, r := range model.Requests() {
				if r.Role == simulator.Planner {
					t.Logf("the planner wrote for %v", r.Ended.Sub(r.Time))
				}
			}
		})
	}
}

// A plan whose stream breaks off is gone on with, and what there is of it is performed
// once.
func TestABrokenStreamIsGoneOnWith(t *testing.T) {
	for form, pieces := range forms {
		t.Run(form, func(t *testing.T) {
			u := serveModel(t, false, func(question int, _ string, a *answer) {
				if question == 1 {
					a.say(pieces[0] + pieces[1] + pieces[2][:20])
					panic(http.ErrAbortHandler)
				}
				a.say(strings.Replace(pieces[0]+pieces[2]+pieces[3], part(1)+", ", "", 1)) // in XML it names the first again
				a.end()
			})
			s := service.Start(t, "OPENAI_BASE_URL="+u.URL)
			var given []string
			s.Stream(t, "/v1/runs", `{"task": "Do it"}`, func(f service.Frame) bool {
				if f.Event == "plan.started" {
					var e struct{ Data struct{ Given []string } }
					if err := json.Unmarshal(f.Data, &e); err != nil {
						t.Error(err)
					}
					given = append(given, strings.Join(e.Data.Given, ","))
				}
				return f.Event != "plan.created"
			})
			if !slices.Equal(given, []string{"", "T1,T2"}) {
				t.Errorf("the planner was given %q", given)
			}
			var list struct{ Data []struct{ ID string } }
			s.Get(t, "/v1/runs").Into(t, &list)
			var run service.Run
			s.Get(t, "/v1/runs/"+list.Data[0].ID+"?wait=60").Into(t, &run)
			if run.Status != "succeeded" || len(run.Plan.Subtasks) != 3 || len(u.works) != 3 {
				t.Errorf("workers were asked %d times; the run is %+v", len(u.works), run)
			}
		})
	}
}

// A server that is killed while it plans goes on in the next one: its planner is told
// what there is, asked something else, and asked for no more than the rest.
func TestAKilledServerGoesOnWithThePlan(t *testing.T) {
	questions := make(chan string, 10)
	told := make(chan struct{})
	u := serveModel(t, true, func(question int, prompt string, a *answer) {
		questions <- prompt
		if question == 1 {
			a.say(`{"subtasks": [` + part(1) + `, ` + part(2))
			close(told)
			a.gone()
			return
		}
		a.say(`{"subtasks": [` + part(3, "T1") + `]}`)
		a.end()
	})
	journal := "TUTTI_JOURNAL=sqlite:" + filepath.Join(t.TempDir(), "tutti.db")
	first := service.Start(t, "OPENAI_BASE_URL="+u.URL, journal)
	path := first.Post(t, "/v1/runs", `{"task": "Do it"}`).Header.Get("Location")
	<-told
	lost := []work{<-u.works, <-u.works}
	first.Kill()

	second := service.Start(t, "OPENAI_BASE_URL="+u.URL, journal)
	again := []work{<-u.works, <-u.works}
	if !slices.Equal(keys(lost), keys(again)) {
		t.Errorf("the workers' calls are %v, and made again as %v", keys(lost), keys(again))
	}
	close(again[0].answer)
	close(again[1].answer)
	close((<-u.works).answer)
	var run service.Run
	second.Get(t, path+"?wait=60").Into(t, &run)
	if run.Status != "succeeded" || len(run.Plan.Subtasks) != 3 {
		t.Errorf("the run is %+v", run)
	}
	if n := u.asked.Load(); n != 2 {
		t.Fatalf("the planner was asked %d times", n)
	}
	if one, two := <-questions, <-questions; strings.Contains(one, "Do part 1.") || !strings.Contains(two, "<description>Do part 1.</description>") {
		t.Errorf("the planner was asked\n%s\nand then\n%s", one, two)
	}
}

func keys(works []work) []string {
	all := make([]string, len(works))
	for i := range works {
		all[i] = works[i].key
	}
	slices.Sort(all)
	return all
}
