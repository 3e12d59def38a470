package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// toolsOf are tools for a test: look says what it is asked (and knows no "none"), make
// and undo are told to the log, flaky fails so many times.
func toolsOf(t *testing.T) (tools map[string]Tool, calls func() string) {
	var mu sync.Mutex
	var log []string
	failed := map[string]int{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var asked struct{ What, Many any }
		_ = json.NewDecoder(r.Body).Decode(&asked)
		switch name := strings.Trim(r.URL.Path, "/"); {
		case asked.What == "none":
			http.Error(w, "There is none.", http.StatusNotFound)
		case strings.HasPrefix(name, "flaky"):
			if failed[name]++; fmt.Sprint("flaky/", failed[name]) <= name {
				http.Error(w, "Not now.", http.StatusServiceUnavailable)
				return
			}
			_, _ = w.Write([]byte("done"))
		default:
			if name != "look" {
				log = append(log, fmt.Sprint(name, " ", asked.What))
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"what": asked.What, "many": asked.Many})
		}
	}))
	t.Cleanup(web.Close)
	tool := func(path string, properties ...string) Tool {
		schema := map[string]any{}
		for _, name := range properties {
			schema[name] = map[string]any{}
		}
		return Tool{
			Description: "for tests", AllowPrivate: []string{"127.0.0.1"}, HTTP: &HTTPTool{Method: "POST", URL: web.URL + "/" + path},
			Schema: map[string]any{"type": "object", "properties": schema, "required": []any{properties[0]}, "additionalProperties": false},
		}
	}
	return map[string]Tool{"look": tool("look", "what", "many"), "make": tool("make", "what"), "undo": tool("undo", "what"), "flaky": tool("flaky/{times}", "times")},
		func() string {
			mu.Lock()
			defer mu.Unlock()
			said := strings.Join(log, ", ")
			log = nil
			return said
		}
}

// speaking is a server that knows all that these plans name.
func speaking(t *testing.T) (r *running, calls func() string) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "hello.yaml"), []byte(`
name: hello
version: "1"
parameters: {who: {required: true, schema: {type: string}}, many: {default: 5}}
plan: {subtasks: [{id: x, kind: tool, tool: {name: look, arguments: {what: context.who, many: context.many}}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tools, calls := toolsOf(t)
	return launch(t, func(c *Config) {
		c.Tools, c.Workflows = tools, folder
		c.Workers = map[string]Worker{"clerk": {}}
		c.simulator = simulator.Options{Fail: refusing("BREAK"), Answer: answersOf}
	}).untilReady(), calls
}

// answersOf plans parts of a plan, and revisions of one.
func answersOf(r simulator.Request) (simulator.Reply, bool) {
	switch {
	case r.Role == simulator.Worker && strings.Contains(r.Prompt(), "DEEP"):
		return simulator.Reply{Text: "deep"}, true
	case r.Role == simulator.Worker && strings.Contains(r.Prompt(), "OTHERWISE"):
		return simulator.Reply{Text: "in another way"}, true
	case r.Role != simulator.Planner:
		return simulator.Reply{}, false
	case strings.Contains(r.Prompt(), "INNER"):
		return simulator.Reply{Text: `{"subtasks": [{"id": "Q", "description": "DEEP"}]}`}, true
	case strings.Contains(r.Prompt(), "PART of"):
		return simulator.Reply{Text: `{"subtasks": [{"id": "P", "type": "plan", "description": "INNER"}]}`}, true
	}
	return simulator.Reply{Text: `{"subtasks": [{"id": "R", "description": "OTHERWISE"}]}`}, true
}

func TestTheWholeLanguage(t *testing.T) {
	r, calls := speaking(t)
	for _, s := range sayings {
		t.Run(s.name, func(t *testing.T) {
			plan := asJSON(t, s.plan)
			if a := r.ask("POST", "/v1/plans/validate", plan); !strings.Contains(a.text, `"valid":true`) {
				t.Fatalf("status %d: %s", a.status, a.text)
			}
			request := asJSON(t, `{task: Hello, context: {audience: all}, synthesizer: {mode: none}}`)
			if s.request != "" {
				request = joinedJSON(request, asJSON(t, s.request))
			}
			run := r.start(joinedJSON(request, `{"plan": `+plan+`}`))
			for _, said := range s.decide {
				if run.Status != "waiting" {
					t.Fatalf("the run is %s before %s is said", run.Status, said)
				}
				path, body, _ := strings.Cut(said, " ")
				if a := r.ask("POST", "/v1/runs/"+run.ID+"/"+path+"/decision", body); a.status != http.StatusOK {
					t.Fatalf("status %d: %s", a.status, a.text)
				}
				run = r.ask("GET", "/v1/runs/"+run.ID+"?wait=60", "").run(t)
			}
			if run.Status == "waiting" { // until nobody has decided in time
				r.events("GET", "/v1/runs/"+run.ID+"/events", "")
				run = r.ask("GET", "/v1/runs/"+run.ID, "").run(t)
			}
			if got := run.sums(); got != s.want {
				t.Errorf("got\n%s, want\n%s", got, s.want)
			}
			if got := calls(); got != s.calls {
				t.Errorf("the tools were asked for %q, want %q", got, s.calls)
			}
		})
	}
}

// What waits for a person waits in another process too, and what is to be undone
// is undone there.
func TestAPersonDecidesAfterARestart(t *testing.T) {
	journal := "sqlite:" + filepath.Join(t.TempDir(), "tutti.db")
	tools, calls := toolsOf(t)
	set := func(c *Config) { c.Journal, c.Tools = journal, tools }
	first := launch(t, set).untilReady()
	run := first.start(`{"task": "Hello", "plan": {"order": "sequential", "subtasks": [
		{"id": "a", "kind": "tool", "tool": {"name": "make", "arguments": {"what": "'it'"}}, "compensate": {"name": "undo", "arguments": {"what": "output.what"}}},
		{"id": "b", "kind": "approval", "approval": {"message": "Is it good?"}, "on_failure": "fail"}]}}`)
	first.stop()

	second := launch(t, set).untilReady()
	path := "/v1/runs/" + run.ID
	for when, got := range map[string]string{"before": run.sums(), "after": second.ask("GET", path, "").run(t).sums()} {
		if want := `waiting: a {"many":null,"what":"it"}; b waiting`; got != want {
			t.Errorf("%s the restart: %s, want %s", when, got, want)
		}
	}
	if a := second.ask("POST", path+"/subtasks/b/decision", `{"action": "reject"}`); a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.text)
	}
	run = second.ask("GET", path+"?wait=60", "").run(t)
	if got, want := run.sums(), `failed: a {"many":null,"what":"it"}; b failed rejected`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := calls(), "make it, undo it"; got != want {
		t.Errorf("the tools were asked for %q, want %q", got, want)
	}
}

// sums a run up: its status, and each subtask's output, or status and error.
func (run told) sums() string {
	text := run.Status
	if run.Result.Partial && run.Status == "succeeded" {
		text += ", partial"
	}
	var all []string
	for _, s := range run.Plan.Subtasks {
		one := s.ID
		switch {
		case s.Output != nil:
			one += " " + strings.Join(strings.Fields(*s.Output), " ")
		case s.Error != nil:
			one += " " + s.Status + " " + s.Error.Code
		default:
			one += " " + s.Status
		}
		if s.Cached {
			one += " (cached)"
		}
		all = append(all, one)
	}
	return text + ": " + strings.Join(all, "; ")
}

func asJSON(t testing.TB, text string) string {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// joinedJSON makes one JSON object of two.
func joinedJSON(a, b string) string {
	return strings.TrimSuffix(a, "}") + ", " + strings.TrimPrefix(b, "{")
}

// unwritten are fields that no plan says.
var unwritten = []string{
	"Plan.Version", "Subtask.Implied", "Subtask.Uses", "Subtask.Passes", "Subtask.Kept", "Subtask.Parent", "Subtask.Round",
	"Inlined.Defaults", "Inlined.Body", "Recovery.Do",
}

// Nothing of the language is missing from the table: no key, and none of the words
// that a key may have.
func TestTheLanguageIsWhole(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sayings {
		var plan orchestration.Plan
		if err := json.Unmarshal([]byte(asJSON(t, s.plan)), &plan); err != nil {
			t.Fatal(err)
		}
		notice(used, reflect.ValueOf(plan))
	}
	missing := map[string]bool{}
	for _, of := range []any{
		orchestration.Plan{},
		orchestration.Subtask{},
		orchestration.ToolCall{},
		orchestration.Decide{},
		orchestration.ForEach{},
		orchestration.Loop{},
		orchestration.Nested{},
		orchestration.Approval{},
		orchestration.Inlined{},
		orchestration.Check{},
		orchestration.Retry{},
		orchestration.Fallback{},
	} {
		for field := range reflect.TypeOf(of).Fields() {
			missing[reflect.TypeOf(of).Name()+"."+field.Name] = true
		}
	}
	for _, word := range []any{
		orchestration.KindWorker, orchestration.KindTool, orchestration.KindDecide, orchestration.KindMerge, orchestration.KindApproval,
		orchestration.KindPlan, orchestration.KindForEach, orchestration.KindLoop, orchestration.KindWorkflow,
		orchestration.AfterSucceeded, orchestration.AfterEnded, orchestration.OrderSequential,
		orchestration.DecideByModel, orchestration.DecideByRegex, orchestration.DecideByThreshold, orchestration.DecideByExpr,
		orchestration.MergeConcat, orchestration.MergeObjects, orchestration.MergeReplace, orchestration.ActionApprove,
		orchestration.OnFailureFail, orchestration.OnFailureSkip, orchestration.OnFailureFallback, orchestration.OnFailureReplan, orchestration.OnFailureEscalate,
	} {
		missing[fmt.Sprintf("%T %v", word, word)] = true
	}
	for key := range missing {
		if !used[key] && !slices.Contains(unwritten, key) {
			t.Errorf("no plan has %s", key)
		}
	}
}

// notice notes the fields that a value sets, and the words that it has.
func notice(used map[string]bool, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			notice(used, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			notice(used, v.Index(i))
		}
	case reflect.Struct:
		for field, value := range v.Fields() {
			if !value.IsZero() {
				used[v.Type().Name()+"."+field.Name] = true
				notice(used, value)
			}
		}
	case reflect.String:
		used[fmt.Sprintf("%v %v", v.Type(), v)] = true
	default:
	}
}
