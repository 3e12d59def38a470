package agent

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// What an attempt may spend bounds its prompt, its answer and its calls.
func TestAReserveIsKept(t *testing.T) {
	long := orchestration.Result{ID: "T1", Type: "x", Status: orchestration.StatusSucceeded, Output: whole(strings.Repeat("All work and no play. ", 2000))}
	m := model(cutOff("<response>half"))
	reserve := &orchestration.Reserve{Calls: 1, PromptTokens: 2000, AnswerTokens: 300}
	said := performWork(t, m, testSpec(), orchestration.Work{Subtask: formal, Attempt: 1, Dependencies: []orchestration.Result{long}, Reserved: reserve})
	wantFailure(t, said.Failure, orchestration.CodeTruncated, false)
	if len(m.sent) != 1 || m.sent[0].MaxTokens != 300 || spent(m.sent[0].Messages) > 2000 || !said.Shortened {
		t.Errorf("%d calls, at most %d tokens, prompt of %d, shortened %v", len(m.sent), m.sent[0].MaxTokens, spent(m.sent[0].Messages), said.Shortened)
	}
}

func TestASpecialistsOwnBoundIsTheLess(t *testing.T) {
	m := model(says("done"))
	reserve := &orchestration.Reserve{Calls: 1, PromptTokens: 9000, AnswerTokens: 5000}
	performWork(t, m, testSpec(), orchestration.Work{Subtask: formal, Attempt: 1, Worker: "researcher", Reserved: reserve})
	if m.sent[0].MaxTokens != 900 {
		t.Errorf("at most %d tokens", m.sent[0].MaxTokens)
	}
}

// A synthesis whose results do not fit what is left shortens them, where one
// without a budget would combine them with more calls.
func TestABudgetedSynthesisIsOneCall(t *testing.T) {
	var results []orchestration.Result
	for _, id := range []string{"T1", "T2", "T3"} {
		results = append(results, orchestration.Result{ID: id, Type: "x", Status: orchestration.StatusSucceeded, Output: whole(strings.Repeat("All work and no play. ", 500))})
	}
	m := model(says("done"))
	said := performSynthesis(t, m, testSpec(), orchestration.Synthesize{
		Attempt: 1, Results: results, Reserved: &orchestration.Reserve{Calls: 1, PromptTokens: 3000, AnswerTokens: 500},
	})
	wantFailure(t, said.Failure, "", false)
	if len(m.sent) != 1 || spent(m.sent[0].Messages) > 3000 || !said.Shortened {
		t.Errorf("%d calls, prompt of %d tokens, shortened %v", len(m.sent), spent(m.sent[0].Messages), said.Shortened)
	}
}

// A second call is allowed where somebody pays for it.
func TestSecondCallsArePaidFor(t *testing.T) {
	work := orchestration.Work{Subtask: formal, Attempt: 1, Worker: "researcher"} // whose answers have 900 tokens
	budgeted := func(calls, answer int) *orchestration.Reserve {
		return &orchestration.Reserve{Calls: calls, PromptTokens: 9000, AnswerTokens: answer}
	}
	tests := map[string]struct {
		reserve *orchestration.Reserve
		held    bool
		want    bool
	}{
		"no limits":                   {nil, false, true},
		"a budget for one call":       {budgeted(1, 5000), false, false},
		"for two":                     {budgeted(2, 1800), false, true},
		"for two, and half an answer": {budgeted(2, 1700), false, false},
		"the tenant's":                {nil, true, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec, m := testSpec(), model(says("done"))
			spec.Held, work.Reserved = test.held, test.reserve
			a := New(Options{Client: m, Texts: &shelf{}, Holds: &holds{}})
			a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: work})
			if m.sent[0].Hedge != test.want {
				t.Errorf("a second call is allowed: %v", m.sent[0].Hedge)
			}
		})
	}
}

// Both calls of a request are paid for, the one that was given up by what its
// prompt was estimated at.
func TestASecondCallIsPaid(t *testing.T) {
	m := llm.Func(func(context.Context, *llm.Request) (*llm.Response, error) {
		return &llm.Response{Text: "half", Truncated: true, Calls: []llm.Call{{Outcome: llm.Canceled, Hedged: true}, {Outcome: llm.OK}}}, nil
	})
	said := performWork(t, m, testSpec(), orchestration.Work{
		Subtask: formal, Attempt: 1, Worker: "researcher", Reserved: &orchestration.Reserve{Calls: 2, PromptTokens: 9000, AnswerTokens: 2000},
	})
	wantFailure(t, said.Failure, orchestration.CodeTruncated, false) // and nothing is left to continue it
	if len(said.Calls) != 2 || !said.Calls[0].Hedged || said.Calls[1].Hedged {
		t.Errorf("told of %+v", said.Calls)
	}
}

// holds keeps what was held, until there is an error.
type holds struct {
	err  error
	held []orchestration.Hold
}

func (h *holds) Hold(_ context.Context, held orchestration.Hold) error {
	h.held = append(h.held, held)
	return h.err
}

func TestHolds(t *testing.T) {
	spec := testSpec()
	work := orchestration.Work{Subtask: formal, Attempt: 2, Call: 1, Model: "big"}
	try := func(h *holds, m llm.Client) orchestration.Worked {
		a := New(Options{Client: m, Texts: &shelf{}, Holds: h})
		return a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: work}).(orchestration.Worked)
	}
	m, h := model(says("done")), &holds{}
	if try(h, m); len(h.held) > 0 {
		t.Errorf("held though no budget pays: %v", h.held)
	}

	spec.Held = true
	m = model(cutOff("<response>half of it"), says("the other half</response>"))
	wantFailure(t, try(h, m).Failure, "", false)
	if len(h.held) != 2 || h.held[0].Command != "subtask/T2/2" || h.held[0].Call != 1 || h.held[1].Call != 2 || h.held[0].Tenant != "acme" ||
		h.held[0].CostUSD < 8192*10/1e6 {
		t.Errorf("held %+v", h.held)
	}
	if m.sent[0].IdempotencyKey != "run_1/subtask/T2/1/1" {
		t.Errorf("the call made again is known as %s", m.sent[0].IdempotencyKey)
	}

	m = model(says("done"))
	wantFailure(t, try(&holds{err: orchestration.ErrBudget}, m).Failure, orchestration.CodeBudgetExceeded, false)
	wantFailure(t, try(&holds{err: errors.New("disk full")}, m).Failure, orchestration.CodeInternal, true)
	if len(m.sent) > 0 {
		t.Error("a call went out that nothing pays for")
	}
}
