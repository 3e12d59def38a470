package simulator

import "strings"

// This file finds in a prompt what an answer is about. It scans with
// strings.Index alone: prompts are long, and load tests send thousands a second.

// A reading is what the simulator understood of a request.
type reading struct {
	role     Role
	messages []Message
	task     string // the task, or for a worker what it is to do
	style    string // a worker's type
	wish     directive
}

func read(role Role, messages []Message) reading {
	r := reading{role: role, messages: messages, wish: directives(messages)}
	if role == Worker {
		order := r.order()
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

// order is what a worker is to do: the last <subtask> of a message of the
// user's, so that one in the task or in an output does not count; without any,
// all messages.
func (r *reading) order() []Message {
	const open = "<subtask>"
	for _, m := range r.messages {
		if i := strings.LastIndex(m.Text, open); i >= 0 && m.Author == "user" {
			return []Message{{Author: m.Author, Text: m.Text[i+len(open):]}}
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

// elementText returns the text of the first <name …>…</name> that has any. One
// that begins with a part of a subtask is a prompt's example of a plan, and
// does not count.
func elementText(text, name string) string {
	for {
		_, rest, found := strings.Cut(text, "<"+name)
		if !found {
			return ""
		}
		if rest == "" || rest[0] != '>' && rest[0] != ' ' {
			text = rest // another name that begins like this one
			continue
		}
		_, rest, _ = strings.Cut(rest, ">")
		inner, after, found := strings.Cut(rest, "</"+name+">")
		if !found {
			return ""
		}
		if inner = strings.TrimSpace(inner); inner != "" && !isExample(inner) {
			return inner
		}
		text = after
	}
}

func isExample(inner string) bool {
	for _, part := range []string{"<type>", "<description>", "<id>"} {
		if strings.HasPrefix(inner, part) {
			return true
		}
	}
	return false
}

// labeled returns what follows label at the start of a line, up to the next
// line that is blank or has a label of its own.
func labeled(text, label string) string {
	for at := 0; ; {
		i := strings.Index(text[at:], label)
		if i < 0 {
			return ""
		}
		at += i + len(label)
		if before := strings.TrimRight(text[:at-len(label)], " \t"); before != "" && before[len(before)-1] != '\n' {
			continue
		}
		var out []string
		for line := range strings.Lines(text[at:]) {
			line = strings.TrimSpace(line)
			word, _, found := strings.Cut(line, ":")
			if len(out) > 0 && (line == "" || found && word != "" && !strings.ContainsAny(word, " \t")) {
				break
			}
			if line != "" {
				out = append(out, line)
			}
		}
		return strings.Join(out, " ")
	}
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

func attribute(tag, name string) string {
	_, rest, found := strings.Cut(tag, " "+name+`="`)
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return clip(value, 64)
}

// clip makes one line of text, without markup, directives and the simulator's
// own mark, of at most n bytes; what is cut off ends in an ellipsis.
func clip(text string, n int) string {
	text = text[:min(len(text), 4*n+400)] // enough to have n bytes left
	text = strings.ReplaceAll(text, simulated, "")
	for {
		before, rest, found := strings.Cut(text, directiveOpen)
		if !found {
			break
		}
		_, after, _ := strings.Cut(rest, directiveClose)
		text = before + after
	}
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune("<>{}\"`\uFFFD", r) || r < ' ' {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= n {
		return strings.TrimRight(text, ". ")
	}
	cut := runeStart(text, n)
	if i := strings.LastIndexByte(text[:cut], ' '); i > n/2 {
		cut = i
	}
	return strings.TrimRight(text[:cut], ",;:. ") + "…"
}
