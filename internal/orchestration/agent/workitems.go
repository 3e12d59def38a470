package agent

import (
	"context"
	"slices"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// items are what a worker is to build on and, for a revision, what it is to revise.
func (p *performance) items(ctx context.Context, c *orchestration.Work, f *form) ([]item, *orchestration.Failure) {
	items, failure := p.sources(ctx, c, f)
	if failure != nil || c.Rework == nil {
		return items, failure
	}
	text, failure := p.text(ctx, c.Rework.Output)
	if failure != nil {
		return nil, failure
	}
	return append(items, item{in: inRefused, text: harmless(text, reworkTags)}), nil
}

// sources are what there is to build on: the outputs that the subtask depends on,
// in the order in which it names them, and its inputs.
func (p *performance) sources(ctx context.Context, c *orchestration.Work, f *form) ([]item, *orchestration.Failure) {
	items := make([]item, 0, len(c.Dependencies)+len(c.Inputs)+1)
	for _, dep := range c.Dependencies {
		text, failure := p.text(ctx, dep.Output)
		if failure != nil {
			return nil, failure
		}
		it := item{id: dep.ID, kind: dep.Type, text: harmless(text, outputTags)}
		if dep.Status != orchestration.StatusSucceeded {
			it.status, it.text = dep.Status, "There is no output."
		}
		items = append(items, it)
	}
	for _, v := range c.Inputs {
		text, failure := p.text(ctx, v.Text)
		if failure != nil {
			return nil, failure
		}
		it := item{id: v.Name, in: inInputs, text: orchestration.TextOf(text)}
		if f != nil && f.template.count(v.Name) > 0 {
			it.in = inPrompt
		} else {
			it.text = harmless(it.text, inputTags)
		}
		items = append(items, it)
	}
	return items, nil
}

// workerForm is the caller's prompt for workers. A name in it may be one of ours,
// an input's or a key of context: of the subtask's own or, where that has none,
// of the run's.
func (p *performance) workerForm(c *orchestration.Work) (*form, *orchestration.Failure) {
	t, failure := readTemplate(p.Spec.Worker.Prompt)
	if failure != nil {
		return nil, failure
	}
	f := &form{t, contextValues(p.Spec.Context, t)}
	for name, value := range contextValues(c.Context, t) {
		if !slices.Contains(workerNames, name) {
			f.values[name] = value
		}
	}
	given := map[string]bool{}
	for _, v := range c.Inputs {
		given[v.Name] = !slices.Contains(workerNames, v.Name)
		if given[v.Name] {
			delete(f.values, v.Name)
		}
	}
	return f, f.complete(func(name string) bool {
		if _, ok := f.values[name]; ok {
			return slices.Contains(workerNames, name)
		}
		// Subtasks that a planner added later may lack an input that the plan's all have.
		return given[name] || slices.Contains(workerNames, name) || inputsOf(p.Spec.Plan)[name] > 0
	})
}
