package simulator

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A Role is what a call asks the simulator to be. It is told, in this order, by
//   - the name of the JSON Schema asked for: "plan" is a planner, "verdict" and
//     "decision" are an evaluator;
//   - the first of the marks "You are the planner", "You are the synthesizer",
//     "You are the evaluator", "You are a worker" in the messages;
//   - the JSON Schema's properties: "satisfied" and "feedback", or "option", are
//     an evaluator's;
//   - what a prompt without marks asks for or holds: "<rubric>", or "<question>"
//     with "<option", is an evaluator's, "<tasks>", "subtasks" in quotes, or a
//     "<task>" with a "<description>" a planner's, "<results>" a synthesizer's,
//     and anything else a worker's.
type Role string

// The roles.
const (
	Planner     Role = "planner"
	Worker      Role = "worker"
	Evaluator   Role = "evaluator"
	Synthesizer Role = "synthesizer"
)

var marks = []struct {
	text string
	role Role
}{
	{"the planner", Planner},
	{"the synthesizer", Synthesizer},
	{"the evaluator", Evaluator},
	{"a worker", Worker},
}

func roleOf(name string, schema jsontext.Value, messages []Message) Role {
	switch name {
	case "plan":
		return Planner
	case "verdict", "decision":
		return Evaluator
	}
	for _, m := range messages {
		if role := marked(m.Text); role != "" {
			return role
		}
	}
	if v := judgment(schema); v.verdict || len(v.options) > 0 {
		return Evaluator
	}
	return hinted(messages)
}

// marked returns the role whose mark comes first in text, "" where none does.
func marked(text string) Role {
	const lead = "You are "
	for {
		_, rest, found := strings.Cut(text, lead)
		if !found {
			return ""
		}
		for _, m := range marks {
			if strings.HasPrefix(rest, m.text) {
				return m.role
			}
		}
		text = rest
	}
}

// hinted guesses the role from a caller's own prompt. "<results>" outweighs a
// lone "<task>", because a synthesizer's prompt may well hold the task in tags.
func hinted(messages []Message) Role {
	has := func(s string) bool {
		for _, m := range messages {
			if strings.Contains(m.Text, s) {
				return true
			}
		}
		return false
	}
	switch {
	case has("<rubric>"), has("<question>") && has("<option"):
		return Evaluator
	case has("<tasks>"), has(`"subtasks"`):
		return Planner
	case has("<results>"):
		return Synthesizer
	case has("<task>") && has("<description>"):
		return Planner
	}
	return Worker
}
