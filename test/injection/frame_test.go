package injection

import (
	"fmt"
	"regexp"
	"strings"
)

// Prompts are read here as a willing model would read them, by tags alone: in
// capitals or not, with blanks where none should be, with any attributes. That
// is more lenient than what writes them, so what it lets pass is harmless.
var (
	opening = regexp.MustCompile(`(?i)<\s*(task|context|plan|dependencies|inputs|results|subtask|refused|feedback|rubric|question|options|output)(\s[^<>]*)?>`)
	role    = regexp.MustCompile(`“[^“”\n]*”`)
)

// end finds the end of the element of that name.
func end(name, text string) []int {
	return regexp.MustCompile(`(?i)<\s*/\s*` + name + `\b(?:[\s/][^<>]*)?>?`).FindStringIndex(text)
}

// A frame is what a prompt's author wrote round the material: the prompt with
// the content of its sections left out, but for the elements of a section.
func frame(prompt string) string {
	var b strings.Builder
	for {
		at := opening.FindStringSubmatchIndex(prompt)
		if at == nil {
			b.WriteString(prompt)
			return role.ReplaceAllString(b.String(), "“…”")
		}
		name := strings.ToLower(prompt[at[2]:at[3]])
		b.WriteString(prompt[:at[0]] + "<" + name + ">")
		prompt = prompt[at[1]:]
		content := prompt
		if over := end(name, prompt); over != nil {
			content, prompt = prompt[:over[0]], "</"+name+">"+prompt[over[1]:]
		} else {
			prompt = ""
		}
		switch name {
		case "results":
			b.WriteString(elements("result", "id", content))
		case "dependencies":
			b.WriteString(elements("output", "id", content))
		case "inputs":
			b.WriteString(elements("input", "name", content))
		case "subtask":
			b.WriteString(fields(content))
		}
		prompt = strings.Replace(prompt, "</"+name+">", "(end)", 1)
	}
}

// elements lists the elements of a section by an attribute, and whatever stands
// between them.
func elements(name, attribute, content string) string {
	element := regexp.MustCompile(`(?i)<\s*` + name + `[\s/][^<]*?\b` + attribute + `\s*=\s*["']?([^"'>\s]*)[^<]*?>`)
	var b strings.Builder
	for {
		at := element.FindStringSubmatchIndex(content)
		if at == nil {
			return b.String() + strings.TrimSpace(content)
		}
		fmt.Fprintf(&b, "%s[%s]", strings.TrimSpace(content[:at[0]]), content[at[2]:at[3]])
		content = content[at[1]:]
		over := end(name, content)
		if over == nil {
			return b.String() + "(without end)"
		}
		if forged := element.FindString(content[:over[0]]); forged != "" {
			b.WriteString("(forged: " + forged + ")")
		}
		content = content[over[1]:]
	}
}

// fields lists the fields of <subtask>, and whatever stands between them.
func fields(content string) string {
	for _, name := range []string{"type", "description"} {
		from := regexp.MustCompile(`<` + name + `>`).FindStringIndex(content)
		if from == nil {
			continue
		}
		if over := end(name, content[from[1]:]); over != nil {
			content = content[:from[0]] + "[" + name + "]" + content[from[1]+over[1]:]
		}
	}
	return strings.Join(strings.Fields(content), "")
}
