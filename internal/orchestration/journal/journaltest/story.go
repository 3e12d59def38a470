package journaltest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Epoch is when the stories begin.
var Epoch = time.Date(2026, 11, 20, 9, 30, 0, 123456789, time.UTC)

// Story returns the commits of an ordinary run that succeeds: one call for the
// plan, ten for its subtasks, one for the synthesis, in 37 events and 13
// commits, with outputs of 2 kB.
func Story(tenant, run string) []orchestration.Commit {
	s := &story{row: orchestration.Row{
		ID: run, Tenant: tenant, Status: orchestration.StatusQueued, Task: "Write a product description",
		Labels: map[string]string{"team": "growth"}, CreatedAt: Epoch,
	}}
	const model, size = "gpt-5-mini", 10
	s.event("", &orchestration.RunCreated{Spec: spec(tenant, model)})
	s.row.Status, s.row.StartedAt = orchestration.StatusRunning, Epoch
	s.event("", &orchestration.RunStarted{})
	s.event("", &orchestration.PlanStarted{Model: model})
	s.commit()

	var ids []string
	for i := range size {
		id := fmt.Sprintf("T%d", i+1)
		ids = append(ids, id)
		s.event(id, &orchestration.PlanSubtaskAdded{Subtask: orchestration.Subtask{
			ID: id, Kind: orchestration.KindWorker, Type: "formal", Description: strings.Repeat("Describe it well. ", 8),
		}})
	}
	s.row.Progress.Total = size
	s.event("", &orchestration.PlanCreated{
		Version: 1, Source: orchestration.PlanOfPlanner, Analysis: strings.Repeat("a", 300), Subtasks: ids, Calls: calls("planner", model),
	})
	for _, id := range ids {
		s.row.Progress.Running++
		s.event(id, &orchestration.SubtaskStarted{Model: model})
	}
	s.commit()

	for i, id := range ids {
		s.row.Progress.Running--
		s.row.Progress.Succeeded++
		s.event(id, &orchestration.SubtaskSucceeded{Output: strings.Repeat("A bottle. ", 200), Calls: calls("worker", model)})
		if i == size-1 {
			s.event("", &orchestration.SynthesisStarted{Model: model})
		}
		s.commit()
	}
	s.event("", &orchestration.SynthesisSucceeded{Output: strings.Repeat("A bottle. ", 200), Calls: calls("synthesizer", model)})
	s.row.Status, s.row.EndedAt = orchestration.StatusSucceeded, Epoch.Add(time.Minute)
	s.event("", &orchestration.RunSucceeded{})
	s.commit()
	return s.commits
}

// A story grows commit by commit.
type story struct {
	row     orchestration.Row
	events  []orchestration.Event
	commits []orchestration.Commit
}

func (s *story) event(subtask string, fact orchestration.Fact) {
	s.row.Seq++
	attempt := 0
	if subtask != "" {
		attempt = 1
	}
	s.events = append(s.events, orchestration.Event{
		Seq: s.row.Seq, Time: Epoch.Add(time.Duration(s.row.Seq) * time.Second), Run: s.row.ID,
		Subtask: subtask, Attempt: attempt, Progress: s.row.Progress, Fact: fact,
	})
}

func (s *story) commit() {
	s.commits = append(s.commits, orchestration.Commit{After: s.row.Seq - int64(len(s.events)), Events: s.events, Row: s.row})
	s.events = nil
}

func spec(tenant, model string) *orchestration.Spec {
	role := orchestration.Role{Model: model, Prompt: strings.Repeat("Break it down. ", 20)}
	return &orchestration.Spec{
		Format: orchestration.SpecFormat, Version: "test", Tenant: tenant,
		Task: "Write a product description", Context: json.RawMessage(`{"audience":"hikers","features":["light",{"liters":0.75}]}`),
		Labels:  map[string]string{"team": "growth"},
		Planner: orchestration.Planner{Role: role, MaxSubtasks: 10}, Worker: orchestration.Worker{Role: role},
		Synthesizer: orchestration.Synthesizer{Role: role, Mode: orchestration.SynthesizeModel},
		Models:      []orchestration.Model{{Name: model, ContextWindow: 128_000}},
		Limits:      orchestration.Limits{MaxConcurrency: 10, Timeout: 10 * time.Minute, MaxAttempts: 3},
	}
}

func calls(role, model string) []orchestration.Call {
	return []orchestration.Call{{
		Role: role, Model: model, Attempt: 1, Outcome: "ok",
		Queued: Epoch, Started: Epoch.Add(time.Millisecond), FirstToken: Epoch.Add(time.Second), Ended: Epoch.Add(2 * time.Second),
		Usage: orchestration.Usage{PromptTokens: 900, CompletionTokens: 500},
	}}
}
