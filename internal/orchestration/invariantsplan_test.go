package orchestration

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

func drawSpec(t *rapid.T) *Spec {
	spec := specOf(nil, nil)
	spec.Limits.MaxConcurrency = rapid.IntRange(1, 5).Draw(t, "max_concurrency")
	spec.Limits.MaxAttempts = rapid.IntRange(1, 3).Draw(t, "max_attempts")
	spec.Limits.MaxSubtasks = 40
	spec.Limits.MaxIterations = rapid.IntRange(0, 3).Draw(t, "max_iterations")
	spec.OnFailure = rapid.SampledFrom([]OnFailure{OnFailurePartial, OnFailureFail, OnFailureReplan}).Draw(t, "on_failure")
	spec.Limits.MaxReplans = rapid.IntRange(0, 3).Draw(t, "max_replans")
	spec.Limits.ReplanCooldown = time.Duration(rapid.IntRange(0, 5).Draw(t, "cooldown")) * time.Second
	price := &Price{Input: 1, Output: 2}
	spec.Models = []Model{{Name: "m", Price: price}, {Name: "small", Price: price}}
	if oneIn(t, 3, "budget") {
		spec.Limits.MaxLLMCalls = rapid.SampledFrom([]int{0, 3, 8, 20}).Draw(t, "max_llm_calls")
		spec.Limits.MaxTokens = rapid.SampledFrom([]int{0, 9000, 40_000}).Draw(t, "max_tokens")
		spec.Limits.MaxCostUSD = rapid.SampledFrom([]float64{0, 0.01, 0.05}).Draw(t, "max_cost_usd")
	}
	if rapid.Bool().Draw(t, "fallback") {
		spec.Models[0].Fallback = "small"
	}
	spec.Synthesizer.Mode = rapid.SampledFrom([]SynthesisMode{SynthesizeModel, SynthesizeNone}).Draw(t, "mode")
	spec.Tools = []Tool{{Name: "act"}, {Name: "look", ReadOnly: true}, {Name: "undo"}}
	spec.Workers = []Worker{
		{Name: "clerk", Role: Role{Model: "m"}, Tools: []string{"look", "act"}},
		{Name: "lawyer", Role: Role{Model: "m"}, Tools: []string{"look"}, Fallback: "small"},
	}
	spec.ReviewPlan = oneIn(t, 5, "review_plan")
	if oneIn(t, 4, "cache") {
		spec.Cache = Duration(time.Hour)
	}
	if oneIn(t, 4, "policy") {
		spec.Policy = []Check{drawCheck(t, "output")}
	}
	if !oneIn(t, 4, "planner") {
		p := drawPlan(t)
		spec.Plan = &p
		drawFork(t, spec)
	}
	return spec
}

// drawFork draws what the run takes over from another one: a part of the plan that
// depends on nothing else.
func drawFork(t *rapid.T, spec *Spec) {
	plan, problems := spec.Plan.Prepare(Rules{MaxSubtasks: 40, Tools: spec.Tools, Workers: spec.Workers, Expressions: StoryExpressions})
	if len(problems) > 0 {
		t.Fatalf("a plan with problems was drawn: %v", problems)
	}
	if rapid.Bool().Draw(t, "prepared") {
		spec.Prepared = &plan
	}
	if !oneIn(t, 6, "fork") {
		return
	}
	spec.Fork = &Fork{Run: "run_0"}
	given := func(id string) bool {
		return slices.ContainsFunc(spec.Fork.Given, func(g Given) bool { return g.Subtask == id })
	}
	for _, s := range plan.Subtasks {
		if all(s.DependsOn, given) && rapid.Bool().Draw(t, "given") {
			spec.Fork.Given = append(spec.Fork.Given, Given{Subtask: s.ID, Output: drawOutput(t)})
		}
	}
}

func oneIn(t *rapid.T, n int, what string) bool { return rapid.IntRange(1, n).Draw(t, what) == n }

// A drawing draws the subtasks of a plan, or of a body, one after the other.
type drawing struct {
	t      *rapid.T
	depth  int
	left   *int     // subtasks that may still be drawn, with those in bodies
	seen   []string // ids that expressions may name
	here   []string // of these, those of the same level
	locals []string
}

// drawPlan draws a plan whose subtasks depend on any of those before them.
func drawPlan(t *rapid.T) Plan {
	left := 24
	d := &drawing{t: t, left: &left}
	p := Plan{Subtasks: d.subtasks(10)}
	if oneIn(t, 6, "sequential") {
		p.Order = OrderSequential
	}
	return p
}

func (d *drawing) subtasks(most int) []Subtask {
	var subtasks []Subtask
	for i := range rapid.IntRange(1, most).Draw(d.t, "subtasks") {
		if *d.left--; i > 0 && *d.left < 0 {
			break
		}
		s := d.subtask(fmt.Sprintf("%c%d", "sbcd"[d.depth], i))
		subtasks = append(subtasks, s)
		d.seen = append(slices.DeleteFunc(slices.Clone(d.seen), func(id string) bool { return id == s.ID }), s.ID)
		d.here = append(d.here, s.ID)
	}
	return subtasks
}

func (d *drawing) subtask(id string) Subtask {
	t := d.t
	s := Subtask{ID: id, Description: "do it"}
	for _, on := range d.seen {
		if rapid.IntRange(0, 3).Draw(t, "dependency") == 3 {
			s.DependsOn = append(s.DependsOn, on)
		}
	}
	s.After = rapid.SampledFrom([]After{"", AfterSucceeded, AfterEnded}).Draw(t, "after")
	if oneIn(t, 5, "when") {
		s.When = d.condition()
	}
	kinds := []Kind{KindWorker, KindWorker, KindWorker, KindTool, KindDecide, KindMerge, KindApproval, KindPlan}
	if d.depth < 2 && *d.left > 2 {
		kinds = append(kinds, KindForEach, KindLoop, KindWorkflow)
	}
	s.Kind = rapid.SampledFrom(kinds).Draw(t, "kind")
	d.own(&s)
	d.recovery(&s)
	d.extras(&s)
	return s
}

// own draws the key of the subtask's kind.
func (d *drawing) own(s *Subtask) {
	t := d.t
	switch s.Kind {
	case KindTool:
		s.Tool = &ToolCall{Name: rapid.SampledFrom([]string{"act", "look"}).Draw(t, "tool"), Arguments: d.values()}
	case KindDecide:
		s.Decide = d.decide()
	case KindMerge:
		s.Merge = rapid.SampledFrom([]MergeStyle{MergeConcat, MergeObjects, MergeReplace}).Draw(t, "merge")
	case KindApproval:
		s.Approval = &Approval{Message: "Good?"}
		if rapid.Bool().Draw(t, "expires") {
			s.Approval.Timeout = Duration(time.Duration(rapid.IntRange(1, 900).Draw(t, "patience")) * time.Second)
			s.Approval.Default = rapid.SampledFrom([]Action{"", ActionApprove, ActionReject}).Draw(t, "default")
		}
	case KindPlan:
		s.Plan = &Nested{Task: d.text(), MaxSubtasks: rapid.IntRange(0, 4).Draw(t, "max_subtasks"), Depth: rapid.IntRange(0, 2).Draw(t, "depth")}
	case KindForEach:
		s.ForEach = &ForEach{Items: d.list(), MaxConcurrency: rapid.IntRange(0, 2).Draw(t, "items at a time"), Order: d.order()}
		s.ForEach.Body = d.inner("item", "index").subtasks(3)
	case KindLoop:
		s.Loop = &Loop{MaxIterations: rapid.IntRange(0, 3).Draw(t, "iterations"), Order: d.order()}
		in := d.inner("iteration", "previous")
		s.Loop.Body = in.subtasks(3)
		in.locals = append(in.locals, "output")
		if s.Loop.MaxIterations == 0 || rapid.Bool().Draw(t, "until") {
			s.Loop.Until = in.condition()
		}
		if oneIn(t, 3, "stop_when_unchanged") {
			s.Loop.StopWhenUnchanged = in.value()
		}
	case KindWorkflow:
		s.Workflow = &Inlined{Name: "w", Context: d.values(), Defaults: json.RawMessage(`{"tone":"dry"}`)}
		in := d.inner()
		in.seen, in.locals = nil, nil
		s.Workflow.Body = in.subtasks(3)
	}
}

// inner returns what draws a body.
func (d *drawing) inner(locals ...string) *drawing {
	return &drawing{t: d.t, depth: d.depth + 1, left: d.left, seen: d.seen, locals: slices.Concat(d.locals, locals)}
}

func (d *drawing) order() Order {
	return rapid.SampledFrom([]Order{"", OrderParallel, OrderSequential}).Draw(d.t, "order")
}

func (d *drawing) decide() *Decide {
	t := d.t
	special := rapid.SampledFrom([]string{"maybe", OptionStop, OptionReplan, OptionEscalate}).Draw(t, "special")
	c := &Decide{By: rapid.SampledFrom([]DecideBy{DecideByModel, DecideByRegex, DecideByThreshold, DecideByExpr}).Draw(t, "by")}
	c.Options = []string{"yes", special}
	switch c.By {
	case DecideByModel:
		c.Prompt, c.Options = "Well?", append(c.Options, "no")
	case DecideByRegex:
		c.Pattern, c.Value = "yes|o", d.text()
	case DecideByThreshold:
		least := 0.5
		c.AtLeast, c.Value = &least, d.number()
	case DecideByExpr:
		from := []string{`"yes"`, fmt.Sprintf("%q", special), `task == ""`, d.condition(), "task", "context"} // no option, but nobody knows before
		for _, id := range d.seen {
			from = append(from, id+".output")
		}
		c.Expr = rapid.SampledFrom(from).Draw(t, "expr")
	}
	return c
}

func (d *drawing) recovery(s *Subtask) {
	t := d.t
	s.OnFailure.Do = rapid.SampledFrom([]OnFailure{"", "", OnFailureFail, OnFailureSkip, OnFailureFallback, OnFailureReplan, OnFailureEscalate}).Draw(t, "on_failure of one")
	if s.OnFailure.Do != OnFailureFallback {
		return
	}
	if s.Kind != KindWorker || rapid.Bool().Draw(t, "fallback value") {
		values := []string{`"instead"`, `{"n":1}`, "null"}
		if s.Kind == KindDecide {
			values = nil
			for _, option := range s.Decide.choices() {
				values = append(values, string(encoded(option)))
			}
		}
		s.OnFailure.Fallback = &Fallback{Value: json.RawMessage(rapid.SampledFrom(values).Draw(t, "value"))}
	}
	if s.Kind == KindWorker && oneIn(t, 3, "fallback prompt") {
		if s.OnFailure.Fallback == nil {
			s.OnFailure.Fallback = new(Fallback)
		}
		s.OnFailure.Fallback.Prompt, s.OnFailure.Fallback.Model = "do it simply", "small"
	}
}

// extras draws the keys that several kinds have.
func (d *drawing) extras(s *Subtask) {
	t := d.t
	may := func(key string, n int) bool { return slices.Contains(takes[s.Kind], key) && oneIn(t, n, key) }
	if may("worker", 6) {
		s.Worker = "lawyer"
	}
	if may("input", 4) {
		s.Input = d.values()
	}
	if may("output", 8) {
		s.Gives = (&drawing{t: t, seen: d.seen, locals: append(slices.Clone(d.locals), "output")}).value()
	}
	if may("check", 4) {
		c := drawCheck(t, "output")
		s.Check = &c
	}
	if may("retry", 6) {
		s.Retry = &Retry{MaxAttempts: rapid.IntRange(0, 3).Draw(t, "attempts"), Backoff: Duration(rapid.IntRange(0, 2).Draw(t, "backoff")) * Duration(time.Second)}
	}
	if may("timeout", 8) {
		s.Timeout = Duration(time.Minute)
	}
	if may("cache", 6) {
		s.Cache = Duration(time.Minute)
	}
	if may("compensate", 3) {
		in := &drawing{t: t, seen: d.seen, locals: append(slices.Clone(d.locals), "output")}
		s.Compensate = &ToolCall{Name: "undo", Arguments: in.values()}
	}
}
