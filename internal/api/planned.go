package api

import (
	"cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A plannedSubtask is a subtask as it was planned, in the plan language: what
// matters first, and spelled out where the core leaves it empty.
type plannedSubtask struct {
	ID          string              `json:"id"`
	Kind        orchestration.Kind  `json:"kind"`
	Type        string              `json:"type"`
	Worker      string              `json:"worker,omitempty"`
	Description string              `json:"description"`
	DependsOn   []string            `json:"depends_on"`
	After       orchestration.After `json:"after"`
	orchestration.Subtask
}

func planned(s orchestration.Subtask) plannedSubtask {
	s = asWritten(s)
	return plannedSubtask{
		ID: s.ID, Kind: cmp.Or(s.Kind, orchestration.KindWorker), Type: cmp.Or(s.Type, orchestration.DefaultType), Worker: s.Worker,
		Description: s.Description, DependsOn: list(s.DependsOn), After: cmp.Or(s.After, orchestration.AfterSucceeded), Subtask: s,
	}
}

// asWritten returns the subtask, and those of its bodies, without what the
// server adds for itself.
func asWritten(s orchestration.Subtask) orchestration.Subtask {
	s.Implied, s.Uses, s.Passes, s.Kept = nil, nil, nil, false
	if s.Workflow != nil {
		s.Workflow = &orchestration.Inlined{Name: s.Workflow.Name, Context: s.Workflow.Context}
	}
	if s.ForEach != nil {
		each := *s.ForEach
		each.Body = allAsWritten(each.Body)
		s.ForEach = &each
	}
	if s.Loop != nil {
		loop := *s.Loop
		loop.Body = allAsWritten(loop.Body)
		s.Loop = &loop
	}
	return s
}

func allAsWritten(subtasks []orchestration.Subtask) []orchestration.Subtask {
	all := make([]orchestration.Subtask, len(subtasks))
	for i, s := range subtasks {
		all[i] = asWritten(s)
	}
	return all
}
