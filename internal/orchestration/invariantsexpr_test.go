package orchestration

import (
	"encoding/json"
	"fmt"

	"pgregory.net/rapid"
)

func drawCheck(t *rapid.T, output string) Check {
	var c Check
	switch rapid.IntRange(0, 3).Draw(t, "check") {
	case 0:
		c.Expr = output + ` != "done"`
	case 1:
		c.Regex = "o"
	case 2:
		c.Rubric = "Is it good?"
	case 3:
		c.JSONSchema, c.Expr = json.RawMessage(`{"type":"object"}`), `has(output.n)`
	}
	if rapid.Bool().Draw(t, "bounded") {
		n := rapid.IntRange(0, 3).Draw(t, "max_revisions")
		c.MaxRevisions = &n
	}
	return c
}

// values draws expressions by name.
func (d *drawing) values() map[string]string {
	of := map[string]string{}
	for _, name := range []string{"a", "b"} {
		if rapid.Bool().Draw(d.t, "name") {
			of[name] = d.value()
		}
	}
	return of
}

// value draws an expression that may give anything, or fail.
func (d *drawing) value() string {
	from := []string{"1", `"x"`, "[1, 2]", `{"n": 2}`, "task", "context", "run.id"}
	from = append(from, d.locals...)
	for _, id := range d.seen {
		from = append(from, id+".output", id+".output", fmt.Sprintf("subtasks[%q].status", id), id+".output.n")
	}
	return rapid.SampledFrom(from).Draw(d.t, "expression")
}

func (d *drawing) condition() string {
	from := []string{"true", `task == ""`, `task != ""`}
	for _, name := range d.locals {
		from = append(from, name+" != null", name+" == 2")
	}
	for _, id := range d.seen {
		from = append(from, id+`.status == "succeeded"`, id+".output != null", id+".output.ok")
	}
	return rapid.SampledFrom(from).Draw(d.t, "condition")
}

func (d *drawing) text() string {
	from := []string{"task", `"x"`}
	for _, id := range d.seen {
		from = append(from, "string("+id+".output)", id+".status")
	}
	return rapid.SampledFrom(from).Draw(d.t, "text expression")
}

func (d *drawing) number() string {
	from := []string{"0.7", "0.2"}
	for _, id := range d.seen {
		from = append(from, id+".output")
	}
	return rapid.SampledFrom(from).Draw(d.t, "number expression")
}

func (d *drawing) list() string {
	from := []string{"[1, 2, 3]", "[]", `["x"]`}
	for _, id := range d.seen {
		from = append(from, id+".output")
	}
	for _, name := range d.locals {
		from = append(from, "["+name+"]")
	}
	return rapid.SampledFrom(from).Draw(d.t, "list expression")
}
