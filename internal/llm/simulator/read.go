package simulator

import (
	"slices"
	"strings"
)

// This file finds in a prompt what an answer is about. It scans with
// strings.Index alone: prompts are long, and load tests send thousands a second.

// A reading is what the simulator understood of a request.
type reading struct {
	role     Role
	messages []Message
	task     string // the task, or for a worker what it is to do
	style    string // a worker's type
	wish     directive
	there    map[string]bool // ids of subtasks of a plan that is there in part
}

func read(role Role, messages []Message) reading {
	r := reading{role: role, messages: messages}
	if role == Planner {
		r.messages, r.there = planned(messages)
		messages = r.messages
	}
	order := r.order()
	r.wish.take(order, true)
	r.wish.take(messages, false)
	if role == Worker {
		r.task = first(order, "description", "Guidelines:", "Description:", "Subtask:", "Instructions:")
		r.style = clip(first(order, "type", "Style:", "Type:"), 60)
	}
	if r.task == "" {
		r.task = first(messages, "task", "Task:")
	}
	if r.task == "" {
		r.task = lastParagraph(messages)
	}
	return r
}

// planned takes what there is of a plan already, which a planner is shown in <plan>
// without what has become of it, out of the prompt, and returns its subtasks' ids.
func planned(messages []Message) ([]Message, map[string]bool) {
	for i, m := range messages {
		before, rest, begun := strings.Cut(m.Text, "<plan>\n")
		part, after, ended := strings.Cut(rest, "</plan>")
		if !begun || !ended || m.Author != "user" {
			continue
		}
		ids := map[string]bool{}
		for _, s := range (&reading{messages: []Message{{Text: part}}}).sources("subtask") {
			ids[s.id] = true
		}
		first, _, _ := strings.Cut(part, ">")
		if attribute(first, "status") != "" || len(ids) == 0 {
			continue // it is to be revised
		}
		messages = slices.Clone(messages)
		messages[i].Text = before + after
		return messages, ids
	}
	return messages, nil
}

// orders are the elements that say what is to be done.
var orders = map[Role][]string{
	Worker:    {"<subtask>"},
	Evaluator: {"<rubric>", "<question>"},
}

// order is what a worker or an evaluator is to do: the last element of its
// orders in a message of the user's, so that one in the task or in an output
// does not count; without any, all messages.
func (r *reading) order() []Message {
	for _, open := range orders[r.role] {
		for _, m := range r.messages {
			if i := strings.LastIndex(m.Text, open); i >= 0 && m.Author == "user" {
				text, _, _ := strings.Cut(m.Text[i+len(open):], "</"+open[1:])
				return []Message{{Author: m.Author, Text: text}}
			}
		}
	}
	return r.messages
}

// first returns the text of the first element with the given name in a message
// of the user's, else what follows the first of the labels at a line's start.
func first(messages []Message, element string, labels ...string) string {
	for _, m := range messages {
		if m.Author != "user" {
			continue
		}
		if text := elementText(m.Text, element); text != "" {
			return text
		}
		for _, label := range labels {
			if text := labeled(m.Text, label); text != "" {
				return text
			}
		}
	}
	return ""
}

// lastParagraph returns the last paragraph of the user's first message, where
// a conversation's matter is; what follows it may be about mending an answer.
func lastParagraph(messages []Message) string {
	for _, m := range messages {
		if text := strings.TrimSpace(m.Text); m.Author == "user" && text != "" {
			if i := strings.LastIndex(text, "\n\n"); i >= 0 {
				text = text[i+2:]
			}
			return text
		}
	}
	return ""
}

// shows says whether the prompt has s in it, the task left out.
func (r *reading) shows(s string) bool {
	for _, m := range r.messages {
		before, after := r.besides(m.Text)
		if strings.Contains(before, s) || strings.Contains(after, s) {
			return true
		}
	}
	return false
}

// besides returns what comes before and after the task in text.
func (r *reading) besides(text string) (before, after string) {
	if r.task == "" {
		return text, ""
	}
	before, after, _ = strings.Cut(text, r.task)
	return before, after
}

// maxAround bounds the text in which the number of subtasks is looked for, in bytes.
const maxAround = 16 << 10

// around returns the start of the messages' text, the task left out.
func (r *reading) around() string {
	var b strings.Builder
	for _, m := range r.messages {
		before, after := r.besides(m.Text)
		for _, s := range []string{before, after} {
			b.WriteString(s[:max(0, min(len(s), maxAround-b.Len()))])
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// last returns the user's text from the last start of an element on, as what is
// to be judged stands at the end.
func (r *reading) last(open string) string {
	for i := len(r.messages) - 1; i >= 0; i-- {
		text := r.messages[i].Text
		if at := strings.LastIndex(text, open); at >= 0 && r.messages[i].Author == "user" {
			return text[at:]
		}
	}
	return ""
}

// A source is another subtask's output, as a prompt shows it.
type source struct {
	id, kind, words string
}

// maxSources bounds how many of them an answer mentions.
const maxSources = 100

// sources returns the elements <name id="…" …>…</name>, in the order of the prompt.
func (r *reading) sources(name string) []source {
	open, end := "<"+name+` id="`, "</"+name+">"
	var out []source
	for _, m := range r.messages {
		for text := m.Text; len(out) < maxSources; {
			i := strings.Index(text, open)
			if i < 0 {
				break
			}
			tag, rest, _ := strings.Cut(text[i+len("<"+name):], ">")
			words, after, found := strings.Cut(rest, end)
			if !found {
				break
			}
			out = append(out, source{attribute(tag, "id"), attribute(tag, "type"), words})
			text = after
		}
	}
	return out
}
