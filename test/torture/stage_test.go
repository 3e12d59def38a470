// Package torture has models give the answers that real ones give when they
// misbehave, and carries each through the agent, the core, the driver and the
// journal, in virtual time.
package torture

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/agent"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A scene is a run, and what its models answer: each role's answers in turn,
// the last one from then on.
type scene struct {
	planner, worker, synthesizer []string
	schema                       string // of the final output
	truncated                    bool   // the planner's first answer was, at the token limit
}

// What models answer where a scene is about something else.
const (
	goodPlan   = `{"subtasks":[{"id":"mended","description":"Do it all"}]}`
	goodAnswer = `<response>{"answer":"mended","km":1}</response>`
)

// answers returns what a role says in the scene.
func (s scene) answers(role llm.Role) []string {
	given, otherwise := s.worker, goodAnswer
	switch role {
	case llm.Planner:
		given, otherwise = s.planner, goodPlan
	case llm.Synthesizer:
		given = s.synthesizer
	}
	if given == nil {
		return []string{otherwise}
	}
	return given
}

// A story is what became of a scene: the journal's events, and what the models
// were sent.
type story struct {
	events []orchestration.Event
	sent   map[llm.Role][]llm.Request
}

// A stage plays many scenes at once. A run's models have its place as their
// name: that is how an answer finds its scene.
type stage struct {
	scenes []scene

	mu      sync.Mutex
	stories []story
}

// Chat answers as the scene says, in small pieces where it is streamed.
func (s *stage) Chat(_ context.Context, req *llm.Request) (*llm.Response, error) {
	place, err := strconv.Atoi(req.Model)
	if err != nil {
		return nil, llm.Failure(llm.InvalidRequest)
	}
	s.mu.Lock()
	sent := s.stories[place].sent
	sent[req.Role] = append(sent[req.Role], *req)
	turn := len(sent[req.Role])
	s.mu.Unlock()
	answers := s.scenes[place].answers(req.Role)
	text := answers[min(turn, len(answers))-1]
	for rest := text; req.Stream && req.OnText != nil && rest != ""; {
		n := min(7, len(rest))
		req.OnText(rest[:n])
		rest = rest[n:]
	}
	resp := llm.Answer(text)
	resp.Truncated = s.scenes[place].truncated && req.Role == llm.Planner && turn == 1
	return resp, nil
}

// kept is the journal as the agent reads it.
type kept struct{ journal.Journal }

func (k kept) Text(ctx context.Context, run string, seq int64) (string, error) {
	e, err := k.Event(ctx, run, seq)
	if err != nil {
		return "", err
	}
	return e.Body(), nil
}

// play plays the scenes to their ends. Every run must end long before its
// timeout, and nobody may have anything to complain of in the log.
func play(t *testing.T, scenes []scene) []story {
	t.Helper()
	s := &stage{scenes: scenes, stories: make([]story, len(scenes))}
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(t.Context(), "mem:", journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		core, log := observer.New(zap.WarnLevel)
		a := agent.New(agent.Options{Client: s, Texts: kept{j}, Logger: zap.New(core)})
		d := local.New(local.Options{Journal: j, Agent: a, Logger: zap.New(core)})
		ids := make([]string, len(scenes))
		for i := range scenes {
			s.stories[i].sent = map[llm.Role][]llm.Request{}
			row, err := d.Start(t.Context(), scenes[i].spec(strconv.Itoa(i)), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			ids[i] = row.ID
		}
		time.Sleep(timeout / 2)
		synctest.Wait()
		for i, id := range ids {
			if s.stories[i].events, err = j.Events(t.Context(), id, 0, 0); err != nil {
				t.Error(err)
			}
			checkJournal(t, s.stories[i].events)
		}
		for _, entry := range log.All() {
			t.Errorf("logged: %s %v", entry.Message, entry.ContextMap())
		}
		d.Close()
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.stories
}

// checkJournal holds what is true of every run's events: no gap, one end.
func checkJournal(t *testing.T, events []orchestration.Event) {
	t.Helper()
	for i, e := range events {
		if e.Seq != int64(i)+1 || e.Terminal() != (i == len(events)-1) {
			t.Errorf("event %d of %d is %d, %s", i+1, len(events), e.Seq, e.Type())
		}
	}
}

const timeout = 10 * time.Minute

func (s scene) spec(model string) *orchestration.Spec {
	role := orchestration.Role{Model: model}
	return &orchestration.Spec{
		Format: orchestration.SpecFormat, Tenant: "default", Task: "Tell of rivers",
		Planner:     orchestration.Planner{Role: role, MaxSubtasks: 10},
		Worker:      orchestration.Worker{Role: role},
		Synthesizer: orchestration.Synthesizer{Role: role, Mode: orchestration.SynthesizeModel, JSONSchema: []byte(s.schema)},
		Limits: orchestration.Limits{
			MaxConcurrency: 10, Timeout: timeout, SubtaskTimeout: time.Minute,
			MaxAttempts: 2, MaxSubtasks: 100, MaxOutputBytes: 1 << 20,
		},
		Deltas: true,
	}
}
