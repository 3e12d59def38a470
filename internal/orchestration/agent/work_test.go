package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

func TestOutputsAreRead(t *testing.T) {
	tests := map[string]struct {
		answer string
		output string
	}{
		"plain":    {" the text \n", "the text"},
		"response": {"Sure! <response>the text</response> Bye.", "the text"},
		"thinking": {"<think>hm</think>the text", "the text"},
		"blank":    {"<response> \n</response>", ""}, // what that means the core decides
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := testSpec()
			work := performWork(t, model(says(test.answer)), spec, orchestration.Work{Subtask: formal, Attempt: 1})
			wantFailure(t, work.Failure, "", false)
			synthesis := performSynthesis(t, model(says(test.answer)), spec, orchestration.Synthesize{Attempt: 1, Results: []orchestration.Result{facts}})
			wantFailure(t, synthesis.Failure, "", false)
			if work.Output != test.output || synthesis.Output != test.output {
				t.Errorf("outputs %q and %q, want %q", work.Output, synthesis.Output, test.output)
			}
		})
	}
}

func TestAWorkersRequest(t *testing.T) {
	spec := testSpec()
	cold := 0.0
	spec.Workers[0].Temperature, spec.Workers[0].ReasoningEffort = &cold, "low"
	spec.Priority = 4
	m, soon := model(says("x")), time.Now().Add(time.Minute)
	New(Options{Client: m, Texts: &shelf{}}).Perform(t.Context(), orchestration.Performance{
		Run: "run_1", Spec: spec, Deadline: soon,
		Command: orchestration.Work{Subtask: formal, Attempt: 1, Priority: 3, Worker: "researcher"},
	})
	req := m.sent[0]
	if req.Role != llm.Worker || req.Model != "small" || req.MaxTokens != 900 || req.Temperature != &cold || req.ReasoningEffort != "low" {
		t.Errorf("request %+v", req)
	}
	if want := (llm.Place{Tenant: "acme", Run: "run_1", Weight: 4, Deadline: soon, Priority: 3}); req.Place != want || req.Timeout != spec.Limits.SubtaskTimeout {
		t.Errorf("place %+v, timeout %v", req.Place, req.Timeout)
	}
}

func TestAnUnknownWorker(t *testing.T) {
	said := performWork(t, model(says("x")), testSpec(), orchestration.Work{Subtask: formal, Attempt: 1, Worker: "nobody"})
	wantFailure(t, said.Failure, orchestration.CodeInternal, false)
}

func TestABadPromptIsNotSent(t *testing.T) {
	for _, prompt := range []string{"{gone}", "{", "{task_type.x}"} {
		spec := testSpec()
		spec.Worker.Prompt, spec.Planner.Prompt, spec.Synthesizer.Prompt = prompt, prompt, prompt
		m := model(says("x"))
		wantFailure(t, performWork(t, m, spec, orchestration.Work{Subtask: formal, Attempt: 1}).Failure, orchestration.CodeInternal, false)
		wantFailure(t, performPlan(t, m, spec, orchestration.MakePlan{Attempt: 1}).Failure, orchestration.CodeInternal, false)
		wantFailure(t, performSynthesis(t, m, spec, orchestration.Synthesize{Attempt: 1}).Failure, orchestration.CodeInternal, false)
		if len(m.sent) > 0 {
			t.Errorf("%q was sent", prompt)
		}
	}
}

// BenchmarkPrompt is a worker's prompt with two dependencies of 2 kB each.
func BenchmarkPrompt(b *testing.B) {
	r := facts
	r.Output = whole(strings.Repeat("some words <b>with</b> marks, ", 70))
	c := orchestration.Work{Subtask: formal, Attempt: 1, Dependencies: []orchestration.Result{r, r}}
	spec := testSpec()
	p := &performance{Agent: New(Options{}), Performance: orchestration.Performance{Spec: spec, Command: c}}
	b.ReportAllocs()
	for b.Loop() {
		if _, failure := p.workOrder(b.Context(), &c, &spec.Worker, nil, p.toolbox(&spec.Worker)); failure != nil {
			b.Fatal(failure)
		}
	}
}
