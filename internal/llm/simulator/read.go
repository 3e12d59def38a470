package simulator

import "strings"

// This file finds in a prompt what an answer is about. It scans with
// strings.Index alone: prompts are long, and load tests send thousands a second.

// A reading is what the simulator understood of a request.
type reading struct {
	messages []Message
	task     string // the task, or for a worker what it is to do
	style    string // a worker's type
	wish     directive
}

func read(role Role, messages []Message) reading {
	r := reading{messages: messages, wish: directives(messages)}
	if role == Worker {
		r.task = r.first("description", "Guidelines:", "Description:", "Subtask:", "Instructions:")
		r.style = clip(r.first("type", "Style:", "Type:"), 60)
	}
	if r.task == "" {
		r.task = r.first("task", "Task:")
	}
	if r.task == "" {
		r.task = lastParagraph(messages)
	}
	return r
}

// first returns the text of the first element with the given name in a message
// of the user's, else what follows the first of the labels at a line's start.
func (r *reading) first(element string, labels ...string) string {
	for _, m := range r.messages {
		if m.Author == "system" {
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

// elementText returns the text of the first <name …>…</name> that has any. A
// <task> with a subtask inside is a prompt's example of a plan and does not
// count, unless the text begins with it.
func elementText(text, name string) string {
	for start := true; ; start = false {
		before, rest, found := strings.Cut(text, "<"+name)
		if !found {
			return ""
		}
		start = start && strings.TrimSpace(before) == ""
		if rest == "" || rest[0] != '>' && rest[0] != ' ' {
			text = rest // another name that begins like this one
			continue
		}
		_, rest, _ = strings.Cut(rest, ">")
		inner, after, found := strings.Cut(rest, "</"+name+">")
		if !found {
			return ""
		}
		text = after
		if example := name == "task" && (strings.Contains(inner, "<description>") || strings.Contains(inner, "<type>")); example && !start {
			continue
		}
		if inner = strings.TrimSpace(inner); inner != "" {
			return inner
		}
	}
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

// lastParagraph returns the last of the user's paragraphs.
func lastParagraph(messages []Message) string {
	text := ""
	for _, m := range messages {
		if m.Author == "user" {
			text = m.Text
		}
	}
	text = strings.TrimSpace(text)
	if i := strings.LastIndex(text, "\n\n"); i >= 0 {
		text = text[i+2:]
	}
	return text
}

// shows says whether the prompt has s in it.
func (r *reading) shows(s string) bool {
	for _, m := range r.messages {
		if strings.Contains(m.Text, s) {
			return true
		}
	}
	return false
}

// maxAround bounds the text in which the number of subtasks is looked for, in bytes.
const maxAround = 16 << 10

// around returns the start of the messages' text, with the task left out.
func (r *reading) around() string {
	var b strings.Builder
	for _, m := range r.messages {
		before, after := m.Text, ""
		if r.task != "" {
			before, after, _ = strings.Cut(m.Text, r.task)
		}
		for _, s := range []string{before, after} {
			b.WriteString(s[:max(0, min(len(s), maxAround-b.Len()))])
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// A source is an element with an id that a prompt holds: the output of another subtask.
type source struct {
	id, kind, words string
}

// How many sources an answer mentions, and how many elements without an end
// are passed over in search of them.
const (
	maxSources  = 100
	maxOpenTags = 20
)

// sources returns the elements that bear an id, in the order of the prompt.
// What stands inside one of them is its text.
func (r *reading) sources() []source {
	var out []source
	open := 0
	for _, m := range r.messages {
		for text := m.Text; len(out) < maxSources && open < maxOpenTags; {
			i := strings.Index(text, ` id="`)
			if i < 0 {
				break
			}
			s, after, ok := sourceAt(text, i)
			if !ok {
				open++
				text = text[i+1:]
				continue
			}
			out, text = append(out, s), after
		}
	}
	return out
}

// sourceAt reads the element whose id attribute is at text[i], and returns what follows it.
func sourceAt(text string, i int) (s source, after string, ok bool) {
	const maxTag = 1000
	from := max(0, i-maxTag)
	start := strings.LastIndexByte(text[from:i], '<')
	if start < 0 {
		return s, "", false
	}
	start += from + 1
	size := strings.IndexByte(text[start:min(len(text), start+maxTag)], '>')
	if size < i-start {
		return s, "", false
	}
	tag, rest := text[start:start+size], text[start+size+1:]
	name, _, _ := strings.Cut(tag, " ")
	inner, after, ok := strings.Cut(rest, "</"+name+">")
	s = source{id: attribute(tag, "id"), kind: attribute(tag, "type"), words: inner}
	return s, after, ok && s.id != ""
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
