package simulator

import "strings"

// This file reads elements and labels out of texts.

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

// elements returns the texts of all <name>…</name>.
func elements(text, name string) []string {
	var out []string
	for len(out) < maxSources {
		_, rest, found := strings.Cut(text, "<"+name+">")
		inner, after, ended := strings.Cut(rest, "</"+name+">")
		if !found || !ended {
			break
		}
		out = append(out, strings.TrimSpace(inner))
		text = after
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
		before, _, after, found := cutDirective(text)
		if !found {
			break
		}
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
