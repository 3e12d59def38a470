package orchestration

import (
	"slices"
	"strings"
)

// own checks the key that is named like the kind.
func (c *planCheck) own(s *Subtask, at string) {
	switch {
	case s.Kind == KindTool && s.Tool != nil:
		c.tool(s.Tool, at)
	case s.Kind == KindDecide && s.Decide != nil:
		c.decide(s.Decide, at)
	case s.Kind == KindMerge && s.Merge != "":
		if s.Merge != MergeConcat && s.Merge != MergeObjects && s.Merge != MergeReplace {
			c.add(ProblemBadValue, at, "merge must be concat, merge or replace.")
		}
	case s.Kind == KindApproval && s.Approval != nil:
		c.approval(s.Approval, at)
	case s.Kind == KindForEach && s.ForEach != nil:
		c.within(s.ForEach.MaxItems, 0, maxItems, at+"/max_items")
		c.within(s.ForEach.MaxConcurrency, 0, maxItems, at+"/max_concurrency")
	case s.Kind == KindLoop && s.Loop != nil:
		if s.Loop.Until == "" && s.Loop.StopWhenUnchanged == "" && s.Loop.MaxIterations == 0 {
			c.add(ProblemUnbounded, at, "The loop %s never ends: give it until, stop_when_unchanged or max_iterations.", s.ID)
		}
		c.within(s.Loop.MaxIterations, 0, maxRounds, at+"/max_iterations")
	case s.Kind == KindPlan && s.Plan != nil:
		c.within(s.Plan.MaxSubtasks, 0, c.rules.MaxSubtasks, at+"/max_subtasks")
		c.within(s.Plan.Depth, 0, maxDepth, at+"/depth")
	case s.Kind == KindWorkflow && s.Workflow != nil && len(s.Workflow.Body) == 0:
		c.add(ProblemUnknownWorkflow, at+"/name", "There is no workflow %q.", beginning(s.Workflow.Name, 64))
	}
}

func (c *planCheck) within(n, least, most int, at string) {
	if n < least || n > most {
		c.add(ProblemBadValue, at, "It must be at most %d, and no less than %d.", most, max(least, 1))
	}
}

func (c *planCheck) approval(a *Approval, at string) {
	if strings.TrimSpace(a.Message) == "" {
		c.add(ProblemMissingKey, at+"/message", "An approval needs a message: say what the person is asked.")
	}
	c.duration(a.Timeout, mostPatience, at, "/timeout")
	switch a.Default {
	case "", ActionApprove, ActionReject:
	default:
		c.add(ProblemBadValue, at+"/default", "The default must be approve or reject.")
	}
	if a.Default != "" && a.Timeout == 0 {
		c.add(ProblemMissingKey, at+"/timeout", "A default needs a timeout after which it is taken.")
	}
}

// decide checks a decision. Its expressions are checked with all others.
func (c *planCheck) decide(d *Decide, at string) {
	c.options(d, at+"/options")
	need := func(given bool, key string) {
		if !given {
			c.add(ProblemMissingKey, at+"/"+key, "A decision by %s needs the key %s.", d.By, key)
		}
	}
	has := []string{}
	switch d.By {
	case DecideByModel:
		need(strings.TrimSpace(d.Prompt) != "", "prompt")
		has = []string{"prompt"}
	case DecideByRegex:
		need(d.Pattern != "", "pattern")
		need(d.Value != "", "value")
		c.pattern(d.Pattern, at+"/pattern")
		has = []string{"pattern", "value"}
	case DecideByThreshold:
		need(d.Value != "", "value")
		need(d.AtLeast != nil, "at_least")
		has = []string{"value", "at_least"}
	case DecideByExpr:
		need(d.Expr != "", "expr")
		has = []string{"expr"}
	default:
		c.add(ProblemBadValue, at+"/by", "by must be model, regex, threshold or expr.")
		return
	}
	for _, key := range []struct {
		name  string
		given bool
	}{{"prompt", d.Prompt != ""}, {"pattern", d.Pattern != ""}, {"value", d.Value != ""}, {"at_least", d.AtLeast != nil}, {"expr", d.Expr != ""}} {
		if key.given && !slices.Contains(has, key.name) {
			c.add(ProblemWrongKey, at+"/"+key.name, "A decision by %s has no %s.", d.By, key.name)
		}
	}
}

func (c *planCheck) options(d *Decide, at string) {
	two := d.By == DecideByRegex || d.By == DecideByThreshold
	switch n := len(d.Options); {
	case two && n != 2:
		c.add(ProblemBadValue, at, "A decision by %s has two options: the first where it holds, the second where it does not.", d.By)
	case n < 2 || n > mostOptions:
		c.add(ProblemBadValue, at, "A decision has 2 to %d options.", mostOptions)
	}
	seen := map[string]bool{}
	for _, option := range d.Options {
		if strings.TrimSpace(option) == "" || len(option) > mostOption || seen[option] {
			c.add(ProblemBadValue, at, "Options must differ, must not be blank and have at most %d bytes.", mostOption)
			return
		}
		seen[option] = true
	}
}
