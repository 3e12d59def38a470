package api

import (
	"cmp"
	"slices"

	"github.com/tutti-run/tutti/internal/orchestration"
)

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
	add(spec.Evaluator.Model)
	add(spec.Worker.Fallback)
	for _, w := range spec.Workers {
		add(w.Model)
		add(w.Fallback)
	}
	if spec.Plan != nil {
		orchestration.Every(spec.Plan.Subtasks, func(s *orchestration.Subtask) {
			if f := s.OnFailure.Fallback; f != nil {
				add(f.Model)
			}
		})
	}
	return models
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
	return !d.Exclusive || slices.ContainsFunc(d.Models, func(m orchestration.Model) bool { return m.Name == name })
}

// toolsOf returns the configured tools that the spec's workers and its plan may
// call, nil for none.
func (d Defaults) toolsOf(spec *orchestration.Spec) []orchestration.Tool {
	named := make(map[string]bool)
	for _, w := range append(spec.Workers[:len(spec.Workers):len(spec.Workers)], spec.Worker) {
		for _, tool := range w.Tools {
			named[tool] = true
		}
	}
	if spec.Plan != nil {
		orchestration.Every(spec.Plan.Subtasks, func(s *orchestration.Subtask) {
			for _, call := range []*orchestration.ToolCall{s.Tool, s.Compensate} {
				if call != nil {
					named[call.Name] = true
				}
			}
		})
	}
	var tools []orchestration.Tool
	for _, tool := range d.Tools {
		if named[tool.Name] {
			tools = append(tools, tool)
		}
	}
	return tools
}
