package api

import (
	"cmp"
	"context"
	"slices"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// ListWorkers lists the configured workers.
func (s *server) ListWorkers(context.Context, ListWorkersRequestObject) (ListWorkersResponseObject, error) {
	l := WorkerList{Data: make([]Worker, 0, len(s.Defaults.Workers))}
	for _, w := range s.Defaults.Workers {
		l.Data = append(l.Data, Worker{Name: w.Name, Description: w.Description, Model: cmp.Or(w.Model, s.Defaults.Worker.Model)})
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

// GetReadiness says whether the server takes runs.
func (s *server) GetReadiness(ctx context.Context, _ GetReadinessRequestObject) (GetReadinessResponseObject, error) {
	if s.Standby != nil && s.Standby() {
		return nil, problem(codeStorageUnavailable, "This server stands by: another one has the journal.")
	}
	select {
	case <-s.Draining:
		return nil, problem(codeOverloaded, "This server is about to stop.")
	default:
	}
	if err := s.Reader.Ready(ctx); err != nil {
		return nil, problem(codeStorageUnavailable, "The journal is not ready.")
	}
	return ok(Readiness{Status: ReadinessStatusReady, Simulated: s.Simulated, Version: s.Version}), nil
}

// notSupported refuses what the contract describes and nothing carries out yet.
func notSupported(pointer, detail string) *Problem {
	return problem(codeNotSupported, detail, Fault{Pointer: pointer, Code: string(codeNotSupported), Detail: detail})
}

// DecideSubtask is not carried out yet.
func (s *server) DecideSubtask(context.Context, DecideSubtaskRequestObject) (DecideSubtaskResponseObject, error) {
	return nil, notSupported("", "decisions are not supported yet")
}

// DecidePlan is not carried out yet.
func (s *server) DecidePlan(context.Context, DecidePlanRequestObject) (DecidePlanResponseObject, error) {
	return nil, notSupported("", "decisions are not supported yet")
}

// ForkRun is not carried out yet.
func (s *server) ForkRun(context.Context, ForkRunRequestObject) (ForkRunResponseObject, error) {
	return nil, notSupported("", "forks are not supported yet")
}

// ListWorkflows is not carried out yet.
func (s *server) ListWorkflows(context.Context, ListWorkflowsRequestObject) (ListWorkflowsResponseObject, error) {
	return nil, notSupported("", "workflows are not supported yet")
}

// GetWorkflow is not carried out yet.
func (s *server) GetWorkflow(context.Context, GetWorkflowRequestObject) (GetWorkflowResponseObject, error) {
	return nil, notSupported("", "workflows are not supported yet")
}

// ValidateWorkflow is not carried out yet.
func (s *server) ValidateWorkflow(context.Context, ValidateWorkflowRequestObject) (ValidateWorkflowResponseObject, error) {
	return nil, notSupported("", "workflows are not supported yet")
}

// specialists returns the configured workers. A model, and an effort, that they
// do not have of their own are those of the role.
func (d Defaults) specialists(role orchestration.Role) []orchestration.Worker {
	workers := slices.Clone(d.Workers)
	for i := range workers {
		w := &workers[i]
		w.Model = cmp.Or(w.Model, role.Model)
		w.ReasoningEffort = cmp.Or(w.ReasoningEffort, role.ReasoningEffort)
	}
	return workers
}

// modelsOf returns what is known of every model that the spec names.
func (d Defaults) modelsOf(spec *orchestration.Spec) []orchestration.Model {
	var models []orchestration.Model
	var add func(name string)
	add = func(name string) {
		known := slices.ContainsFunc(models, func(m orchestration.Model) bool { return m.Name == name })
		if name == "" || known {
			return
		}
		m := d.model(name)
		models = append(models, m)
		add(m.Fallback)
	}
	add(spec.Planner.Model)
	add(spec.Worker.Model)
	add(spec.Synthesizer.Model)
	for _, w := range spec.Workers {
		add(w.Model)
		add(w.Fallback)
	}
	return models
}

// model returns what is known of a model: at least its name.
func (d Defaults) model(name string) orchestration.Model {
	for _, m := range d.Models {
		if m.Name == name {
			return m
		}
	}
	return orchestration.Model{Name: name}
}

// allows reports whether a request may name the model.
func (d Defaults) allows(name string) bool {
	if !d.Exclusive {
		return true
	}
	for _, m := range d.Models {
		if m.Name == name {
			return true
		}
	}
	return false
}
