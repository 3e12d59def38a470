package agent

import (
	"context"
	"fmt"
	"strings"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// maxRevisedOutput is how much of an output the planner is shown, in tokens: it
// is to know what there is, not to read it.
const maxRevisedOutput = 300

// revise adds to the conversation with the planner the plan that it is to
// revise. The subtasks' outputs are cut short, and shorter still where the
// planner's window asks for it.
func (p *performance) revise(ctx context.Context, rev *orchestration.Revision, opened []llm.Message, budget int) ([]llm.Message, *orchestration.Failure) {
	outputs := make([]string, len(rev.Subtasks))
	for i, s := range rev.Subtasks {
		text, failure := p.text(ctx, s.Output)
		if failure != nil {
			return nil, failure
		}
		outputs[i] = text
	}
	for limit := maxRevisedOutput; limit >= minShare; limit /= 2 {
		asked := append([]llm.Message(nil), opened...)
		last := &asked[len(asked)-1]
		question, ours := strings.CutSuffix(last.Text, plannerForm)
		last.Text = strings.TrimSpace(question) + "\n\n" + planSoFar(rev, outputs, limit)
		if ours {
			last.Text += "\n\n" + plannerForm
		}
		if within(asked, budget) {
			return asked, nil
		}
	}
	return nil, tooLong("the plan that is to be revised does not fit the planner model's context window, or what the run may spend")
}

// planSoFar tells the planner why the plan is to be revised, and what has become
// of its subtasks, their outputs cut to so many tokens.
func planSoFar(rev *orchestration.Revision, outputs []string, limit int) string {
	var b strings.Builder
	b.WriteString(revisionOpening + "\n\n")
	element(&b, "reason", harmless(shortly(rev.Reason.Detail, maxProblemDetail), revisionTags))
	b.WriteString("<plan>\n")
	for i, s := range rev.Subtasks {
		fmt.Fprintf(&b, "<subtask id=%q type=%q status=%q depends_on=%q>\n<description>%s</description>\n",
			s.ID, attribute(s.Type), s.Status, strings.Join(s.DependsOn, ","), harmless(s.Description, revisionTags))
		switch {
		case s.Failure != "":
			b.WriteString("<error>" + harmless(shortly(s.Failure, maxProblemDetail), revisionTags) + "</error>\n")
		case outputs[i] != "":
			b.WriteString("<output>" + harmless(shorten(outputs[i], limit), revisionTags) + "</output>\n")
		}
		b.WriteString("</subtask>\n")
	}
	b.WriteString("</plan>")
	return b.String()
}

var revisionTags = []string{"</reason", "</plan", "</subtask", "<subtask id", "</description", "</error", "</output"}
