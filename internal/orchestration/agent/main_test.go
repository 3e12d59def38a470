package agent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden prompts in testdata/prompts")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A reply answers one request.
type reply func(*llm.Request) (*llm.Response, error)

// says answers with text, streamed in small pieces where that is asked for.
func says(text string) reply {
	return func(req *llm.Request) (*llm.Response, error) {
		for rest := text; req.Stream && req.OnText != nil && rest != ""; {
			n := min(3, len(rest))
			req.OnText(rest[:n])
			rest = rest[n:]
		}
		resp := llm.Answer(text)
		resp.Calls[0].Usage = llm.Usage{Prompt: 10, Cached: 4, Completion: 2}
		return resp, nil
	}
}

// cutOff answers with text that was cut at the token limit.
func cutOff(text string) reply {
	return func(req *llm.Request) (*llm.Response, error) {
		resp, err := says(text)(req)
		resp.Truncated = true
		return resp, err
	}
}

// fails answers with a failed call.
func fails(e *llm.Error) reply {
	return func(*llm.Request) (*llm.Response, error) {
		if len(e.Calls) == 0 {
			e.Calls = llm.Failure(e.Outcome).Calls
		}
		return nil, e
	}
}

// A script is a model that gives its replies in turn, and the last one from
// then on. It keeps what it was sent.
type script struct {
	mu      sync.Mutex
	replies []reply
	sent    []llm.Request
}

func model(replies ...reply) *script { return &script{replies: replies} }

func (s *script) Chat(_ context.Context, req *llm.Request) (*llm.Response, error) {
	s.mu.Lock()
	s.sent = append(s.sent, *req)
	next := s.replies[min(len(s.sent), len(s.replies))-1]
	s.mu.Unlock()
	return next(req)
}

// last returns the text of the last message of request i.
func (s *script) last(i int) string {
	messages := s.sent[i].Messages
	return messages[len(messages)-1].Text
}

// shelf is a journal with texts by seq and attachments.
type shelf struct {
	texts       map[int64]string
	attachments [][]byte
	reads       int
}

var errLost = errors.New("secret path /var/lib/journal is lost")

func (s *shelf) Text(_ context.Context, _ string, seq int64) (string, error) {
	if text, ok := s.texts[seq]; ok {
		return text, nil
	}
	return "", errLost
}

func (s *shelf) Attachment(_ context.Context, _ string, i int) ([]byte, error) {
	s.reads++
	if i < len(s.attachments) {
		return s.attachments[i], nil
	}
	return nil, errLost
}

func whole(text string) orchestration.Text {
	return orchestration.Text{Whole: text, Bytes: len(text)}
}

// testSpec is a run with one specialist.
func testSpec() *orchestration.Spec {
	role := func(model string) orchestration.Role { return orchestration.Role{Model: model} }
	return &orchestration.Spec{
		Tenant:  "acme",
		Task:    "Write a product description for a new eco-friendly water bottle",
		Context: []byte(`{"target_audience": "hikers", "key_features": ["plastic-free", "insulated"]}`),
		Planner: orchestration.Planner{Role: role("big"), MinSubtasks: 2, MaxSubtasks: 3},
		Worker:  orchestration.Worker{Role: role("small")},
		Workers: []orchestration.Worker{{
			Role: orchestration.Role{Model: "small", System: "You know the trade of outdoor gear. Name your sources."},
			Name: "researcher", Description: "finds facts and figures", MaxTokens: 900,
		}},
		Synthesizer: orchestration.Synthesizer{Role: role("big"), Mode: orchestration.SynthesizeModel},
		Models: []orchestration.Model{
			{Name: "big", Price: &orchestration.Price{Input: 1, Cached: 0.5, Output: 10}},
			{Name: "small"},
		},
		Limits: orchestration.Limits{MaxConcurrency: 4, SubtaskTimeout: time.Minute, MaxSubtasks: 100, MaxOutputBytes: 1 << 20},
	}
}

var (
	formal = orchestration.Subtask{ID: "T2", Type: "formal", Description: "Write the description in a formal tone."}
	facts  = orchestration.Result{ID: "T1", Type: "researcher", Description: "Collect the facts.", Status: orchestration.StatusSucceeded, Output: whole("Steel, 500 ml, 24 h cold.")}
)

// A tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// perform has a new agent perform a command.
func perform(t tester, client llm.Client, spec *orchestration.Spec, c orchestration.Command) orchestration.Said {
	t.Helper()
	return New(Options{Client: client, Texts: &shelf{}}).Perform(context.Background(), orchestration.Performance{Run: "run_1", Spec: spec, Command: c})
}

func performWork(t tester, client llm.Client, spec *orchestration.Spec, c orchestration.Work) orchestration.Worked {
	t.Helper()
	return perform(t, client, spec, c).(orchestration.Worked)
}

func performPlan(t tester, client llm.Client, spec *orchestration.Spec, c orchestration.MakePlan) orchestration.Planned {
	t.Helper()
	return perform(t, client, spec, c).(orchestration.Planned)
}

func performSynthesis(t tester, client llm.Client, spec *orchestration.Spec, c orchestration.Synthesize) orchestration.Synthesized {
	t.Helper()
	return perform(t, client, spec, c).(orchestration.Synthesized)
}

// wantFailure checks a failure's code and whether it is retryable; "" wants none.
func wantFailure(t tester, got *orchestration.Failure, code orchestration.Code, retryable bool) {
	t.Helper()
	switch {
	case code == "" && got == nil:
	case code == "":
		t.Fatalf("failed: %+v", *got)
	case got == nil:
		t.Fatalf("no failure, want %s", code)
	case got.Code != code || got.Retryable != retryable:
		t.Fatalf("failure %s (retryable %v): %s; want %s (retryable %v)", got.Code, got.Retryable, got.Detail, code, retryable)
	}
}

// show writes a request as the golden files have it.
func show(req llm.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s by %s", req.Role, req.Model)
	if req.Schema != nil {
		fmt.Fprintf(&b, ", schema %q", req.Schema.Name)
	}
	if req.MaxTokens > 0 {
		fmt.Fprintf(&b, ", at most %d tokens", req.MaxTokens)
	}
	if req.Stream {
		b.WriteString(", streamed")
	}
	for _, tool := range req.Tools {
		fmt.Fprintf(&b, ", tool %q", tool.Name)
	}
	b.WriteString("\n")
	for _, m := range req.Messages {
		fmt.Fprintf(&b, "\n======== %s", m.Author)
		if m.Answers != "" {
			fmt.Fprintf(&b, " of %s", m.Answers)
		}
		for _, image := range m.Images {
			fmt.Fprintf(&b, " + %s (%d bytes)", image.MediaType, len(image.Data))
		}
		fmt.Fprintf(&b, "\n%s\n", m.Text)
		for _, call := range m.ToolCalls {
			fmt.Fprintf(&b, "[%s: %s(%s)]\n", call.ID, call.Name, call.Arguments)
		}
	}
	return b.String()
}
