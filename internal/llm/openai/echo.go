package openai

import (
	"encoding/json"
	"fmt"
	"strings"
)

// faultsFound returns the faults that FastAPI has found in a request, without what was
// sent, which it repeats for each: a stranger's text may read like any of them.
func faultsFound(raw json.RawMessage) string {
	var list []struct {
		Loc []any  `json:"loc"`
		Msg string `json:"msg"`
	}
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 || list[0].Msg == "" {
		return text(raw)
	}
	lines := make([]string, len(list))
	for i, found := range list {
		for _, name := range found.Loc {
			lines[i] += fmt.Sprint(name, " ")
		}
		lines[i] = strings.TrimSpace(lines[i]) + ": " + found.Msg
	}
	return strings.Join(lines, "; ")
}

// withoutEcho returns a message without what was sent to the endpoint, which pydantic
// puts at the end of each fault: it names all features, and has texts of strangers.
func withoutEcho(message string) string {
	said, rest := "", strings.ReplaceAll(message, `"`, "'")
	for {
		before, echo, _ := strings.Cut(rest, "'input':")
		said += before
		next := strings.Index(echo, "'loc':")
		if next < 0 {
			return said
		}
		rest = echo[next:]
	}
}
