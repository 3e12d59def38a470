package agent

import (
	"fmt"
	"strings"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// maxAnswer bounds, in bytes, what is kept of a planner's answer for its repair.
const maxAnswer = 32 << 10

// answerKept is what is kept of a planner's answer for its repair.
func answerKept(answer string) string { return answer[:runeStart(answer, min(len(answer), maxAnswer))] }

// repair adds to the conversation with the planner its answer, and what is wrong
// with that.
func (p *performance) repair(messages []llm.Message, answer, faults string, given bool, budget int) ([]llm.Message, *orchestration.Failure) {
	answer = answerKept(answer)
	repair := replied(messages, answer, repairWords(faults, p.Spec.Planner.Prompt != "", given))
	if within(repair, budget) {
		return repair, nil
	}
	room := budget - spent(repair) + tokens(answer)
	if room < minShare {
		return nil, tooLong("the planner's conversation does not fit its model's context window")
	}
	return replied(messages, shorten(answer, room), repair[len(repair)-1].Text), nil
}

// How many problems a planner is told of, and how much of each.
const (
	maxProblems      = 20
	maxProblemDetail = 500
)

// problemLines lists problems, as far as a planner is told of them.
func problemLines(problems []orchestration.Problem) string {
	var b strings.Builder
	for i, problem := range problems {
		if i == maxProblems {
			fmt.Fprintf(&b, "- and %d more\n", len(problems)-maxProblems)
			break
		}
		b.WriteString("- ")
		if problem.Pointer != "" {
			b.WriteString(shortly(problem.Pointer, maxProblemDetail) + ": ")
		}
		b.WriteString(shortly(problem.Detail, maxProblemDetail) + "\n")
	}
	return b.String()
}

// repairWords tells the planner what is wrong with its plan, or with what it planned
// besides what is given.
func repairWords(faults string, ownPrompt, given bool) string {
	var b strings.Builder
	b.WriteString("Your plan cannot be used:\n" + faults)
	b.WriteString("\nAnswer again with the whole plan, mended: all subtasks, also those that were right")
	if given {
		b.WriteString(", but not those that were there already")
	}
	b.WriteString(". ")
	if ownPrompt {
		b.WriteString("Keep to the form that you were asked for first. If none was, use this one:\n")
	}
	b.WriteString(plannerForm)
	return b.String()
}
