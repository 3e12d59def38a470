package simulator

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// A plan as a planner writes it.
type plan struct {
	Analysis string    `json:"analysis"`
	Subtasks []subtask `json:"subtasks"`
}

type subtask struct {
	ID          string   `json:"id"`
	Type        string   `json:"type"`
	Description string   `json:"description"`
	DependsOn   []string `json:"depends_on"`
}

// What the subtasks of a plan do, the task to be put behind it. The closing one
// is for a subtask that builds on others.
var (
	duties = []struct{ kind, does string }{
		{"researcher", "Gather the facts and figures that matter for: "},
		{"analyst", "Weigh the options, the audience and the risks of: "},
		{"strategist", "Work out which approach fits best to: "},
		{"critic", "Look for what is missing or doubtful in: "},
		{"designer", "Propose a structure and examples for: "},
		{"editor", "Find the tone and the terms that suit: "},
	}
	closing = struct{ kind, does string }{"writer", "Write it up, building on the work so far: "}
)

// How many subtasks a plan has where nothing is said of it: one for all of a
// run, or for a part.
const (
	defaultSubtasks = 3
	nestedSubtasks  = 2
)

// hints are what a planner's schema says about the plan.
type hints struct {
	types       []string
	least, most int
}

// plan makes up a plan for the task, or what is not there of it already.
func (c *composer) plan(h hints) plan {
	n, shape := c.size(h)
	if shape == "" && (!c.xml() || c.shows("depends_on")) {
		shape = "join"
	}
	types := h.types
	if len(types) == 0 {
		types = c.offeredTypes()
		if offersOurs(types) {
			types = nil
		}
	}
	topic, orders := c.topic(160), c.wish.forWorkers()
	p := plan{Analysis: fmt.Sprintf("%s “%s” falls into %d parts.", simulated, c.topic(100), n), Subtasks: []subtask{}}
	for i := range n {
		s := subtask{ID: "T" + strconv.Itoa(i+1), DependsOn: c.dependencies(shape, i, n)}
		s.Type, s.Description = duty(i, i == n-1 && len(s.DependsOn) > 0, types, topic)
		s.Description += orders
		if !c.there[s.ID] {
			p.Subtasks = append(p.Subtasks, s)
		}
	}
	return p
}

// xml says whether the plan is wanted in tags: where the prompt shows them, and
// the request does not demand JSON.
func (c *composer) xml() bool {
	return !c.wantsJSON && (c.shows("<tasks>") || c.shows("<description>"))
}

// size is the number of subtasks, and the shape where a directive sets one.
func (c *composer) size(h hints) (n int, shape string) {
	if c.wish.subtasks > 0 {
		return c.wish.subtasks, cmp.Or(c.wish.shape, "fan")
	}
	least, most := wanted(c.around())
	least, most = max(least, h.least), min(cmp.Or(most, maxSubtasks), cmp.Or(h.most, maxSubtasks))
	usual := defaultSubtasks
	if c.shows("<dependencies>") || c.shows("<inputs>") {
		usual = nestedSubtasks
	}
	return max(1, min(max(usual, least), most)), c.wish.shape
}

// dependencies of subtask i of n.
func (c *composer) dependencies(shape string, i, n int) []string {
	ids := []string{} // never null in JSON
	after := func(from, to int) {
		for k := from; k < to; k++ {
			ids = append(ids, "T"+strconv.Itoa(k+1))
		}
	}
	switch shape {
	case "chain":
		after(max(0, i-1), i)
	case "join": // all side by side, then the last
		if i == n-1 {
			after(0, i)
		}
	case "diamond":
		switch {
		case i == 0:
		case i < n-1 || n == 2:
			after(0, 1)
		default:
			after(1, i)
		}
	case "random":
		for range min(i, c.rng.IntN(4)) {
			k := c.rng.IntN(i)
			if id := "T" + strconv.Itoa(k+1); !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// duty is the type and the description of subtask i.
func duty(i int, last bool, types []string, topic string) (kind, description string) {
	d := duties[i%len(duties)]
	switch {
	case last:
		d = closing
	case len(types) > 0:
		d.does = "The " + types[i%len(types)] + " take on: "
	}
	if len(types) > 0 {
		d.kind = types[i%len(types)]
		return d.kind, d.does + topic + round(i, len(types))
	}
	return d.kind, d.does + topic + round(i, len(duties))
}

// round tells apart the subtasks for which the duties had to be gone through again.
func round(i, of int) string {
	if i < of {
		return ""
	}
	return fmt.Sprintf(" (part %d)", i/of+1)
}

// offersOurs reports whether those who do the first duties and the closing one
// are on offer: the duties suit them better than a take of everybody's.
func offersOurs(types []string) bool {
	for _, kind := range []string{duties[0].kind, duties[1].kind, closing.kind} {
		if !slices.Contains(types, kind) {
			return false
		}
	}
	return true
}

// moreStyles follow those of an example, which need not be all.
var moreStyles = []string{"vivid", "concise", "playful"}

// offeredTypes are the names in a prompt's list of workers, and the types in
// its example of a plan.
func (c *composer) offeredTypes() []string {
	const most = 10
	around := c.around()
	var types []string
	add := func(name string) {
		if name = clip(name, 64); isName(name) && len(types) < most && !slices.Contains(types, name) {
			types = append(types, name)
		}
	}
	for line := range strings.Lines(elementText(around, "workers")) {
		if item, ok := strings.CutPrefix(strings.TrimSpace(line), "- "); ok {
			name, _, _ := strings.Cut(item, ":")
			add(name)
		}
	}
	examples := false
	for text := around; len(types) < most; {
		_, rest, found := strings.Cut(text, "<type>")
		name, after, ended := strings.Cut(rest, "</type>")
		if !found || !ended {
			break
		}
		add(name)
		text = after
		examples = true
	}
	if examples {
		types = append(types, moreStyles...)
	}
	return types
}

// isName says whether s could be a type, and not a description of one.
func isName(s string) bool {
	return s != "" && s != "…" && s != "..." && len(strings.Fields(s)) <= 2
}

// write renders a plan in the form that the prompt asks for, with a flaw.
func (c *composer) write(p plan, flaw Flaw) string {
	xml := c.xml()
	switch flaw {
	case EmptyPlan:
		p.Subtasks = []subtask{}
	case CyclicPlan:
		p.makeCyclic()
	case Garbage:
		return simulated + " " + filler[:300]
	case OwnLines:
		xml = true
	case TrailingComma, SingleQuotes:
		xml = false
	}
	if xml {
		return flaw.spoil(p.xml(flaw == OwnLines, c.shows("<id>"), c.shows("<depends_on>") || flaw == CyclicPlan))
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "" // cannot be: a plan is strings
	}
	return flaw.spoil(string(text))
}

// xml renders a plan in tags, with the ids and the dependencies if wanted.
func (p *plan) xml(ownLines, ids, dependencies bool) string {
	var b strings.Builder
	element := func(name, text string) {
		if ownLines {
			text = "\n" + text + "\n"
		}
		b.WriteString("<" + name + ">" + text + "</" + name + ">\n")
	}
	element("analysis", p.Analysis)
	b.WriteString("<tasks>\n")
	for _, s := range p.Subtasks {
		b.WriteString("<task>\n")
		if ids || dependencies {
			element("id", s.ID)
		}
		element("type", s.Type)
		element("description", s.Description)
		if dependencies && len(s.DependsOn) > 0 {
			element("depends_on", strings.Join(s.DependsOn, ","))
		}
		b.WriteString("</task>\n")
	}
	b.WriteString("</tasks>")
	return b.String()
}
