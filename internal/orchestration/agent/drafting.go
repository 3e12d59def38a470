package agent

import (
	"strings"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// A drafting tells the subtasks of a plan while it is being written.
type drafting struct {
	p       *performance
	reader  *planReader
	certain []orchestration.Subtask // so far
	broken  bool
}

func newDrafting(p *performance, given []orchestration.Subtask) *drafting {
	return &drafting{p: p, reader: newPlanReader(p.Spec.Limits.MaxSubtasks, given...)}
}

// write takes the next piece of the planner's text. It is called by the client, maybe
// on a goroutine of its own, so a panic must not leave it: the answer is read again as
// a whole.
func (d *drafting) write(piece string) {
	if d.broken {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			d.broken = true
			d.p.panicked(v)
		}
	}()
	if more := d.reader.Write(piece); len(more) > 0 {
		d.certain = append(d.certain, more...)
		d.p.Drafted(d.certain)
	}
}

// maxGiven is how much of a subtask's description the planner is shown, in tokens.
const maxGiven = 2000

// goOn adds to the conversation with the planner what there is of its plan already, for
// it to plan the rest. The descriptions are cut shorter where the planner's window asks
// for it.
func (p *performance) goOn(given []orchestration.Subtask, opened []llm.Message, budget int) ([]llm.Message, *orchestration.Failure) {
	for limit := maxGiven; limit >= minShare; limit /= 2 {
		if asked := beforeForm(opened, planGiven(given, limit)); within(asked, budget) {
			return asked, nil
		}
	}
	return nil, tooLong("what there is of the plan already does not fit the planner model's context window, or what the run may spend")
}

// planGiven shows the planner what there is of its plan.
func planGiven(given []orchestration.Subtask, limit int) string {
	var b strings.Builder
	b.WriteString(givenOpening + "\n\n<plan>\n")
	for _, s := range given {
		s.Description = shorten(s.Description, limit)
		beginPlanned(&b, &s, "")
		b.WriteString("</subtask>\n")
	}
	b.WriteString("</plan>")
	return b.String()
}

// beforeForm adds words to the end of a conversation with the planner, but before the
// form of its answer where that is our own.
func beforeForm(opened []llm.Message, words string) []llm.Message {
	asked := append([]llm.Message(nil), opened...)
	last := &asked[len(asked)-1]
	question, ours := strings.CutSuffix(last.Text, plannerForm)
	last.Text = strings.TrimSpace(question) + "\n\n" + words
	if ours {
		last.Text += "\n\n" + plannerForm
	}
	return asked
}
