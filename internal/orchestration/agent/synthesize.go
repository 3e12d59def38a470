package agent

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// synthesized performs a Synthesize.
func (p *performance) synthesized(ctx context.Context, c orchestration.Synthesize) orchestration.Synthesized {
	said := orchestration.Synthesized{Attempt: c.Attempt}
	failure := p.once(ctx, c.CacheKey, func(output string) bool {
		said.Output, said.Cached = output, true
		p.showWhole("", output)
		return true
	}, func() (string, bool) {
		said.Failure = p.contain(func() *orchestration.Failure { return p.synthesize(ctx, c, &said) })
		return said.Output, said.Failure == nil && !said.Shortened && !isBlankText(said.Output)
	})
	said.Failure = cmp.Or(failure, said.Failure)
	said.Calls = p.calls
	return said
}

// synthesize makes the final output.
func (p *performance) synthesize(ctx context.Context, c orchestration.Synthesize, said *orchestration.Synthesized) *orchestration.Failure {
	role := p.Spec.Synthesizer.Role
	p.cast(llm.Synthesizer, "", cmp.Or(c.Model, role.Model))
	f, failure := p.newFinale(ctx, c)
	if failure != nil {
		return failure
	}
	messages, failure := f.gather(ctx)
	if failure != nil {
		return failure
	}
	said.Shortened = f.shortened
	f.brief.items = nil // they are in the messages; the call may wait for long
	d := p.dialog(role, messages)
	_, d.request.MaxTokens = p.room(0)
	if schema := p.Spec.Synthesizer.JSONSchema; len(schema) > 0 {
		said.Output, failure = p.structured(ctx, d, schema)
	} else {
		d.listen("")
		said.Output, failure = p.plain(ctx, d)
	}
	return f.judged(failure)
}

func isBlankText(text string) bool { return strings.TrimSpace(text) == "" }

func (p *performance) plain(ctx context.Context, d *dialog) (string, *orchestration.Failure) {
	text, failure := d.ask(ctx)
	if failure != nil {
		return "", failure
	}
	return readAnswer(text), nil
}

// A finale is a synthesis that is being put together.
type finale struct {
	p         *performance
	brief     *brief
	missing   string // which results there are not, in words
	shortened bool
}

// How much of a plan the synthesizer is told in our own prompt, in bytes, and
// how many missing results are named.
const (
	maxPlanLines   = 4 << 10
	maxDescription = 200
	maxMissing     = 40
)

func (p *performance) newFinale(ctx context.Context, c orchestration.Synthesize) (*finale, *orchestration.Failure) {
	f := &finale{p: p}
	f.brief = &brief{system: cmp.Or(p.Spec.Synthesizer.System, synthesizerSystem), times: 1}
	if failure := f.read(ctx, c.Results); failure != nil {
		return nil, failure
	}
	plan := planLines(c)
	f.brief.user = func(items []item) string { return f.ours(items, plan) }
	if p.Spec.Synthesizer.Prompt == "" {
		return f, nil
	}
	form, failure := readForm(p.Spec.Synthesizer.Prompt, synthesizerNames, p.Spec.Context)
	if failure != nil {
		return nil, failure
	}
	times := form.template.count("results")
	f.brief.times = max(1, times)
	f.brief.user = func(items []item) string {
		section := results(items)
		text := form.fill(map[string]string{"task": p.Spec.Task, "analysis": c.Analysis, "results": section})
		if times == 0 {
			text += "\n\n" + section
		}
		return text + schemaWords(p.Spec.Synthesizer.JSONSchema)
	}
	return f, nil
}

// read fetches the results, and says of missing ones what they should have been.
func (f *finale) read(ctx context.Context, all []orchestration.Result) *orchestration.Failure {
	var missing []string
	for _, r := range all {
		it := item{id: r.ID, kind: r.Type, status: r.Status}
		if r.Status == orchestration.StatusSucceeded {
			text, failure := f.p.text(ctx, r.Output)
			if failure != nil {
				return failure
			}
			it.text = harmless(text, resultTags)
		} else {
			missing = append(missing, fmt.Sprintf("%s (%s)", r.ID, r.Status))
			it.text = "There is no result. It was asked for: " + harmless(shortly(r.Description, maxDescription), resultTags)
		}
		if len(missing) <= maxMissing || r.Status == orchestration.StatusSucceeded {
			f.brief.items = append(f.brief.items, it)
		}
	}
	if more := len(missing) - maxMissing; more > 0 {
		missing = append(missing[:maxMissing], fmt.Sprintf("and %d more", more))
		f.brief.items = append(f.brief.items, item{text: fmt.Sprintf("%d more results are missing.", more)})
	}
	f.missing = strings.Join(missing, ", ")
	return nil
}

// planLines says what was planned: the analysis and each subtask in a line.
func planLines(c orchestration.Synthesize) string {
	var b strings.Builder
	b.WriteString(shortly(strings.TrimSpace(c.Analysis), maxPlanLines/2))
	b.WriteByte('\n')
	for i, r := range c.Results {
		line := fmt.Sprintf("\n- %s (%s): %s", r.ID, attribute(r.Type), shortly(strings.Join(strings.Fields(r.Description), " "), maxDescription))
		if b.Len()+len(line) > maxPlanLines {
			fmt.Fprintf(&b, "\n- and %d more", len(c.Results)-i)
			break
		}
		b.WriteString(line)
	}
	return harmless(strings.TrimSpace(b.String()), planTags)
}

// ours is our own synthesizer's prompt.
func (f *finale) ours(items []item, plan string) string {
	var b strings.Builder
	f.begin(&b, plan, items)
	if f.missing != "" {
		b.WriteString("These results are missing: " + f.missing + ". Say in the answer what it lacks because of that.\n\n")
	}
	b.WriteString("Write the answer to the task now")
	if words := schemaWords(f.p.Spec.Synthesizer.JSONSchema); words != "" {
		b.WriteString("." + words)
	} else {
		b.WriteString(", between <response> and </response>.")
	}
	return b.String()
}

// begin writes what all our prompts of a synthesis begin with.
func (f *finale) begin(b *strings.Builder, plan string, items []item) {
	spec, section := f.p.Spec, results(items)
	b.Grow(len(synthesizerOpening) + len(spec.Task) + len(spec.Context) + len(plan) + len(section) + 2048)
	premise(b, synthesizerOpening, spec)
	element(b, "plan", plan)
	b.WriteString(section + "\n\n")
}

// budget is what a prompt of the synthesis may take.
func (f *finale) budget() int {
	budget, _ := f.p.room(0)
	return budget
}

// spare is how many tokens are left for results and their tags, at least
// minShare when there is no bound.
func (f *finale) spare() int {
	budget := f.budget()
	if budget < 0 {
		return minShare
	}
	return f.brief.bare(budget)
}

// judged says of a call that was too long whether it can be made smaller.
func (f *finale) judged(failure *orchestration.Failure) *orchestration.Failure {
	if failure != nil && failure.Code == orchestration.CodeContextTooLong && failure.Retryable {
		failure.Retryable = f.spare() >= minShare
	}
	return failure
}
