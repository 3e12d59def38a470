package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A board shows who performs what: on a terminal one line each, updated in
// place, elsewhere a line for each change.
type board struct {
	out   io.Writer
	live  bool
	rows  []*row
	drawn int // lines that stand on the terminal
}

// A row is a role's or a subtask's line. Those of a composite subtask's children
// stand under its own, until it ends.
type row struct {
	name, what, state string
	parent            string
	depth             int
	since             time.Time // zero: it is not running
}

func newBoard(out io.Writer, live bool) *board { return &board{out: out, live: live} }

// show takes an event in.
func (b *board) show(f frame) {
	planner := cmp.Or(f.SubtaskID, "planner") // a part of the run is planned by its own
	switch f.Type {
	case "run.created":
		_, _ = fmt.Fprintf(b.out, "Task: %s\n\n", printable(f.Data.Task))
	case "plan.started":
		b.start("planner", "", f)
	case "plan.created":
		b.end(planner, fmt.Sprintf("planned %d subtasks", len(f.Data.Subtasks)), f)
	case "plan.invalid":
		b.end(planner, "gave no plan: "+f.Data.Error.Code, f)
	case "plan.waiting":
		b.end("planner", "waits: "+f.Data.Waiting.Message, f)
	case "plan.subtask_added":
		b.add(f)
	case "subtask.started":
		b.start(f.SubtaskID, "", f)
	case "subtask.waiting":
		b.end(f.SubtaskID, "waits: "+f.Data.Waiting.Message, f)
	case "subtask.retrying":
		b.end(f.SubtaskID, "tries again after "+f.Data.Error.Code, f)
	case "subtask.succeeded", "subtask.failed", "subtask.skipped", "subtask.canceled":
		b.end(f.SubtaskID, strings.TrimSuffix(f.Type[len("subtask."):]+": "+cmp.Or(f.Data.Error.Code, f.Data.Detail), ": "), f)
		b.fold(f.SubtaskID)
	case "subtask.compensated":
		b.end(f.SubtaskID, undone(f.Data.Error.Code), f)
	case "synthesis.started":
		b.start("synthesizer", "one answer of all results", f)
	case "synthesis.succeeded":
		b.end("synthesizer", "succeeded", f)
	case "synthesis.failed":
		b.end("synthesizer", "failed: "+f.Data.Error.Code, f)
	}
	b.tick(f.Time)
}

func undone(code string) string {
	if code == "" {
		return "undone"
	}
	return "not undone: " + code
}

// add adds the row of a subtask: of a child, under its parent's.
func (b *board) add(f frame) {
	s := f.Data.Subtask
	r := &row{name: printable(s.ID), parent: printable(s.Parent), state: "pending"}
	r.what = printable(strings.Trim(cmp.Or(s.Type, s.Kind)+": "+s.Description, ": "))
	at := len(b.rows)
	for i, under := range b.rows {
		if r.parent != "" && (under.name == r.parent || under.parent == r.parent || strings.HasPrefix(under.parent, r.parent+".")) {
			at = i + 1
		}
		if under.name == r.parent {
			r.depth = under.depth + 1
		}
	}
	b.rows = slices.Insert(b.rows, at, r)
}

// fold takes the rows of a subtask's children away.
func (b *board) fold(name string) {
	name = printable(name)
	b.rows = slices.DeleteFunc(b.rows, func(r *row) bool { return r.parent == name || strings.HasPrefix(r.parent, name+".") })
}

// row returns the row of that name, a new one if need be.
func (b *board) row(name string) *row {
	name = printable(name)
	for _, r := range b.rows {
		if r.name == name {
			return r
		}
	}
	r := &row{name: name, state: "pending"}
	b.rows = append(b.rows, r)
	return r
}

func (b *board) start(name, what string, f frame) {
	r := b.row(name)
	r.state, r.since = "works", f.Time
	switch {
	case what != "":
		r.what = what
	case r.what == "":
		r.what = printable(f.Data.Model)
	}
	b.tell(r)
}

func (b *board) end(name, state string, f frame) {
	r := b.row(name)
	took := ""
	if !r.since.IsZero() {
		took = f.Time.Sub(r.since).Round(10 * time.Millisecond).String()
	}
	r.state, r.since = printable(state), time.Time{}
	if took != "" {
		r.state += " in " + took
	}
	b.tell(r)
}

// tell writes a change where lines cannot be updated.
func (b *board) tell(r *row) {
	if !b.live {
		_, _ = fmt.Fprintln(b.out, r.line(time.Time{}))
	}
}

// tick draws all rows anew.
func (b *board) tick(now time.Time) {
	if !b.live {
		return
	}
	var text strings.Builder
	if b.drawn > 0 {
		fmt.Fprintf(&text, "\x1b[%dA", b.drawn)
	}
	for _, r := range b.rows {
		text.WriteString("\r\x1b[2K" + r.line(now) + "\n")
	}
	if b.drawn > len(b.rows) {
		text.WriteString("\x1b[J") // what was below is gone
	}
	b.drawn = len(b.rows)
	_, _ = io.WriteString(b.out, text.String())
}

func (r *row) line(now time.Time) string {
	state := r.state
	if !r.since.IsZero() && now.After(r.since) {
		state += " " + now.Sub(r.since).Round(100*time.Millisecond).String()
	}
	name := strings.Repeat(" ", r.depth) + strings.TrimPrefix(r.name, r.parent+".")
	return fmt.Sprintf("  %-12s %-36s %s", short(name, 12), cut(r.what, 36), cut(state, 28))
}

// printCalls prints who was called, and how that adds up.
func printCalls(out io.Writer, calls []call) {
	count := map[string]int{}
	for _, c := range calls {
		count[c.Role]++
		name := c.Role
		if c.subtask != "" {
			name += " " + c.subtask
		}
		_, _ = fmt.Fprintf(out, "  %-14s %-20s %8s %6d + %d tokens  %s\n", cut(printable(name), 14), cut(printable(c.Model), 20),
			c.Ended.Sub(c.Started).Round(10*time.Millisecond), c.Usage.Prompt, c.Usage.Completion, c.Outcome)
	}
	_, _ = fmt.Fprintf(out, "  %d calls: %d planner + %d workers + %d synthesizer\n",
		len(calls), count["planner"], count["worker"], count["synthesizer"])
}

// printable returns text without what would steer a terminal: a model wrote it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}

// cut returns one line of at most so many characters.
func cut(text string, most int) string { return short(strings.Join(strings.Fields(text), " "), most) }

func short(text string, most int) string {
	runes := []rune(text)
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }
