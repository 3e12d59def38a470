package expr

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A path leads to what CEL finds there, or nowhere where CEL finds nothing.
func TestPathsAreCELs(t *testing.T) {
	e := New()
	followed := 0
	rapid.Check(t, func(t *rapid.T) {
		v := &orchestration.Variables{
			Task: "Sell it", Run: "run_1",
			Context:  []byte(`{"a":{"b":[1,{"a":"x"},null]},"b":[[true],{"b":2.5}],"1":"one","k k":{"":0}}`),
			Subtasks: []orchestration.Variable{{ID: "a", Output: text(`{"a":[{"b":1}],"status":"mine"}`), Status: "succeeded"}, {ID: "b", Status: "failed"}},
			Locals:   []orchestration.Variable{{ID: "item", Output: text(`[[0,1],{"a":{"b":"c"}}]`)}, {ID: "output", Output: text("plain")}},
		}
		root := rapid.SampledFrom([]string{"context", "a", "b", `subtasks["a"]`, "subtasks.b", "item", "output", "task", "run", "(item)"}).Draw(t, "root")
		key := rapid.SampledFrom([]string{".a", ".b", ".output", ".status", ".id", `["a"]`, `["k k"]`, `["1"]`, `[""]`, "[0]", "[1]", "[2]", "[-1]", "[1u]", "[1.0]", "[true]", ".?a"})
		expression := root + strings.Join(rapid.SliceOfN(key, 0, 4).Draw(t, "keys"), "")
		p, err := e.compile(expression, namesOf(v))
		if err != nil || p.path == nil {
			return
		}
		bound, err := p.bind(v, e.lately)
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := p.run(p.program, bound, nil)
		if value := p.path.follow(bound); value != nil {
			followed++
			if got, err := written(value); got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("%s leads to %s %v, and is %s %v", expression, got, err, want, wantErr)
			}
		}
	})
	if followed == 0 {
		t.Error("no path led anywhere")
	}
}
