package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// manyResults are n results of so many words.
func manyResults(n, words int) []orchestration.Result {
	all := make([]orchestration.Result, 0, n)
	for i := range n {
		text := fmt.Sprintf("result-%d. ", i+1) + strings.Repeat("word ", words)
		all = append(all, orchestration.Result{
			ID: fmt.Sprintf("T%d", i+1), Type: "x", Description: "Do it.",
			Status: orchestration.StatusSucceeded, Output: whole(text),
		})
	}
	return all
}

const partMark = "These are only some of the results"

// combiner answers parts with their first words, and the rest with "the answer".
func combiner(t tester, window int) (*script, *atomic.Int32) {
	var parts atomic.Int32
	return model(func(req *llm.Request) (*llm.Response, error) {
		if n := spent(req.Messages); n > window-min(window/4, maxReserve) {
			t.Fatalf("%d tokens in a window of %d", n, window)
		}
		if text := req.Messages[1].Text; strings.Contains(text, partMark) {
			parts.Add(1)
			_, after, _ := strings.Cut(text, "<result id=")
			return says("<response>combined: " + after[:min(len(after), 100)] + "</response>")(req)
		}
		return says("the answer")(req)
	}), &parts
}

func TestALargeSynthesisIsCombined(t *testing.T) {
	spec := testSpec()
	spec.Models[0].ContextWindow = 4000
	m, parts := combiner(t, 4000)
	said := performSynthesis(t, m, spec, orchestration.Synthesize{Attempt: 1, Analysis: "many", Results: manyResults(12, 600)})
	wantFailure(t, said.Failure, "", false)
	if said.Output != "the answer" || said.Shortened {
		t.Errorf("output %q, shortened %v", said.Output, said.Shortened)
	}
	if parts.Load() < 3 || len(said.Calls) != int(parts.Load())+1 {
		t.Errorf("%d parts, %d calls", parts.Load(), len(said.Calls))
	}
	keys := map[string]bool{}
	for _, req := range m.sent {
		keys[req.IdempotencyKey] = true
	}
	if len(keys) != len(m.sent) || !keys["run_1/synthesis/1/1"] || !keys["run_1/synthesis/1/1.2/1"] {
		t.Errorf("keys %v", keys)
	}
	last := m.last(len(m.sent) - 1)
	if !strings.Contains(last, `<result id="T1…T`) || !strings.Contains(last, `type="combined" status="succeeded"`) {
		t.Errorf("the last prompt:\n%s", last)
	}
}

// A model that does not condense costs words, not the answer.
func TestWhatDoesNotGetSmallerIsShortened(t *testing.T) {
	spec := testSpec()
	spec.Models[0].ContextWindow = 3000
	m := model(func(req *llm.Request) (*llm.Response, error) {
		if strings.Contains(req.Messages[1].Text, partMark) {
			return says(strings.Repeat("word ", 1500))(req)
		}
		return says("the answer")(req)
	})
	said := performSynthesis(t, m, spec, orchestration.Synthesize{Attempt: 1, Results: manyResults(6, 1000)})
	wantFailure(t, said.Failure, "", false)
	if !said.Shortened || len(said.Calls) > 6+1 {
		t.Errorf("shortened %v, %d calls", said.Shortened, len(said.Calls))
	}
}

// Whatever the sizes, each call fits, and the answer is made or refused.
func TestASynthesisFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := testSpec()
		window := rapid.IntRange(500, 5000).Draw(t, "window")
		spec.Models[0].ContextWindow = window
		if rapid.Bool().Draw(t, "own prompt") {
			spec.Synthesizer.Prompt = "{task} {results} {analysis} {results}"
		}
		c := orchestration.Synthesize{Attempt: 1, Analysis: "why"}
		c.Results = manyResults(rapid.IntRange(0, 25).Draw(t, "results"), rapid.IntRange(0, 800).Draw(t, "words"))
		for i := range c.Results {
			if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
				c.Results[i].Status, c.Results[i].Output = orchestration.StatusFailed, orchestration.Text{}
			}
		}
		m, _ := combiner(t, window)
		said := performSynthesis(t, m, spec, c)
		if said.Failure != nil {
			wantFailure(t, said.Failure, orchestration.CodeContextTooLong, false)
		}
		if len(said.Calls) != len(m.sent) {
			t.Fatalf("%d calls reported of %d", len(said.Calls), len(m.sent))
		}
	})
}

// When a group fails, the others are given up, and all their calls are counted.
func TestAGroupThatFails(t *testing.T) {
	spec := testSpec()
	spec.Models[0].ContextWindow = 4000
	var calls atomic.Int32
	client := llm.Func(func(ctx context.Context, _ *llm.Request) (*llm.Response, error) {
		if calls.Add(1) == 1 {
			return nil, &llm.Error{Outcome: llm.RateLimited, Calls: llm.Failure(llm.RateLimited).Calls}
		}
		<-ctx.Done()
		return nil, &llm.Error{Outcome: llm.Canceled, Calls: llm.Failure(llm.Canceled).Calls}
	})
	said := performSynthesis(t, client, spec, orchestration.Synthesize{Attempt: 1, Results: manyResults(12, 600)})
	wantFailure(t, said.Failure, orchestration.CodeUpstreamRateLimited, true)
	if len(said.Calls) != int(calls.Load()) {
		t.Errorf("%d calls reported of %d", len(said.Calls), calls.Load())
	}
	panics := llm.Func(func(context.Context, *llm.Request) (*llm.Response, error) { panic("words") })
	said = performSynthesis(t, panics, spec, orchestration.Synthesize{Attempt: 1, Results: manyResults(12, 600)})
	wantFailure(t, said.Failure, orchestration.CodeInternal, true)
}

// A group that the provider finds too long is made smaller in the next attempt.
func TestAGroupThatIsTooLong(t *testing.T) {
	spec := testSpec()
	spec.Models[0].ContextWindow = 8000
	m := model(func(req *llm.Request) (*llm.Response, error) {
		if spent(req.Messages) > 3000 {
			return fails(&llm.Error{Outcome: llm.ContextTooLong, Window: 4000})(req)
		}
		return says("the answer")(req)
	})
	a := New(Options{Client: m, Texts: &shelf{}})
	try := func(attempt int) orchestration.Synthesized {
		c := orchestration.Synthesize{Attempt: attempt, Results: manyResults(12, 600)}
		return a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: c}).(orchestration.Synthesized)
	}
	wantFailure(t, try(1).Failure, orchestration.CodeContextTooLong, true)
	said := try(2)
	wantFailure(t, said.Failure, "", false)
	if said.Output != "the answer" {
		t.Errorf("output %q", said.Output)
	}
}

func TestMissingResultsAreNamedWithinBounds(t *testing.T) {
	c := orchestration.Synthesize{Attempt: 1, Results: manyResults(500, 1)}
	for i := range c.Results {
		if i != 250 {
			c.Results[i].Status = orchestration.StatusSkipped
		}
	}
	m := model(says("x"))
	performSynthesis(t, m, testSpec(), c)
	text := m.last(0)
	for _, want := range []string{"T1 (skipped), T2 (skipped)", "and 459 more", "459 more results are missing.", `<result id="T251" type="x" status="succeeded">`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the prompt", want)
		}
	}
	if len(text) > 20_000 {
		t.Errorf("a prompt of %d bytes", len(text))
	}
}

const answerSchema = `{"type":"object","properties":{"title":{"type":"string"},"price":{"type":"number","minimum":0}},"required":["title","price"]}`

func TestAStructuredAnswer(t *testing.T) {
	const good, bad = `{"title": "Bottle", "price": 12.50}`, `{"title": 7, "price": -1}`
	tests := map[string]struct {
		replies []reply
		output  string
		code    orchestration.Code
	}{
		"right":              {[]reply{says("Here it is:\n" + good)}, `{"title":"Bottle","price":12.50}`, ""},
		"revised":            {[]reply{says(bad), says(good)}, `{"title":"Bottle","price":12.50}`, ""},
		"no JSON, revised":   {[]reply{says("I would say so."), says(good)}, `{"title":"Bottle","price":12.50}`, ""},
		"wrong twice":        {[]reply{says(bad), says(bad), says(good)}, "", orchestration.CodeOutputInvalid},
		"no room to go on":   {[]reply{says(bad), fails(&llm.Error{Outcome: llm.ContextTooLong})}, "", orchestration.CodeOutputInvalid},
		"call fails":         {[]reply{says(bad), fails(&llm.Error{Outcome: llm.Auth})}, "", orchestration.CodeUpstreamError},
		"cut and continued":  {[]reply{cutOff(`{"title": "Bottle", `), says(`"price": 12.50}`)}, `{"title":"Bottle","price":12.50}`, ""},
		"a member twice":     {[]reply{says(`{"title": 7, "title": "Bottle", "price": 12.50}`), says(good)}, `{"title":"Bottle","price":12.50}`, ""},
		"half a surrogate":   {[]reply{says(`{"title": "Bottle\ud83d", "price": 12.50}`)}, "{\"title\":\"Bottle\uFFFD\",\"price\":12.50}", ""},
		"scalar, not object": {[]reply{says("42"), says("43")}, "", orchestration.CodeOutputInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := testSpec()
			spec.Synthesizer.JSONSchema = json.RawMessage(answerSchema)
			m := model(test.replies...)
			a := New(Options{Client: m, Texts: &shelf{}})
			said := a.Perform(t.Context(), orchestration.Performance{
				Run: "run_1", Spec: spec, Command: orchestration.Synthesize{Attempt: 1, Results: []orchestration.Result{facts}},
				Deltas: func(orchestration.Delta) { t.Error("a draft was shown") },
			}).(orchestration.Synthesized)
			wantFailure(t, said.Failure, test.code, false)
			if said.Output != test.output || len(said.Calls) != len(m.sent) || len(m.sent) > 2 {
				t.Errorf("output %q after %d calls", said.Output, len(m.sent))
			}
		})
	}
}

func TestARevisionNamesTheFaults(t *testing.T) {
	spec := testSpec()
	spec.Synthesizer.JSONSchema = json.RawMessage(answerSchema)
	m := model(says(`{"title": 7, "price": -1}`))
	said := performSynthesis(t, m, spec, orchestration.Synthesize{Attempt: 1, Results: []orchestration.Result{facts}})
	text := m.last(1)
	if !strings.Contains(text, "/title: ") || !strings.Contains(text, "/price: ") || m.sent[1].Messages[2].Text != `{"title": 7, "price": -1}` || m.sent[1].Schema == nil {
		t.Errorf("the revision: %s", text)
	}
	if strings.Contains(said.Failure.Detail, "-1") || !strings.Contains(said.Failure.Detail, "2 faults") {
		t.Errorf("detail: %s", said.Failure.Detail)
	}
}

// A result that is larger than the window is shortened even to be combined.
func TestAResultLargerThanTheWindow(t *testing.T) {
	spec := testSpec()
	spec.Models[0].ContextWindow = 3000
	m, parts := combiner(t, 3000)
	said := performSynthesis(t, m, spec, orchestration.Synthesize{Attempt: 1, Results: manyResults(2, 20_000)})
	wantFailure(t, said.Failure, "", false)
	if !said.Shortened || parts.Load() != 2 {
		t.Errorf("shortened %v, %d parts", said.Shortened, parts.Load())
	}
}
