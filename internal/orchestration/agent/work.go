package agent

import (
	"cmp"
	"context"
	"strings"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// work performs a Work.
func (p *performance) work(ctx context.Context, c orchestration.Work, said *orchestration.Worked) *orchestration.Failure {
	w, ok := p.Spec.Worker, true
	if c.Worker != "" {
		w, ok = p.Spec.WorkerNamed(c.Worker)
	}
	p.worker = c.Worker
	p.cast(llm.Worker, cmp.Or(c.Model, w.Model), c.Attempt, c.Reserved)
	if !ok {
		return &orchestration.Failure{Code: orchestration.CodeInternal, Detail: "the run knows no worker of that name"}
	}
	images, done, failure := p.images(ctx)
	if failure != nil {
		return failure
	}
	defer done()
	o, failure := p.workOrder(ctx, c, w, images)
	if failure != nil {
		return failure
	}
	said.Shortened = o.shortened
	d := p.dialog(w.Role, o.messages)
	d.request.MaxTokens, d.request.Temperature = o.answer, w.Temperature
	d.request.Place.Priority = c.Priority
	d.listen(c.Subtask.ID)
	text, failure := d.ask(ctx)
	if failure != nil {
		if failure.Code == orchestration.CodeContextTooLong {
			_, tooLong := p.workOrder(ctx, c, w, images)
			failure.Retryable = tooLong == nil
		}
		return failure
	}
	said.Output = ReadAnswer(text)
	return nil
}

// An order is what a worker is sent. The texts that it was made of are read
// again if need be, so that a call that waits for its slot holds them once.
type order struct {
	messages  []llm.Message
	answer    int // the tokens that the answer may take; 0: as the endpoint likes
	shortened bool
}

func (p *performance) workOrder(ctx context.Context, c orchestration.Work, w orchestration.Worker, images []llm.Image) (order, *orchestration.Failure) {
	items := make([]item, len(c.Dependencies))
	for i, dep := range c.Dependencies {
		text, failure := p.text(ctx, dep.Output)
		if failure != nil {
			return order{}, failure
		}
		items[i] = item{id: dep.ID, kind: dep.Type, text: harmless(text, outputTags)}
		if dep.Status != orchestration.StatusSucceeded {
			items[i].status, items[i].text = dep.Status, "There is no output."
		}
	}
	d, failure := p.workDraft(c, w, items)
	if failure != nil {
		return order{}, failure
	}
	d.images = images
	budget, answer := p.room(w.MaxTokens)
	messages, shortened, ok := d.fit(budget)
	if !ok {
		return order{}, tooLong("the task, its context and the subtask's description do not fit the worker model's context window")
	}
	return order{messages, answer, shortened}, nil
}

// workDraft is the worker's prompt. All workers of a run have one system
// message; what makes this one special stands at the end.
func (p *performance) workDraft(c orchestration.Work, w orchestration.Worker, items []item) (*draft, *orchestration.Failure) {
	d := &draft{system: cmp.Or(p.Spec.Worker.System, workerSystem), items: items, times: 1}
	if c.Fallback {
		d.user = func(items []item) string { return simpleUser(p.Spec, c.Subtask, items) }
		return d, nil
	}
	special := ""
	if c.Worker != "" {
		special = w.System
	}
	if p.Spec.Worker.Prompt == "" {
		d.user = func(items []item) string { return workerUser(p.Spec, c.Subtask, special, items) }
		return d, nil
	}
	f, failure := readForm(p.Spec.Worker.Prompt, workerNames, p.Spec.Context)
	if failure != nil {
		return nil, failure
	}
	times := f.template.count("dependencies")
	d.times = max(1, times)
	d.user = func(items []item) string {
		section := outputs(items)
		text := f.fill(workerValues(p.Spec, c.Subtask, section))
		if times == 0 && section != "" {
			text += "\n\n" + section
		}
		if special != "" {
			text += "\n\n" + roleWords(c.Subtask.Type, special)
		}
		return text
	}
	return d, nil
}

// workerUser is our own worker's prompt.
func workerUser(spec *orchestration.Spec, s orchestration.Subtask, special string, items []item) string {
	var b strings.Builder
	size := len(workerOpening) + len(spec.Task) + len(spec.Context) + len(special) + len(s.Description) + 512
	section := outputs(items)
	b.Grow(size + len(section))
	premise(&b, workerOpening, spec)
	if section != "" {
		b.WriteString(section + "\n\n")
	}
	if words := roleWords(s.Type, special); words != "" {
		b.WriteString(words + "\n\n")
	}
	b.WriteString("<subtask>\n")
	if hasStyle(s.Type) {
		b.WriteString("<type>" + attribute(s.Type) + "</type>\n")
	}
	b.WriteString("<description>" + harmless(s.Description, subtaskTags) + "</description>\n</subtask>\n\nWrite the result between <response> and </response>.")
	return b.String()
}

// simpleUser is the prompt of a fallback: the least that a smaller model needs,
// or one that could not do with ours.
func simpleUser(spec *orchestration.Spec, s orchestration.Subtask, items []item) string {
	var b strings.Builder
	premise(&b, simpleOpening, spec)
	if section := outputs(items); section != "" {
		b.WriteString(section + "\n\n")
	}
	b.WriteString("<subtask>\n" + harmless(s.Description, subtaskTags) + "\n</subtask>\n\nWrite the result.")
	return b.String()
}

func hasStyle(kind string) bool { return kind != "" && kind != orchestration.DefaultType }

// roleWords says in which role or style the subtask is to be done.
func roleWords(kind, special string) string {
	switch {
	case special != "" && hasStyle(kind):
		return "Your role is “" + attribute(kind) + "”:\n" + special
	case special != "":
		return "Your role:\n" + special
	case hasStyle(kind):
		return "Your role, or the style to work in, is “" + attribute(kind) + "”."
	}
	return ""
}

// workerValues are the values of a worker's names.
func workerValues(spec *orchestration.Spec, s orchestration.Subtask, dependencies string) map[string]string {
	return map[string]string{
		"original_task":    spec.Task,
		"task_type":        cmp.Or(s.Type, orchestration.DefaultType),
		"task_description": s.Description,
		"dependencies":     dependencies,
	}
}
