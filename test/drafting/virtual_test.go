package drafting

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/agent"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/local"
)

// How long things take in virtual time, where nothing else takes any.
const (
	planTakes      = 6 * time.Second
	workTakes      = 5 * time.Second
	synthesisTakes = 2 * time.Second
	simulatedPace  = 2 * time.Millisecond // of the simulator, in real time: a token
)

// A shape says what each of a plan's eight subtasks depends on.
type shape struct {
	on          func(n int) []string
	concurrency int
	most        float64 // of the wall of plan-then-run
}

var shapes = map[string]shape{
	"eight side by side":                 {func(int) []string { return nil }, 10, 1},
	"eight side by side, four at a time": {func(int) []string { return nil }, 4, 0.9},
	"four after four": {func(n int) []string {
		if n <= 4 {
			return nil
		}
		return []string{fmt.Sprintf("T%d", n-4)}
	}, 10, 0.9},
	"one after the other": {func(n int) []string {
		if n == 1 {
			return nil
		}
		return []string{fmt.Sprintf("T%d", n-1)}
	}, 10, 0.91}, // of so long a run, a plan of six seconds is but an eighth
}

// A run whose subtasks are dispatched while it is planned ends sooner, and the first
// worker is asked in the instant in which its subtask is complete.
func TestWall(t *testing.T) {
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			text.WriteString(`{"analysis": "This is how the task is understood, and why it is divided like this.", "subtasks": [`)
			var ends []int // of the subtasks
			for n := 1; n <= 8; n++ {
				if n > 1 {
					text.WriteString(", ")
				}
				text.WriteString(part(n, s.on(n)...))
				ends = append(ends, text.Len())
			}
			text.WriteString("]}")
			m := &model{plan: text.String()}
			drafted := m.wall(t, s, orchestration.StreamAuto)
			first := planTakes * time.Duration(ends[0]) / time.Duration(text.Len())
			if m.first != first {
				t.Errorf("the first subtask is complete after %v, and the first worker is asked after %v", first, m.first)
			}
			after := m.wall(t, s, orchestration.StreamNever)
			ratio := float64(drafted) / float64(after)
			t.Logf("wall %v, planned first %v: ratio %.3f", drafted, after, ratio)
			if ratio > s.most {
				t.Errorf("the ratio is %.3f, of at most %.2f", ratio, s.most)
			}
		})
	}
}

// A model takes its time.
type model struct {
	plan  string
	begun time.Time
	first time.Duration // until the first worker was asked
}

// Chat answers, a plan byte by byte where it is streamed.
func (m *model) Chat(_ context.Context, req *llm.Request) (*llm.Response, error) {
	switch req.Role {
	case llm.Planner:
		began := time.Now()
		for i := range len(m.plan) {
			time.Sleep(time.Until(began.Add(planTakes * time.Duration(i+1) / time.Duration(len(m.plan)))))
			if req.OnText != nil && req.Stream {
				req.OnText(m.plan[i : i+1])
			}
		}
		return llm.Answer(m.plan), nil
	case llm.Worker:
		if strings.Contains(req.Messages[1].Text, "Do part 1.") {
			m.first = time.Since(m.begun)
		}
		time.Sleep(workTakes)
		return llm.Answer("done"), nil
	}
	time.Sleep(synthesisTakes)
	return llm.Answer("<response>all done</response>"), nil
}

// wall plays a run to its end and returns how long it took.
func (m *model) wall(t *testing.T, s shape, stream orchestration.Streaming) (wall time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(t.Context(), "mem:", journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		d := local.New(local.Options{
			Journal: j, Logger: zaptest.NewLogger(t),
			Agent: agent.New(agent.Options{Client: m, Texts: texts{j}}),
		})
		defer d.Close()
		m.begun = time.Now()
		role := orchestration.Role{Model: "m"}
		row, err := d.Start(t.Context(), &orchestration.Spec{
			Format: orchestration.SpecFormat, Tenant: "default", Task: "Do it", OnFailure: orchestration.OnFailurePartial,
			Planner: orchestration.Planner{Role: role}, Worker: orchestration.Worker{Role: role}, Models: []orchestration.Model{{Name: "m", Stream: stream}},
			Synthesizer: orchestration.Synthesizer{Role: role, Mode: orchestration.SynthesizeModel},
			Limits: orchestration.Limits{
				MaxConcurrency: s.concurrency, Timeout: time.Hour, SubtaskTimeout: time.Minute, MaxAttempts: 1, MaxSubtasks: 100, MaxOutputBytes: 1 << 20,
			},
		}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour / 2)
		synctest.Wait()
		ended, err := j.Row(t.Context(), "default", row.ID)
		if err != nil || ended.Status != orchestration.StatusSucceeded {
			t.Fatalf("the run is %s, error %v", ended.Status, err)
		}
		wall = ended.EndedAt.Sub(ended.CreatedAt)
	})
	return wall
}

// texts is the journal as the agent reads it.
type texts struct{ journal.Journal }

func (x texts) Text(ctx context.Context, run string, seq int64) (string, error) {
	e, err := x.Event(ctx, run, seq)
	if err != nil {
		return "", err
	}
	return e.Body(), nil
}
