package orchestration

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What stories need for the whole plan language. A plan is written in YAML, on
// lines that begin with "|" before the input that it belongs to.

func (te *teller) plan() Plan {
	var tree any
	if err := yaml.Unmarshal([]byte(te.text), &tree); err != nil {
		te.t.Fatal(err)
	}
	data, err := json.Marshal(tree)
	if err != nil {
		te.t.Fatal(err)
	}
	var p Plan
	if err := json.Unmarshal(data, &p); err != nil {
		te.t.Fatal(err)
	}
	return p
}

// decision reads decide ID ACTION OUTPUT or decide plan VERSION ACTION.
func (te *teller) decision(words []string) Said {
	if words[0] == "plan" {
		d := DecidePlan{Version: number(te.t, words[1]), Action: Action(words[2])}
		if te.text != "" {
			plan := te.plan()
			d.Plan = &plan
		}
		return d
	}
	d := DecideSubtask{Subtask: words[0], Action: Action(words[1])}
	if rest := strings.Join(words[2:], " "); d.Action == ActionEdit {
		d.Output = &rest
	} else {
		d.Comment = rest
	}
	return d
}

// outcome reads what else a worker's outcome may be: cached, unchecked (the
// evaluator failed), checked regex=false policy.rubric=true, or the plan that stands
// before it.
func (te *teller) outcome(w *Worked, words []string) {
	if te.text != "" {
		plan := te.plan()
		w.Plan = &plan
	}
	if len(words) < 3 {
		return
	}
	rest := strings.Join(words[3:], " ")
	switch words[2] {
	case "cached":
		w.Output, w.Cached, w.Calls = rest, true, nil
	case "unchecked":
		w.Output, w.Failure = rest, &Failure{Code: CodeUpstreamError, Detail: "The evaluator was away.", Retryable: true}
	case "unplanned":
		w.Problems = []Problem{{Code: ProblemEmpty, Detail: "There is no plan in the answer."}}
	case "checked":
		w.Output = "text"
		for _, word := range words[3:] {
			check, passed, _ := strings.Cut(word, "=")
			f := Finding{Check: check, Passed: passed == "true"}
			f.Check, f.Policy = strings.CutPrefix(check, "policy.")
			if !f.Passed {
				f.Detail = "mend the " + f.Check
			}
			w.Findings = append(w.Findings, f)
		}
	}
}

func tellWaiting(b *strings.Builder, w Waiting) {
	fmt.Fprintf(b, " for %s: %s %v", w.For, w.Message, w.Options)
	if w.Choices != nil {
		fmt.Fprintf(b, " of %v", w.Choices)
	}
}

func tellSucceeded(b *strings.Builder, f *SubtaskSucceeded) {
	if storyShows(f.Output) {
		fmt.Fprintf(b, ": %s", f.Output)
	}
	for _, flag := range []struct {
		set  bool
		word string
	}{{f.Cached, " (cached)"}, {f.Fallback, " (fallback)"}, {f.Stop, ", so the run stops"}, {f.Replan, ", so the plan is revised"}} {
		if flag.set {
			b.WriteString(flag.word)
		}
	}
}

// storyShows reports whether an output is short and says something.
func storyShows(output string) bool {
	return len(output) < 300 && strings.ContainsAny(output, "{[\" ") || output == "null"
}

func tellGiven(b *strings.Builder, c Work) {
	for _, v := range c.Inputs {
		fmt.Fprintf(b, " %s:=%s", v.Name, v.Text.Whole)
		if v.Text.Seq > 0 {
			fmt.Fprintf(b, "(%d bytes in %d)", v.Text.Bytes, v.Text.Seq)
		}
	}
	if c.Task != "" {
		fmt.Fprintf(b, " task %q", c.Task)
	}
	if c.Context != nil {
		fmt.Fprintf(b, " context %s", c.Context)
	}
	if c.Rework != nil {
		fmt.Fprintf(b, " revising %q as %q", c.Rework.Output.Whole, c.Rework.Feedback)
	}
	if c.Judge != nil {
		fmt.Fprintf(b, " judging %q", c.Judge.Whole)
	}
	if len(c.Checks) > 0 {
		fmt.Fprintf(b, " with %d checks", len(c.Checks))
	}
}
