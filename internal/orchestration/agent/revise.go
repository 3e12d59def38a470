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
		if asked := beforeForm(opened, planSoFar(rev, outputs, limit)); within(asked, budget) {
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
		element := orchestration.Subtask{ID: s.ID, Type: s.Type, Description: s.Description, DependsOn: s.DependsOn}
		beginPlanned(&b, &element, s.Status)
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

// beginPlanned begins the element of a subtask of a plan, with its status, if it has one.
func beginPlanned(b *strings.Builder, s *orchestration.Subtask, status orchestration.Status) {
	fmt.Fprintf(b, "<subtask id=%q type=%q", s.ID, attribute(s.Type))
	if status != "" {
		fmt.Fprintf(b, " status=%q", status)
	}
	fmt.Fprintf(b, " depends_on=%q>\n<description>%s</description>\n", strings.Join(s.DependsOn, ","), harmless(s.Description, revisionTags))
}

var revisionTags = []string{"</reason", "</plan", "</subtask", "<subtask id", "</description", "</error", "</output"}
