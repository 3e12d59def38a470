package workflow

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Check returns everything that is wrong with a template, by line: what [Parse]
// found of it, and what breaks the rules.
func (t *Template) Check(rules Rules) []Fault { return t.check(rules, true) }

// A check collects what is wrong with a template.
type check struct {
	*Template
	rules  Rules
	faults []Fault
}

// check looks into the bodies of other templates only if asked to: what is wrong
// with them by themselves is told of them.
func (t *Template) check(rules Rules, bodies bool) []Fault {
	c := &check{Template: t, rules: rules, faults: append([]Fault(nil), t.shape...)}
	c.parameters()
	c.presets()
	c.policies()
	if t.Plan != nil {
		c.plan(bodies)
		c.context()
	}
	return inOrder(c.faults)
}

// add reports a fault, unless one that Parse found explains it.
func (c *check) add(pointer, code, detail string, args ...any) {
	if len(c.faults) >= maxFaults || c.hides(pointer) {
		return
	}
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	c.faults = append(c.faults, c.tree.at(pointer, code, detail))
}

func (c *check) parameters() {
	for _, p := range c.Parameters {
		at := below("/parameters", p.Name)
		switch {
		case p.Required && p.Default != nil:
			c.add(at, "contradiction", "The parameter %s is required, so that its default is never used: give one of both.", p.Name)
		case !p.Required && p.Default == nil:
			c.add(at, "no_value", "The parameter %s has no value where the caller gives none: give it a default, or say required: true.", p.Name)
		}
		if p.Schema != nil {
			if why := c.rules.schema(p.Schema); why != "" {
				c.add(at+"/schema", "invalid_schema", "%s.", why)
			}
		}
		if p.Default != nil {
			if why := c.rules.conforms(p, p.Default); why != "" {
				c.add(at+"/default", "schema_violation", "The default does not satisfy the parameter's schema: %s.", why)
			}
		}
	}
}

// longest are the longest durations that a request may ask for.
var longest = []struct {
	key  string
	most time.Duration
}{{"timeout", 24 * time.Hour}, {"subtask_timeout", time.Hour}, {"replan_cooldown", 24 * time.Hour}}

// presets checks what would be refused of a request too.
func (c *check) presets() {
	for _, role := range []struct{ at, model string }{
		{"/planner/model", c.Planner.Model}, {"/worker/model", c.Worker.Model}, {"/synthesizer/model", c.Synthesizer.Model},
	} {
		if role.model != "" && c.rules.Plan.Model != nil && !c.rules.Plan.Model(role.model) {
			c.add(role.at, "unknown_model", "The model %q is not configured.", shortly(role.model))
		}
	}
	if least, most := c.Planner.MinSubtasks, c.Planner.MaxSubtasks; most > 0 && least > most {
		c.add("/planner/max_subtasks", "out_of_range", "This must be at least min_subtasks, %d.", least)
	}
	if schema := c.Synthesizer.JSONSchema; schema != nil {
		if why := c.rules.schema(schema); why != "" {
			c.add("/synthesizer/json_schema", "invalid_schema", "%s.", why)
		}
	}
	limits := members(valueOf(c.Presets, "limits"))
	for _, l := range longest {
		var d orchestration.Duration
		if raw := valueOf(limits, l.key); raw != nil && json.Unmarshal(raw, &d) == nil && (d <= 0 || time.Duration(d) > l.most) {
			c.add("/limits/"+l.key, "out_of_range", "This must be more than 0 and at most %s.", l.most)
		}
	}
	if c.rules.Prompts != nil {
		for _, p := range c.rules.Prompts(c.specimen()) {
			c.add(p.Pointer, p.Code, "%s", p.Detail)
		}
	}
}

// specimen is a run of the template as far as its prompts are concerned.
func (c *check) specimen() *orchestration.Spec {
	var keys []Preset
	for _, p := range c.Parameters {
		keys = append(keys, Preset{p.Name, json.RawMessage("null")})
	}
	return &orchestration.Spec{Task: c.Task, Context: object(keys), Planner: c.Planner, Worker: c.Worker, Synthesizer: c.Synthesizer}
}

// policies has the policy judged as the checks of subtasks are.
func (c *check) policies() {
	for _, p := range orchestration.CheckPolicy(c.policy, c.rules.Plan) {
		c.add("/policy"+p.Pointer, p.Code, "%s", p.Detail)
	}
}

// plan checks the plan as runs will have it: with other templates in their
// places.
func (c *check) plan(bodies bool) {
	whole, problems := c.resolve(c.rules)
	refused, rules := problems, c.rules.Plan
	limits := members(valueOf(c.Presets, "limits"))
	preset(&rules.MaxSubtasks, limits, "max_subtasks")
	for _, p := range whole.Check(rules) {
		known := false
		for _, r := range refused { // what could not be put in its place is not checked
			at := strings.TrimSuffix(r.Pointer, "/name")
			known = known || within(p.Pointer, at) || within(at, p.Pointer) && p.Pointer != "/subtasks"
		}
		if !known {
			problems = append(problems, p)
		}
	}
	for _, p := range problems {
		if !bodies && p.Code != orchestration.ProblemCycle && strings.Contains(p.Pointer, "/workflow/body/") {
			continue
		}
		c.add("/plan"+p.Pointer, p.Code, "%s", p.Detail)
	}
}

// preset sets a bound to what the template says of it, if anything.
func preset(bound *int, limits []Preset, key string) {
	if raw := valueOf(limits, key); raw != nil {
		_ = json.Unmarshal(raw, bound) // what is no number is a fault already
	}
}

// context reports keys of context in expressions that are no parameters.
func (c *check) context() {
	if c.rules.Plan.Expressions == nil {
		return
	}
	var known []string
	for _, p := range c.Parameters {
		known = append(known, p.Name)
	}
	ids, checked := idsOf(c.Plan.Subtasks), 0
	eachExpression(c.Plan.Subtasks, "/plan/subtasks", func(pointer, expression string) {
		if checked += len(expression); checked > orchestration.MaxExpressions {
			return // the plan's check says so
		}
		reads, err := c.rules.Plan.Expressions.Check(expression, ids, locals)
		if err != nil {
			return // the plan's check says so
		}
		for _, key := range reads.Context {
			if _, ok := c.Parameter(key); !ok {
				c.add(pointer, "unknown_parameter", "The expression reads context.%s, which is no parameter%s.", shortly(key), hint(key, known))
			}
		}
	})
}
