package api

import (
	"cmp"
	"context"
)

// ListWorkers lists the configured workers.
func (s *server) ListWorkers(context.Context, ListWorkersRequestObject) (ListWorkersResponseObject, error) {
	l := WorkerList{Data: make([]Worker, 0, len(s.Defaults.Workers))}
	for _, w := range s.Defaults.Workers {
		l.Data = append(l.Data, Worker{Name: w.Name, Description: w.Description, Model: cmp.Or(w.Model, s.Defaults.Worker.Model), Tools: list(w.Tools)})
	}
	return ok(l), nil
}

// ListModels lists what is known of models.
func (s *server) ListModels(context.Context, ListModelsRequestObject) (ListModelsResponseObject, error) {
	l := ModelList{Data: make([]Model, 0, len(s.Defaults.Models)), Exclusive: s.Defaults.Exclusive}
	for _, m := range s.Defaults.Models {
		entry := Model{Name: m.Name, Price: m.Price}
		if m.ContextWindow > 0 {
			entry.ContextWindow = &m.ContextWindow
		}
		l.Data = append(l.Data, entry)
	}
	return ok(l), nil
}

// GetLiveness says that the process answers.
func (s *server) GetLiveness(context.Context, GetLivenessRequestObject) (GetLivenessResponseObject, error) {
	return ok(Liveness{Status: LivenessStatusOk}), nil
}

// stops reports whether the server is about to stop.
func (s *server) stops() bool {
	select {
	case <-s.Draining:
		return true
	default:
		return false
	}
}

// GetReadiness says whether the server takes runs.
func (s *server) GetReadiness(ctx context.Context, _ GetReadinessRequestObject) (GetReadinessResponseObject, error) {
	if s.Standby != nil && s.Standby() {
		return nil, problem(codeStorageUnavailable, "This server stands by: another one has the journal.")
	}
	if s.stops() {
		return nil, problem(codeOverloaded, "This server is about to stop.")
	}
	if err := s.Reader.Ready(ctx); err != nil {
		return nil, problem(codeStorageUnavailable, "The journal is not ready.")
	}
	return ok(Readiness{Status: ReadinessStatusReady, Simulated: s.Simulated, Version: s.Version}), nil
}
