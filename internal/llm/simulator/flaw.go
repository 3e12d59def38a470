package simulator

import "strings"

// A Flaw is how a planner's answer may fall short of what was asked for.
type Flaw int

// The flaws. A reader of plans should mend all of them without another call
// but the last three.
const (
	NoFlaw        Flaw = iota
	Fenced             // in a Markdown code block
	Prose              // with talk before and after
	TrailingComma      // JSON with a comma after each last value; JSON, whatever was asked for
	SingleQuotes       // JSON as Python prints it; JSON, whatever was asked for
	Thinking           // after a <think> block that holds another plan
	OwnLines           // XML with each tag and text on lines of their own; XML, whatever was asked for
	EmptyPlan          // no subtasks
	CyclicPlan         // the first subtask depends on the last, and it on the first
	Garbage            // no plan at all
	numFlaws
)

// spoil gives a rendered plan those flaws that are a matter of text.
func (f Flaw) spoil(text string) string {
	switch f {
	case Fenced:
		lang := "json"
		if strings.HasPrefix(text, "<") {
			lang = "xml"
		}
		return "```" + lang + "\n" + text + "\n```"
	case Prose:
		return "Certainly! Here is a plan for that:\n\n" + text + "\n\nLet me know if you'd like {more} or [fewer] subtasks."
	case TrailingComma:
		text = strings.ReplaceAll(text, "}]", "},]")
		return strings.ReplaceAll(text, `"]`, `",]`)
	case SingleQuotes:
		text = strings.ReplaceAll(text, "'", `\'`)
		return strings.ReplaceAll(text, `"`, "'") // clip leaves no quotes inside of strings
	case Thinking:
		return "<think>\nPerhaps {\"subtasks\": []} would do? No: the task needs more than that.\n</think>\n\n" + text
	}
	return text
}

// makeCyclic ties the first and the last subtask to each other.
func (p *plan) makeCyclic() {
	last := len(p.Subtasks) - 1
	if last < 0 {
		return
	}
	p.Subtasks[0].DependsOn = []string{p.Subtasks[last].ID}
	p.Subtasks[last].DependsOn = []string{p.Subtasks[0].ID} // of a single one: itself
}
