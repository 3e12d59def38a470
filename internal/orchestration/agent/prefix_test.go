package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// drawSpec is a run with some specialists, which have tools or have not.
func drawSpec(t *rapid.T) *orchestration.Spec {
	words := rapid.StringMatching(`[a-zé<&/ "{}]{0,60}`)
	spec := testSpec()
	spec.Task = words.Draw(t, "task") + "!"
	spec.Context, _ = json.Marshal(rapid.MapOfN(rapid.StringMatching(`[a-z]{1,8}`), words, 0, 4).Draw(t, "context"))
	spec.Worker.System = rapid.SampledFrom([]string{"", "Be brief."}).Draw(t, "system")
	withTools(spec)
	spec.Worker.Tools = nil
	spec.Workers = nil
	for i := range rapid.IntRange(0, 3).Draw(t, "specialists") {
		w := orchestration.Worker{Role: orchestration.Role{Model: "small", System: words.Draw(t, "special")}, Name: fmt.Sprintf("w%d", i)}
		if rapid.Bool().Draw(t, "tools") {
			w.Tools = []string{"look"}
		}
		spec.Workers = append(spec.Workers, w)
	}
	return spec
}

// drawWork is an attempt of one of its workers, whichever.
func drawWork(t *rapid.T, spec *orchestration.Spec, shown []orchestration.Result) orchestration.Work {
	words := rapid.StringMatching(`[a-z<&/ ]{0,40}`)
	c := orchestration.Work{
		Subtask: orchestration.Subtask{
			ID: rapid.StringMatching(`T[0-9]{1,3}`).Draw(t, "id"), Type: words.Draw(t, "type"), Description: words.Draw(t, "description"),
		},
		Attempt: rapid.IntRange(1, 3).Draw(t, "attempt"), Dependencies: shown,
	}
	if i := rapid.IntRange(0, len(spec.Workers)).Draw(t, "worker"); i > 0 {
		c.Worker = spec.Workers[i-1].Name
	}
	if rapid.Bool().Draw(t, "inputs") {
		c.Inputs = inputWork.Inputs
	}
	if rapid.Bool().Draw(t, "checked") {
		c.Checks = []orchestration.Check{schemaCheck(`{"type":"object"}`)}
	}
	if rapid.Bool().Draw(t, "refused") {
		c = reworked(c)
	}
	return c
}

// Whatever the workers of a run are and do, their prompts begin alike: up to the end
// of the outputs that they share and, in another run of the same, to the last byte.
func TestWorkersShareTheirBeginning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		long := rapid.Bool().Draw(t, "long")
		if long {
			spec.Task = strings.Repeat(spec.Task, distinctBytes)
		}
		shown := rapid.SampledFrom([][]orchestration.Result{nil, {facts}}).Draw(t, "shown")
		one, other := drawWork(t, spec, shown), drawWork(t, spec, shown)
		m := model(says("{}"))
		a := New(Options{Client: m, Texts: &shelf{}, Tools: &bench{}})
		sent := func(run string, c orchestration.Work) llm.Request {
			before := len(m.sent)
			a.Perform(context.Background(), orchestration.Performance{Run: run, Spec: spec, Command: c})
			return m.sent[before]
		}
		first, second, again := sent("run_1", one), sent("run_1", other), sent("run_2", one)

		end := "</task>\n\n"
		if string(spec.Context) != "{}" {
			end = "</context>\n\n"
		}
		if shown != nil {
			end = "</dependencies>\n\n"
		}
		head, _, found := strings.Cut(first.Messages[1].Text, end)
		if !found || first.Messages[0].Text != second.Messages[0].Text || !strings.HasPrefix(second.Messages[1].Text, head+end) {
			t.Fatalf("of one run:\n%s\n%s", show(first), show(second))
		}
		alike := len(first.Tools) == len(second.Tools) && (first.Schema == nil) == (second.Schema == nil) && long
		if alike && first.CacheKey != second.CacheKey || len(first.CacheKey) != 16 || first.CacheKey == again.CacheKey {
			t.Fatalf("keys %q and %q, of another run %q", first.CacheKey, second.CacheKey, again.CacheKey)
		}
		if show(first) != show(again) {
			t.Fatalf("of two runs:\n%s\n%s", show(first), show(again))
		}
	})
}

// What begins otherwise for the provider has another key, however alike the texts are.
func TestKeysTellWhatBeginsOtherwise(t *testing.T) {
	spec := staggered()
	spec.Workers = append(spec.Workers,
		orchestration.Worker{Name: "first", SystemFirst: true, Role: orchestration.Role{Model: "small", System: "You are first."}},
		orchestration.Worker{Name: "handy", Tools: []string{"look"}, Role: orchestration.Role{Model: "small"}})
	tools := testSpec()
	withTools(tools)
	spec.Tools = tools.Tools
	m := model(says("{}"))
	a := New(Options{Client: m, Texts: &shelf{}, Tools: &bench{}})
	keys := map[string]string{}
	for name, c := range map[string]orchestration.Work{
		"plain":        {Subtask: formal, Attempt: 1},
		"other model":  {Subtask: formal, Attempt: 1, Model: "big"},
		"schema":       {Subtask: formal, Attempt: 1, Checks: []orchestration.Check{schemaCheck(`{"type":"object"}`)}},
		"other schema": {Subtask: formal, Attempt: 1, Checks: []orchestration.Check{schemaCheck(`{"type":"array"}`)}},
		"system first": {Subtask: formal, Attempt: 1, Worker: "first"},
		"tools":        {Subtask: formal, Attempt: 1, Worker: "handy"},
		"simpler":      {Subtask: formal, Attempt: 1, Fallback: true},
	} {
		before := len(m.sent)
		a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: c})
		key := m.sent[before].CacheKey
		if other, known := keys[key]; known {
			t.Errorf("%s has the key of %s", name, other)
		}
		keys[key] = name
	}
}

// A worker that has its own system message is told it there alone.
func TestASystemMessageOfItsOwn(t *testing.T) {
	spec := testSpec()
	spec.Worker.System, spec.Workers[0].SystemFirst = "Be brief.", true
	m := model(says("x"))
	performWork(t, m, spec, orchestration.Work{Subtask: formal, Attempt: 1})
	performWork(t, m, spec, orchestration.Work{Subtask: formal, Attempt: 1, Worker: "researcher"})
	if m.sent[0].Messages[0].Text != "Be brief." || m.sent[1].Messages[0].Text != spec.Workers[0].System {
		t.Errorf("%+v\n%+v", m.sent[0], m.sent[1])
	}
	if strings.Contains(m.last(1), spec.Workers[0].System) {
		t.Errorf("it is told twice:\n%s", m.last(1))
	}
}
