package expr

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A path gives what the program gives, says the same where there is nothing, and
// costs as much.
func TestPaths(t *testing.T) {
	v := &orchestration.Variables{
		Task: "T", Run: "r", Context: json.RawMessage(`{"a": {"b": [1, 2.0]}, "nil": null}`),
		Subtasks: []orchestration.Variable{
			{ID: "T1", Status: "succeeded", Output: text(`{"rows": [1], "rows": {"x": "y"}, "n": 1.0}`)},
			{ID: "step-1", Status: "failed"},
			{ID: "T2", Status: "succeeded", Output: text("prose")},
			{ID: "list"},
		},
		Locals: []orchestration.Variable{{ID: "item", Output: text(`{"name": "m"}`)}, {ID: "index", Output: text("3")}, {ID: "previous"}},
	}
	for expression, found := range map[string]bool{
		`item`: true, `item.name`: true, `index`: true, `previous`: true, `task`: true, `run.id`: true, `context`: true, `context.a.b`: true,
		`context.nil`: true, `T1`: true, `T1.status`: true, `T1.output.rows.x`: true, `T1.output.n`: true, `T2.output`: true,
		`subtasks.list.status`: true, `subtasks.T1`: true,
		`item.nothing`: false, `index.x`: false, `previous.x`: false, `context.a.b.c`: false, `context.nil.x`: false, `T2.output.x`: false,
		`has(item.name)`: false, `item.?name`: false, `subtasks["step-1"].output`: false, `context["a"]`: false, `index + 1`: false,
		`[1].map(item, item)`: false, `int`: false,
	} {
		e := New()
		spent := 0
		v.Spent, v.Read = &spent, nil
		value, err := e.Eval(expression, v)
		p, meant := e.compile(expression, namesOf(v))
		if meant != nil {
			t.Fatal(expression, meant)
		}
		bound, _ := p.bind(v, e.lately)
		cost := 0
		want, wantErr := p.run(p.program, bound, &cost)
		if value != want || fmt.Sprint(err) != fmt.Sprint(wantErr) || spent != cost {
			t.Errorf("%s: %s %v for %d; the program gives %s %v for %d", expression, value, err, spent, want, wantErr, cost)
		}
		if _, is := p.path.follow(bound, nil); is != found {
			t.Errorf("%s: a path with something at it: %v", expression, is)
		}
	}
}
