package language

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// understood are keys of subtasks that nobody writes.
var understood = []string{"implied", "uses", "passes", "kept", "parent", "round"}

// keys returns the keys of a type's JSON, without those.
func keys(of any, without ...string) []string {
	var list []string
	for field := range reflect.TypeOf(of).Fields() {
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if key != "" && !slices.Contains(without, key) {
			list = append(list, key)
		}
	}
	return list
}

// TestEveryKeyIsThere has the page's reference list every key of the language,
// and no others.
func TestEveryKeyIsThere(t *testing.T) {
	text, _ := page(t)
	_, reference, found := strings.Cut(text, "\n## Every key\n")
	if !found {
		t.Fatal("the page has no reference")
	}
	known := map[string][]string{
		"":         keys(orchestration.Subtask{}, append([]string{"tool", "decide", "for_each", "loop", "plan", "approval", "workflow", "merge"}, understood...)...),
		"a plan":   keys(orchestration.Plan{}, "version"),
		"tool":     keys(orchestration.ToolCall{}),
		"decide":   keys(orchestration.Decide{}),
		"merge":    {},
		"approval": keys(orchestration.Approval{}),
		"for_each": keys(orchestration.ForEach{}),
		"loop":     keys(orchestration.Loop{}),
		"plan":     keys(orchestration.Nested{}),
		"workflow": keys(orchestration.Inlined{}, "defaults", "body"),
		"check":    keys(orchestration.Check{}),
		"retry":    keys(orchestration.Retry{}),
		"fallback": keys(orchestration.Fallback{}),
	}
	word, value := regexp.MustCompile("`(\\w+)`"), regexp.MustCompile("`[^`]+`")
	listed := map[string][]string{}
	for line := range strings.Lines(reference) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) < 2 {
			continue
		}
		of := strings.Trim(cells[0], " `")
		if len(cells) == 2 { // what a key holds: what stands after a colon is a value
			if _, is := known[of]; is {
				for part := range strings.SplitSeq(cells[1], ";") {
					names, _, _ := strings.Cut(part, ":")
					for _, found := range word.FindAllStringSubmatch(names, -1) {
						listed[of] = append(listed[of], found[1])
					}
				}
			} else if value.MatchString(cells[0]) {
				t.Errorf("nothing is called %s", of)
			}
			continue
		}
		for _, found := range word.FindAllStringSubmatch(cells[0], -1) {
			listed[""] = append(listed[""], found[1])
		}
	}
	for of, want := range known {
		slices.Sort(want)
		got := slices.Compact(slices.Sorted(slices.Values(listed[of])))
		if of == "merge" {
			got = slices.DeleteFunc(got, func(string) bool { return true }) // its ways, not keys
		}
		if !slices.Equal(want, got) {
			t.Errorf("%q: the language has %v, the page %v", of, want, got)
		}
	}
}
