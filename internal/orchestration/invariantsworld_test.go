package orchestration

import (
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// outcome draws how a command ends.
func (w *world) outcome(c Command) Said {
	failure := w.drawFailure()
	switch c := c.(type) {
	case MakePlan:
		p := Planned{Attempt: c.Attempt, Failure: failure, Calls: callsOf("planner", c.Attempt)}
		if failure != nil {
			return p
		}
		p.Plan, p.Answer = w.writes(c), "an answer"
		if c.CacheKey != "" && oneIn(w.t, 3, "cached") {
			p.Cached, p.Calls = true, nil
		}
		if oneIn(w.t, 4, "spoiled") {
			p.Plan.Subtasks[0].DependsOn = []string{"nobody"}
		}
		return p
	case Work:
		return w.worked(c, failure)
	case Compensate:
		return Compensated{Subtask: c.Subtask, Attempt: c.Attempt, Failure: failure}
	case Synthesize:
		return Synthesized{Attempt: c.Attempt, Failure: failure, Output: "all", Calls: callsOf("synthesizer", c.Attempt)}
	case SetTimer:
		return Due{Timer: c.Timer}
	}
	return nil
}

// worked draws how an attempt at a subtask ends.
func (w *world) worked(c Work, failure *Failure) Worked {
	o := Worked{Subtask: c.Subtask.ID, Attempt: c.Attempt, Failure: failure}
	if c.Subtask.Kind != KindTool {
		o.Calls = callsOf("worker", c.Attempt)
	}
	if failure == nil && c.CacheKey != "" && oneIn(w.t, 4, "cached") {
		o.Cached, o.Calls = true, nil
	}
	if failure != nil && !judged(c) {
		return o
	}
	o.Shortened = c.Judge == nil && !o.Cached && oneIn(w.t, 6, "shortened")
	switch {
	case c.Judge != nil:
		o.Output = w.body(*c.Judge)
	case c.Subtask.Kind == KindDecide:
		o.Output = rapid.SampledFrom(append([]string{"neither"}, c.Subtask.Decide.Options...)).Draw(w.t, "option")
	case c.Subtask.Kind == KindPlan:
		w.part(c, &o)
	default:
		o.Output = drawOutput(w.t)
	}
	if failure != nil && rapid.Bool().Draw(w.t, "unchecked") {
		return o // the evaluator failed
	}
	if failure != nil {
		o.Output = ""
		return o
	}
	if !o.Cached {
		o.Findings = w.findings(c)
	}
	return o
}

// judged reports whether the agent checks what a worker gives.
func judged(c Command) bool {
	work, ok := c.(Work)
	return ok && slices.ContainsFunc(work.Checks, func(c Check) bool { return c.Rubric != "" })
}

func (w *world) findings(c Work) []Finding {
	var findings []Finding
	for i, check := range c.Checks {
		for _, part := range []struct {
			name string
			made bool
		}{{"json_schema", len(check.JSONSchema) > 0}, {"regex", check.Regex != ""}, {"rubric", check.Rubric != ""}} {
			if part.made {
				findings = append(findings, Finding{Check: part.name, Policy: i < c.Policy, Passed: rapid.IntRange(0, 2).Draw(w.t, "passed") > 0})
			}
		}
	}
	return findings
}

// body returns a text that a command carries or refers to.
func (w *world) body(text Text) string {
	if text.Seq > 0 {
		return w.events[text.Seq-1].Body()
	}
	return text.Whole
}

// part draws the plan of a part of the run.
func (w *world) part(c Work, o *Worked) {
	o.Output = "a plan"
	if oneIn(w.t, 6, "unreadable") {
		o.Problems = []Problem{{Code: ProblemEmpty, Detail: "There is no plan in the answer."}}
		return
	}
	p := w.plain(3)
	if oneIn(w.t, 4, "deep") {
		p.Subtasks[0].Type = planType
	}
	if oneIn(w.t, 4, "spoiled part") {
		p.Subtasks[0].DependsOn = []string{"nobody"}
	}
	if !o.Cached {
		o.Plan = &p
		return
	}
	for i := range p.Subtasks { // as planText writes it
		p.Subtasks[i] = completed(p.Subtasks[i])
	}
	o.Output = string(encoded(p))
}

// plain draws a plan as planners make them.
func (w *world) plain(most int) Plan {
	var p Plan
	for i := range rapid.IntRange(1, most).Draw(w.t, "planned subtasks") {
		s := Subtask{ID: "s" + string(rune('0'+i)), Description: "do it", Type: rapid.SampledFrom([]string{"", "lawyer", "poet", "clerk"}).Draw(w.t, "type")}
		for _, on := range p.Subtasks {
			if oneIn(w.t, 4, "planned dependency") {
				s.DependsOn = append(s.DependsOn, on.ID)
			}
		}
		p.Subtasks = append(p.Subtasks, s)
	}
	return p
}

// planned draws a planner's answer. A revision may name what is there already.
func (w *world) planned(was *Revision) Plan {
	p := w.plain(6)
	if was == nil {
		return p
	}
	known := map[string]bool{}
	for _, s := range p.Subtasks {
		known[s.ID] = true
	}
	for _, s := range was.Subtasks {
		if !known[s.ID] && rapid.Bool().Draw(w.t, "named again") {
			p.Subtasks = append(p.Subtasks, Subtask{ID: s.ID, Type: s.Type, Description: s.Description})
		}
	}
	return p
}

func (w *world) drawFailure() *Failure {
	if rapid.IntRange(0, 3).Draw(w.t, "fails") < 3 {
		return nil
	}
	if oneIn(w.t, 8, "unaffordable") {
		return &Failure{Code: CodeBudgetExceeded}
	}
	return &Failure{
		Code:       rapid.SampledFrom([]Code{CodeUpstreamError, CodeUpstreamRateLimited, CodeOutputInvalid, CodeToolFailed, CodeCanceled}).Draw(w.t, "code"),
		Retryable:  rapid.Bool().Draw(w.t, "retryable"),
		Spared:     rapid.Bool().Draw(w.t, "spared"),
		RetryAfter: time.Duration(rapid.IntRange(0, 3).Draw(w.t, "after")) * time.Second,
	}
}

func drawOutput(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		"done", "so and so", `{"n": 1, "ok": true}`, `{"n":2,"ok":false}`, "[1, 2]", "[]", "0.7", "null", "true", "", `"quoted"`, strings.Repeat("long ", 1000),
	}).Draw(t, "output")
}
