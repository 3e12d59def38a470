package agent

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// maxFeedback bounds, in bytes, what a worker is told of why its output was refused.
const maxFeedback = 16 << 10

// workBrief is the worker's prompt. All workers of a run have one system
// message; what makes this one special stands at the end.
func (p *performance) workBrief(c *orchestration.Work, w *orchestration.Worker, f *form, items []item, tools bool) *brief {
	d := &brief{system: cmp.Or(p.Spec.Worker.System, workerSystem), items: items, times: 1}
	o := wording{spec: p.specOf(c), subtask: &c.Subtask, description: c.Subtask.Description, tools: tools, answer: answerWords(schemasOf(c.Checks))}
	switch {
	case c.Worker == "":
	case w.SystemFirst:
		d.system = cmp.Or(w.System, d.system)
	default:
		o.special = w.System
	}
	if c.Rework != nil {
		o.feedback = c.Rework.Feedback
	}
	switch {
	case c.Fallback:
		if fallback := c.Subtask.OnFailure.Fallback; fallback != nil && fallback.Prompt != "" {
			o.description = fallback.Prompt
		}
		d.user = o.simple
	case f == nil:
		d.user = o.ours
	default:
		d.times = f.most(items)
		d.user = func(items []item) string { return o.own(f, items) }
	}
	return d
}

// most returns how often an item stands in the prompt at most.
func (f *form) most(items []item) int {
	times := max(1, f.template.count("dependencies"))
	for _, it := range at(inPrompt, items) {
		times = max(times, f.template.count(it.id))
	}
	return times
}

// A wording is what a worker's prompt says beside its items.
type wording struct {
	spec        *orchestration.Spec
	subtask     *orchestration.Subtask
	description string // of it, or what a fallback puts in its place
	special     string // the specialist's own system text
	feedback    string // why an output was refused
	tools       bool   // there are some
	answer      string // how to answer, beside what the prompt itself says of it
}

// answerWords asks for JSON that satisfies the schemas.
func answerWords(schemas []json.RawMessage) string {
	words := ""
	for _, schema := range schemas {
		words += schemaWords(schema)
	}
	return words
}

// ours is our own worker's prompt.
func (o *wording) ours(items []item) string {
	var b strings.Builder
	built := material(items)
	b.Grow(len(workerOpening) + len(o.spec.Task) + len(o.spec.Context) + len(built) + len(o.special) + len(o.description) + tailBytes)
	premise(&b, workerOpening, o.spec)
	b.WriteString(built)
	o.tail(&b, items)
	return b.String()
}

// tail writes what is this worker's alone, which is all that follows the material.
func (o *wording) tail(b *strings.Builder, items []item) {
	if o.writeRole(b) {
		b.WriteString("\n\n")
	}
	if o.tools {
		b.WriteString(toolWords)
		b.WriteString("\n\n")
	}
	b.WriteString("<subtask>\n")
	if kind := o.subtask.Type; hasStyle(kind) {
		b.WriteString("<type>")
		b.WriteString(attribute(kind))
		b.WriteString("</type>\n")
	}
	b.WriteString("<description>")
	b.WriteString(harmless(o.description, subtaskTags))
	b.WriteString("</description>\n</subtask>\n\n")
	b.WriteString(o.revision(items))
	if o.answer == "" {
		b.WriteString("Write the result between <response> and </response>.")
		return
	}
	b.WriteString("Write the result.")
	b.WriteString(o.answer)
}

// tailBytes is about what the tags and our own words take that follow a prompt's opening.
const tailBytes = 400

// simple is the prompt of a fallback: the least that a smaller model needs, or
// one that could not do with ours.
func (o *wording) simple(items []item) string {
	var b strings.Builder
	premise(&b, simpleOpening, o.spec)
	b.WriteString(material(items))
	if o.tools {
		b.WriteString(toolWords + "\n\n")
	}
	b.WriteString("<subtask>\n" + harmless(o.description, subtaskTags) + "\n</subtask>\n\n" + o.revision(items) + "Write the result." + o.answer)
	return b.String()
}

// own is a caller's prompt. What it has no placeholder for follows it.
func (o *wording) own(f *form, items []item) string {
	values := map[string]string{}
	for _, it := range at(inPrompt, items) {
		values[it.id] = it.text
	}
	section := outputs(items)
	for name, value := range workerValues(o.spec, o.subtask, section) {
		values[name] = value
	}
	parts := []string{f.fill(values)}
	if f.template.count("dependencies") == 0 {
		parts = append(parts, section)
	}
	parts = append(parts, inputs(items))
	if o.special != "" {
		var role strings.Builder
		o.writeRole(&role)
		parts = append(parts, role.String())
	}
	if o.tools {
		parts = append(parts, toolWords)
	}
	parts = append(parts, strings.TrimSpace(o.revision(items)))
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	return strings.Join(parts, "\n\n") + o.answer
}

// revision asks for an output that was refused to be revised.
func (o *wording) revision(items []item) string {
	refused := at(inRefused, items)
	if len(refused) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("<refused>\n" + refused[0].text + "\n</refused>\n\n")
	element(&b, "feedback", harmless(shortly(o.feedback, maxFeedback), reworkTags))
	b.WriteString(reworkWords + "\n\n")
	return b.String()
}

func hasStyle(kind string) bool { return kind != "" && kind != orchestration.DefaultType }

// writeRole says in which role or style the subtask is to be done, if in one.
func (o *wording) writeRole(b *strings.Builder) bool {
	kind := o.subtask.Type
	switch {
	case o.special != "" && hasStyle(kind):
		b.WriteString("Your role is “")
		b.WriteString(attribute(kind))
		b.WriteString("”:\n")
		b.WriteString(o.special)
	case o.special != "":
		b.WriteString("Your role:\n")
		b.WriteString(o.special)
	case hasStyle(kind):
		b.WriteString("Your role, or the style to work in, is “")
		b.WriteString(attribute(kind))
		b.WriteString("”.")
	default:
		return false
	}
	return true
}

// workerValues are the values of a worker's names.
func workerValues(spec *orchestration.Spec, s *orchestration.Subtask, dependencies string) map[string]string {
	return map[string]string{
		"original_task":    spec.Task,
		"task_type":        cmp.Or(s.Type, orchestration.DefaultType),
		"task_description": s.Description,
		"dependencies":     dependencies,
	}
}
