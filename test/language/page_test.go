// Package language holds docs/workflows.md to its word: every sample of it is
// carried out by a real server, and must come to what the page says.
//
//	go test ./test/language -rewrite
//
// writes down what they come to now. The blocks of the page:
//
//   - yaml that begins with "subtasks:" or "order:" is a plan. The text block
//     after it says what came of it.
//   - yaml that begins with "name:" is a template, and lies in the server's folder.
//   - yaml that begins with "tools:" is the server's configuration.
//   - console is typed into a shell that knows the last plan's run as $run.
package language

import (
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var rewrite = flag.Bool("rewrite", false, "write what the samples come to anew")

const file = "../../docs/workflows.md"

// A block is a fenced part of the page.
type block struct {
	language   string
	text       string
	start, end int // of the text, in the page
}

var fences = regexp.MustCompile("(?s)```(\\w+)\n(.*?)```\n")

// page reads the page and its blocks.
func page(t *testing.T) (string, []block) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for _, at := range fences.FindAllSubmatchIndex(text, -1) {
		blocks = append(blocks, block{string(text[at[2]:at[3]]), string(text[at[4]:at[5]]), at[4], at[5]})
	}
	if len(blocks) < 10 {
		t.Fatalf("the page has %d blocks", len(blocks))
	}
	return string(text), blocks
}

func (b block) begins(keys ...string) bool {
	for _, key := range keys {
		if strings.HasPrefix(b.text, key+":") {
			return b.language == "yaml"
		}
	}
	return false
}

func (b block) isPlan() bool { return b.begins("subtasks", "order") }

// asJSON returns a block of YAML as JSON.
func (b block) asJSON(t *testing.T) json.RawMessage {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(b.text), &value); err != nil {
		t.Fatalf("%v in:\n%s", err, b.text)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestNoBlockIsLeftOut has every block be one that is tried.
func TestNoBlockIsLeftOut(t *testing.T) {
	_, blocks := page(t)
	for i, b := range blocks {
		switch {
		case b.language == "console", b.begins("name", "tools"):
		case b.isPlan():
			if i+1 == len(blocks) || blocks[i+1].language != "text" {
				t.Errorf("nothing says what comes of the plan:\n%s", b.text)
			}
		case b.language == "text" && i > 0 && blocks[i-1].isPlan():
		default:
			t.Errorf("nothing tries this %s:\n%s", b.language, b.text)
		}
	}
}
