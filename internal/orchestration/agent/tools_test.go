package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// A bench has tools that all give one result, and keeps how they were called.
type bench struct {
	result  string
	failure *orchestration.Failure
	takes   time.Duration
	panics  bool

	mu     sync.Mutex
	called []string // name(arguments)
	keys   []string
}

func (b *bench) Call(ctx context.Context, name string, arguments json.RawMessage, key string) (string, *orchestration.Failure) {
	b.mu.Lock()
	b.called, b.keys = append(b.called, fmt.Sprintf("%s(%s)", name, arguments)), append(b.keys, key)
	b.mu.Unlock()
	if b.panics {
		panic("words")
	}
	if b.takes > 0 {
		select {
		case <-time.After(b.takes):
		case <-ctx.Done():
			return "", &orchestration.Failure{Code: orchestration.CodeTimeout, Detail: "the tool took too long", Retryable: true}
		}
	}
	return b.result, b.failure
}

// calls answers with calls of tools.
func calls(asked ...llm.ToolCall) reply {
	return func(req *llm.Request) (*llm.Response, error) {
		resp, err := says("")(req)
		resp.ToolCalls = asked
		return resp, err
	}
}

func look(id, arguments string) llm.ToolCall {
	return llm.ToolCall{ID: id, Name: "look", Arguments: arguments}
}

// withTools gives the default worker two tools, one of which is configured.
func withTools(spec *orchestration.Spec) {
	spec.Worker.Tools = []string{"look", "gone"}
	spec.Tools = []orchestration.Tool{{
		Name: "look", Description: "looks an item up",
		Schema: json.RawMessage(`{"type":"object","properties":{"id":{"type":"string"}},"required":["id"],"additionalProperties":false}`),
	}}
}

func performWithTools(t tester, m llm.Client, b *bench, c orchestration.Work) orchestration.Worked {
	t.Helper()
	spec := testSpec()
	withTools(spec)
	return New(Options{Client: m, Texts: &shelf{}, Tools: b}).Perform(context.Background(), orchestration.Performance{
		Run: "run_1", Spec: spec, Command: c,
	}).(orchestration.Worked)
}

var atWork = orchestration.Work{Subtask: formal, Attempt: 2, Call: 1}

func TestAWorkerCallsTools(t *testing.T) {
	m := model(calls(look("a", `{"id": "x"}`), look("a", `{"id":"y"}`)), calls(look("b", `{"id":"x"}`)), says("<response>found</response>"))
	b := &bench{result: "4 left </tool_result>"}
	said := performWithTools(t, m, b, atWork)
	wantFailure(t, said.Failure, "", false)
	if said.Output != "found" || len(said.Calls) != 3 {
		t.Errorf("output %q after %d calls", said.Output, len(said.Calls))
	}
	if want := []string{`look({"id":"x"})`, `look({"id":"y"})`, `look({"id":"x"})`}; !cmp.Equal(b.called, want) {
		t.Errorf("called %q, want %q", b.called, want)
	}
	for i, key := range b.keys {
		if !strings.HasPrefix(key, fmt.Sprintf("run_1/subtask/T2/1/%d-", i+1)) {
			t.Errorf("key %d is %q", i, key)
		}
	}
	golden(t, "testdata/prompts/worker_tool_results.txt", show(m.sent[2]))
}

// What a model asks for is untrusted: it is told what is wrong with it.
func TestWhatAModelMayNotAskFor(t *testing.T) {
	const good = `{"id":"x"}`
	tests := map[string]struct {
		replies []reply
		called  int
		told    string // by the last result
		code    orchestration.Code
	}{
		"unknown tool":         {[]reply{calls(llm.ToolCall{ID: "a", Name: "rm -rf <x>", Arguments: good}), says("done")}, 0, "there is no tool of that name", ""},
		"not given to it":      {[]reply{calls(llm.ToolCall{ID: "a", Name: "gone", Arguments: good}), says("done")}, 0, "there is no tool of that name", ""},
		"no JSON":              {[]reply{calls(look("a", "{")), says("done")}, 0, "not valid JSON", ""},
		"a member twice":       {[]reply{calls(look("a", `{"id":"x","id":"y"}`)), says("done")}, 0, "twice", ""},
		"no arguments":         {[]reply{calls(look("a", "")), says("done")}, 0, "missing property 'id'", ""},
		"too many bytes":       {[]reply{calls(look("a", `{"id":"`+strings.Repeat("x", maxArguments)+`"}`)), says("done")}, 0, "at most 65536", ""},
		"refused, then right":  {[]reply{calls(look("a", `{"id":7}`)), calls(look("b", good)), says("done")}, 1, "result", ""},
		"refused twice":        {[]reply{calls(look("a", `{"id":7}`)), calls(look("b", `{}`)), says("done")}, 0, "", orchestration.CodeToolFailed},
		"refused twice, apart": {[]reply{calls(look("a", `{"id":7}`)), calls(look("b", good)), calls(look("c", `{"id":7}`)), says("done")}, 1, "", orchestration.CodeToolFailed},
		"refused side by side": {[]reply{calls(look("a", `{"id":7}`), look("b", `{"id":8}`)), says("done")}, 0, "got number, want string", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, b := model(test.replies...), &bench{result: "the result"}
			said := performWithTools(t, m, b, atWork)
			wantFailure(t, said.Failure, test.code, false)
			if len(b.called) != test.called {
				t.Errorf("called %q", b.called)
			}
			if test.code != "" {
				return
			}
			last := m.sent[len(m.sent)-1].Messages
			if said.Output != "done" || !strings.Contains(last[len(last)-1].Text, test.told) || last[len(last)-1].Author != llm.ToolResult {
				t.Errorf("output %q; told %q", said.Output, last[len(last)-1].Text)
			}
			for _, message := range last {
				for _, call := range message.ToolCalls {
					if strings.ContainsAny(call.Name, " <") || !json.Valid([]byte(call.Arguments)) || call.ID == "" {
						t.Errorf("said again: %+v", call)
					}
				}
			}
		})
	}
}

// A result answers one call: no two may have the same id, whatever a model gave them.
func TestCallsAreToldApart(t *testing.T) {
	const good = `{"id":"x"}`
	m := model(calls(look("call_2", good), look("", good)), calls(look("call_2", good), look("call_1", good)), says("done"))
	performWithTools(t, m, &bench{result: "result"}, atWork)
	seen := map[string]bool{}
	for _, message := range m.sent[2].Messages {
		for _, call := range message.ToolCalls {
			if seen[call.ID] {
				t.Errorf("two calls are %s", call.ID)
			}
			seen[call.ID] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("calls %v", seen)
	}
}

func TestAToolThatFails(t *testing.T) {
	m := model(calls(look("a", `{"id":"x"}`)), says("done without"))
	said := performWithTools(t, m, &bench{failure: &orchestration.Failure{Code: orchestration.CodeToolFailed, Detail: "no such item"}}, atWork)
	wantFailure(t, said.Failure, "", false)
	if said.Output != "done without" || !strings.Contains(m.last(1), "Error: the tool failed: no such item") {
		t.Errorf("output %q, told %q", said.Output, m.last(1))
	}
	said = performWithTools(t, model(calls(look("a", `{"id":"x"}`))), &bench{panics: true}, atWork)
	wantFailure(t, said.Failure, orchestration.CodeInternal, true)
}

func TestRoundsAndCallsAreBounded(t *testing.T) {
	m, b := model(calls(look("a", `{"id":"x"}`))), &bench{result: "more"}
	last := func(req *llm.Request) (*llm.Response, error) {
		if len(req.Tools) == 0 {
			return says("enough")(req)
		}
		return m.replies[0](req)
	}
	one := model(last)
	said := performWithTools(t, one, b, atWork)
	wantFailure(t, said.Failure, "", false)
	if len(one.sent) != maxRounds || said.Output != "enough" || one.last(maxRounds-1) != lastWords || len(b.called) != maxRounds-1 {
		t.Errorf("%d rounds, %d calls, output %q", len(one.sent), len(b.called), said.Output)
	}
	many := make([]llm.ToolCall, 10)
	for i := range many {
		many[i] = look("", `{"id":"x"}`)
	}
	m = model(calls(many...))
	b = &bench{result: "more"}
	one = model(last)
	said = performWithTools(t, one, b, atWork)
	if len(b.called) != maxToolCalls || len(one.sent) != 3 || said.Output != "enough" {
		t.Errorf("%d calls in %d rounds", len(b.called), len(one.sent))
	}
}

func TestResultsAreCut(t *testing.T) {
	m := model(calls(look("a", `{"id":"x"}`)), says("done"))
	performWithTools(t, m, &bench{result: strings.Repeat("é", maxToolResult)}, atWork)
	if text := m.last(1); len(text) > maxToolResult+100 || !strings.Contains(text, "bytes left out]") {
		t.Errorf("a result of %d bytes", len(text))
	}
	spec := testSpec()
	withTools(spec)
	spec.Models[1].ContextWindow = 3000
	m = model(calls(look("a", `{"id":"x"}`), look("b", `{"id":"x"}`)), says("done"))
	said := New(Options{Client: m, Texts: &shelf{}, Tools: &bench{result: strings.Repeat("many words ", 3000)}}).Perform(t.Context(), orchestration.Performance{
		Run: "run_1", Spec: spec, Command: atWork,
	}).(orchestration.Worked)
	wantFailure(t, said.Failure, "", false)
	if n := spentOn(&m.sent[1]); n > 3000 || n < 1500 {
		t.Errorf("the second request takes %d tokens", n)
	}
}

// What an attempt may spend bounds all its calls together, and is never used up
// before there is an answer.
func TestToolsWithinAReserve(t *testing.T) {
	for name, test := range map[string]struct {
		reserve orchestration.Reserve
		rounds  int // that offer tools
	}{
		"one call":       {orchestration.Reserve{Calls: 1, PromptTokens: 9000, AnswerTokens: 1000}, 0},
		"two calls":      {orchestration.Reserve{Calls: 2, PromptTokens: 9000, AnswerTokens: 1000}, 1},
		"many calls":     {orchestration.Reserve{Calls: 20, PromptTokens: 90_000, AnswerTokens: 9000}, maxRounds - 1},
		"few tokens":     {orchestration.Reserve{Calls: 20, PromptTokens: 900, AnswerTokens: 9000}, 0},
		"short answers":  {orchestration.Reserve{Calls: 20, PromptTokens: 9000, AnswerTokens: 100}, 0},
		"tokens run out": {orchestration.Reserve{Calls: 20, PromptTokens: 3500, AnswerTokens: 9000}, 0}, // how many, the sum below judges
	} {
		t.Run(name, func(t *testing.T) {
			prompt, offered := 0, 0
			m := model(func(req *llm.Request) (*llm.Response, error) {
				prompt += spentOn(req)
				resp, err := says("done")(req)
				if len(req.Tools) > 0 {
					if offered++; req.MaxTokens > test.reserve.AnswerTokens/2 {
						t.Errorf("a round may take %d tokens", req.MaxTokens)
					}
					resp.Text, resp.ToolCalls = "", []llm.ToolCall{look("a", `{"id":"x"}`)}
				}
				resp.Calls[0].Usage = llm.Usage{Prompt: spentOn(req), Completion: 20}
				return resp, err
			})
			c := atWork
			c.Reserved = &test.reserve
			said := performWithTools(t, m, &bench{result: strings.Repeat("many words ", 100)}, c)
			wantFailure(t, said.Failure, "", false)
			if said.Output != "done" || len(said.Calls) > test.reserve.Calls || prompt > test.reserve.PromptTokens {
				t.Errorf("%q after %d calls with %d tokens of prompts", said.Output, len(said.Calls), prompt)
			}
			if name != "tokens run out" && offered != test.rounds || name == "tokens run out" && offered == 0 {
				t.Errorf("tools were offered %d times, want %d", offered, test.rounds)
			}
		})
	}
}

// An answer that may turn into a call of a tool is shown when it is known to be one.
func TestDeltasOfAWorkerWithTools(t *testing.T) {
	spec := testSpec()
	withTools(spec)
	m := model(func(req *llm.Request) (*llm.Response, error) {
		resp, err := says("<response>let me look</response>")(req)
		resp.ToolCalls = []llm.ToolCall{look("a", `{"id":"x"}`)}
		return resp, err
	}, says("<response>found</response>"))
	var shown strings.Builder
	said := New(Options{Client: m, Texts: &shelf{}, Tools: &bench{}}).Perform(t.Context(), orchestration.Performance{
		Run: "run_1", Spec: spec, Command: atWork, Deltas: func(d orchestration.Delta) { shown.WriteString(d.Text) },
	}).(orchestration.Worked)
	if said.Output != "found" || shown.String() != "found" {
		t.Errorf("output %q, shown %q", said.Output, shown.String())
	}
}

func TestASubtaskOfATool(t *testing.T) {
	tool := orchestration.Subtask{ID: "T3", Kind: orchestration.KindTool, Tool: &orchestration.ToolCall{Name: "keep"}}
	value := func(name, text string, isJSON bool) orchestration.Value {
		return orchestration.Value{Name: name, Text: whole(text), JSON: isJSON}
	}
	spec := testSpec()
	spec.Tools = []orchestration.Tool{{Name: "keep"}, {Name: "strict", Schema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}}}`)}}
	perform := func(b *bench, c orchestration.Work) orchestration.Worked {
		o := Options{Texts: &shelf{}}
		if b != nil {
			o.Tools = b
		}
		return New(o).Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: c}).(orchestration.Worked)
	}
	b := &bench{result: "kept\x00"}
	said := perform(b, orchestration.Work{Subtask: tool, Attempt: 2, Call: 1, Inputs: []orchestration.Value{
		value("a", `"text"`, true), value("b", `{"x": 1}`, false), value("c", "plain <text>\n", false), value("d", "null", true),
	}})
	wantFailure(t, said.Failure, "", false)
	if want := []string{`keep({"a":"text","b":{"x": 1},"c":"plain <text>\n","d":null})`}; !cmp.Equal(b.called, want) || b.keys[0] != "run_1/subtask/T3" || said.Output != "kept\uFFFD" {
		t.Errorf("called %q by %q, output %q", b.called, b.keys, said.Output)
	}
	wantFailure(t, perform(nil, orchestration.Work{Subtask: tool, Attempt: 1}).Failure, orchestration.CodeOutputInvalid, false)
	wantFailure(t, perform(&bench{failure: &orchestration.Failure{Detail: "busy", Retryable: true}}, orchestration.Work{Subtask: tool, Attempt: 1}).Failure, orchestration.CodeToolFailed, true)
	wantFailure(t, perform(b, orchestration.Work{Subtask: tool, Attempt: 1, Inputs: []orchestration.Value{value("a", "{", true)}}).Failure, orchestration.CodeInternal, false)
	tool.Tool = &orchestration.ToolCall{Name: "strict"}
	said = perform(b, orchestration.Work{Subtask: tool, Attempt: 1, Inputs: []orchestration.Value{value("n", `"s3cr3t"`, true)}})
	wantFailure(t, said.Failure, orchestration.CodeOutputInvalid, false)
	if !strings.Contains(said.Failure.Detail, "/n: ") || strings.Contains(said.Failure.Detail, "s3cr3t") {
		t.Errorf("detail: %s", said.Failure.Detail)
	}
	tool.Tool = &orchestration.ToolCall{Name: "gone"}
	wantFailure(t, perform(b, orchestration.Work{Subtask: tool, Attempt: 1}).Failure, orchestration.CodeOutputInvalid, false)
}

func TestCompensations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		compensate := func(ctx context.Context, b *bench) orchestration.Compensated {
			return New(Options{Tools: b}).Perform(ctx, orchestration.Performance{
				Run: "run_1", Spec: testSpec(), Command: orchestration.Compensate{Subtask: "T3", Attempt: 2, Tool: "remove", Arguments: json.RawMessage(`{"id":"x"}`)},
			}).(orchestration.Compensated)
		}
		b := &bench{takes: 59 * time.Second}
		said := compensate(t.Context(), b)
		wantFailure(t, said.Failure, "", false)
		if said.Subtask != "T3" || said.Attempt != 2 || b.called[0] != `remove({"id":"x"})` || b.keys[0] != "run_1/compensation/T3" {
			t.Errorf("said %+v; called %q by %q", said, b.called, b.keys)
		}
		started := time.Now()
		wantFailure(t, compensate(t.Context(), &bench{takes: time.Hour}).Failure, orchestration.CodeTimeout, true)
		if took := time.Since(started); took != compensationTimeout {
			t.Errorf("it took %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantFailure(t, compensate(ctx, &bench{takes: time.Hour}).Failure, orchestration.CodeCanceled, false)
		wantFailure(t, compensate(t.Context(), &bench{panics: true}).Failure, orchestration.CodeInternal, true)
	})
}

// A tool has the time that is left of its attempt's.
func TestAToolsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := model(func(req *llm.Request) (*llm.Response, error) {
			resp, err := calls(look("a", `{"id":"x"}`))(req)
			time.Sleep(20 * time.Second)
			return resp, err
		}, says("done"))
		started := time.Now()
		said := performWithTools(t, m, &bench{takes: time.Hour}, atWork)
		wantFailure(t, said.Failure, orchestration.CodeUpstreamTimeout, true)
		if took := time.Since(started); took != time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func FuzzToolCalls(f *testing.F) {
	f.Add("call_1", "look", `{"id":"x"}`)
	f.Add("", "<look>", "{")
	spec := testSpec()
	withTools(spec)
	f.Fuzz(func(t *testing.T, id, name, arguments string) {
		p := &performance{Agent: New(Options{Tools: &bench{}}), Performance: orchestration.Performance{Spec: spec}}
		box := p.toolbox(&spec.Worker)
		call := box.presentable(llm.ToolCall{ID: id, Name: name, Arguments: arguments})
		if call.ID == "" || call.Name == "" || len(call.Name) > 64 || !json.Valid([]byte(call.Arguments)) {
			t.Fatalf("said again as %+v", call)
		}
		if read, faults := readArguments(arguments, box.schemas["look"]); faults == "" && (!json.Valid(read) || read[0] != '{') {
			t.Fatalf("%q is read as %s", arguments, read)
		}
	})
}

// A worker that is kept from its tools, or from what they say, for want of room makes
// an output that is not for those who have more.
func TestToolsForWhichThereIsNoRoom(t *testing.T) {
	for name, test := range map[string]struct {
		result  string
		reserve orchestration.Reserve
		want    bool
	}{
		"enough":         {"4 left", orchestration.Reserve{Calls: 9, PromptTokens: 90_000, AnswerTokens: 9000}, false},
		"one call":       {"4 left", orchestration.Reserve{Calls: 1, PromptTokens: 90_000, AnswerTokens: 9000}, true},
		"no second look": {"4 left", orchestration.Reserve{Calls: 2, PromptTokens: 90_000, AnswerTokens: 9000}, true},
		"a long result":  {strings.Repeat("word ", 5000), orchestration.Reserve{Calls: 9, PromptTokens: 3000, AnswerTokens: 9000}, true},
	} {
		look := calls(look("a", `{"id":"x"}`))
		c := atWork
		c.Reserved = &test.reserve
		said := performWithTools(t, model(func(req *llm.Request) (*llm.Response, error) {
			if len(req.Tools) > 0 && len(req.Messages) < 6 {
				return look(req)
			}
			return says("made")(req)
		}), &bench{result: test.result}, c)
		if said.Failure != nil || said.Shortened != test.want {
			t.Errorf("%s: shortened %v after %d calls: %+v", name, said.Shortened, len(said.Calls), said.Failure)
		}
	}
}
