package orchestration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// takes says which keys a kind has besides those of every kind: its own, id,
// description, depends_on, after, when and on_failure.
var takes = map[Kind][]string{
	KindWorker:   {"type", "worker", "input", "output", "check", "retry", "timeout", "cache", "compensate"},
	KindTool:     {"output", "check", "retry", "timeout", "cache", "compensate"},
	KindDecide:   {"input", "retry", "timeout", "cache"},
	KindMerge:    {"output"},
	KindApproval: {},
	KindPlan:     {"input", "output", "retry", "timeout"},
	KindForEach:  {"output"},
	KindLoop:     {"output"},
	KindWorkflow: {"output"},
}

// given returns the keys of a subtask that not every kind has, in the order of
// the contract.
func (s *Subtask) given() []string {
	var keys []string
	add := func(key string, given bool) {
		if given {
			keys = append(keys, key)
		}
	}
	add("type", s.Type != "" && s.Type != DefaultType)
	add("worker", s.Worker != "")
	add("input", len(s.Input) > 0)
	add("output", s.Gives != "")
	add("tool", s.Tool != nil)
	add("decide", s.Decide != nil)
	add("for_each", s.ForEach != nil)
	add("loop", s.Loop != nil)
	add("plan", s.Plan != nil)
	add("approval", s.Approval != nil)
	add("workflow", s.Workflow != nil)
	add("merge", s.Merge != "")
	add("check", s.Check != nil)
	add("retry", s.Retry != nil)
	add("timeout", s.Timeout != 0)
	add("cache", s.Cache != 0)
	add("compensate", s.Compensate != nil)
	return keys
}

// kind checks what a subtask says, but for its expressions and dependencies.
func (c *planCheck) kind(l *level, i int) {
	s, at := &l.subtasks[i], l.at+"/"+strconv.Itoa(i)
	allowed, known := takes[s.Kind]
	given := s.given()
	if !known {
		c.add(ProblemUnknownKind, at+"/kind", "Subtask %s is of an unknown kind; there are worker, tool, plan, decide, merge, for_each, loop, approval and workflow.", s.ID)
		return
	}
	own := string(s.Kind)
	for _, key := range given {
		_, kind := takes[Kind(key)]
		switch {
		case key == own || slices.Contains(allowed, key):
		case kind:
			c.add(ProblemWrongKey, at+"/"+key, "Subtask %s has the key %s and is of the kind %s: say kind: %s.", s.ID, key, s.Kind, key)
		default:
			c.add(ProblemWrongKey, at+"/"+key, "Subtask %s is of the kind %s, which has no %s.", s.ID, s.Kind, key)
		}
	}
	if s.Kind == KindWorker {
		if strings.TrimSpace(s.Description) == "" {
			c.add(ProblemBlankDescription, at+"/description", "Subtask %s has no description: say what is to be done.", s.ID)
		}
	} else if !slices.Contains(given, own) {
		c.add(ProblemMissingKey, at, "Subtask %s is of the kind %s and lacks the key of that name.", s.ID, s.Kind)
	}
	if s.After != AfterSucceeded && s.After != AfterEnded {
		c.add(ProblemBadValue, at+"/after", "after must be succeeded or ended.")
	}
	c.common(s, at)
	if s.Kind != KindWorker {
		c.own(s, at+"/"+own)
	}
}

// Bounds of what a subtask may ask for.
const (
	mostAttempts  = 10
	mostRevisions = 10
	mostOptions   = 50
	mostOption    = 200 // bytes of one
	mostDuration  = 24 * time.Hour
	mostPatience  = 30 * 24 * time.Hour // with people
)

// common checks the keys that several kinds have.
func (c *planCheck) common(s *Subtask, at string) {
	if s.Worker != "" && !slices.ContainsFunc(c.rules.Workers, func(w Worker) bool { return w.Name == s.Worker }) {
		c.add(ProblemUnknownWorker, at+"/worker", "There is no configured worker %q.", beginning(s.Worker, 64))
	}
	for _, id := range names(s.Input) {
		if !isID(id) {
			c.add(ProblemBadID, at+"/input/"+escape(id), "The name of an input must be 1 to 64 letters, digits, _ and -, and begin with a letter or digit.")
		}
	}
	if s.Check != nil {
		c.check(*s.Check, at+"/check")
	}
	if r := s.Retry; r != nil {
		if r.MaxAttempts < 0 || r.MaxAttempts > mostAttempts {
			c.add(ProblemBadValue, at+"/retry/max_attempts", "max_attempts must be 1 to %d.", mostAttempts)
		}
		c.duration(r.Backoff, mostDuration, at, "/retry/backoff")
	}
	c.duration(s.Timeout, mostDuration, at, "/timeout")
	c.duration(s.Cache, mostPatience, at, "/cache")
	if s.Compensate != nil {
		c.tool(s.Compensate, at+"/compensate")
	}
	if s.OnFailure.Do != "" {
		c.recovery(s, at+"/on_failure")
	}
}

func (c *planCheck) duration(d Duration, most time.Duration, at, key string) {
	if d < 0 || time.Duration(d) > most {
		c.add(ProblemBadValue, at+key, "The duration must be more than 0 and at most %s.", most)
	}
}

func (c *planCheck) recovery(s *Subtask, at string) {
	switch s.OnFailure.Do {
	case OnFailureFail, OnFailureSkip, OnFailureReplan, OnFailureEscalate:
	case OnFailureFallback:
		f := s.OnFailure.Fallback
		switch {
		case s.Kind != KindWorker && (f == nil || f.Value == nil):
			c.add(ProblemMissingKey, at+"/fallback", "A subtask of the kind %s can fall back on a value alone.", s.Kind)
		case s.Kind != KindWorker && (f.Prompt != "" || f.Model != ""):
			c.add(ProblemWrongKey, at+"/fallback", "A subtask of the kind %s has no other prompt or model to fall back on.", s.Kind)
		case f != nil && f.Model != "" && c.rules.Model != nil && !c.rules.Model(f.Model):
			c.add(ProblemUnknownModel, at+"/fallback/model", "There is no model %q.", beginning(f.Model, 64))
		case s.Kind == KindDecide && s.Decide != nil:
			c.fallbackOption(s, at+"/fallback/value")
		}
	default:
		c.add(ProblemBadValue, at, "Subtask %s has an unknown on_failure; there are fail, skip, fallback, replan and escalate.", s.ID)
	}
}

// fallbackOption holds what a decision falls back on to what it may choose.
func (c *planCheck) fallbackOption(s *Subtask, at string) {
	option := TextOf(string(s.OnFailure.Fallback.Value))
	c.option(s.ID, s.Decide.Options, option, at)
	if option == OptionEscalate {
		c.add(ProblemBadValue, at, "To have a person asked when %s fails, say on_failure: escalate.", s.ID)
	}
}

// CheckPolicy returns what is wrong with a run's policy. The pointers are into
// the list: "/0/regex".
func CheckPolicy(policy []Check, rules Rules) []Problem {
	c := &planCheck{rules: rules}
	for i, check := range policy {
		if c.full() {
			break
		}
		at := fmt.Sprintf("/%d", i)
		c.check(check, at)
		if check.Expr != "" {
			c.expression(nil, -1, check.Expr, wanted{at: at + "/expr", kind: "bool", locals: []string{"output"}})
		}
	}
	return c.problems
}

func (c *planCheck) check(check Check, at string) {
	if len(check.JSONSchema) == 0 && check.Regex == "" && check.Expr == "" && check.Rubric == "" {
		c.add(ProblemMissingKey, at, "A check needs a json_schema, a regex, an expr or a rubric.")
	}
	if len(check.JSONSchema) > 0 && c.rules.Schema != nil {
		if err := c.rules.Schema(check.JSONSchema); err != nil {
			c.add(ProblemBadSchema, at+"/json_schema", "%s", err)
		}
	}
	c.pattern(check.Regex, at+"/regex")
	if n := check.MaxRevisions; n != nil && (*n < 0 || *n > mostRevisions) {
		c.add(ProblemBadValue, at+"/max_revisions", "max_revisions must be 0 to %d.", mostRevisions)
	}
}

func (c *planCheck) pattern(pattern, at string) {
	if _, err := checkPattern(pattern); err != nil {
		c.add(ProblemBadPattern, at, "It cannot be used: %s.", err)
	}
}

// tool checks a call of a tool against what is known of the tool.
func (c *planCheck) tool(call *ToolCall, at string) {
	i := slices.IndexFunc(c.rules.Tools, func(t Tool) bool { return t.Name == call.Name })
	if i < 0 {
		c.add(ProblemUnknownTool, at+"/name", "There is no configured tool %q.", beginning(call.Name, 64))
		return
	}
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
		Additional *json.RawMessage           `json:"additionalProperties"`
	}
	if json.Unmarshal(c.rules.Tools[i].Schema, &schema) != nil {
		return // whatever it is, the tool itself will hold the arguments to it
	}
	for _, name := range schema.Required {
		if _, given := call.Arguments[name]; !given {
			c.add(ProblemMissingKey, at+"/arguments", "The tool %s needs the argument %s.", call.Name, beginning(name, 64))
		}
	}
	for _, name := range names(call.Arguments) {
		if _, known := schema.Properties[name]; !known && schema.Additional != nil && string(*schema.Additional) == "false" {
			c.add(ProblemWrongKey, at+"/arguments/"+escape(name), "The tool %s has no such argument.", call.Name)
		}
	}
}

// names returns the keys of a map in ascending order.
func names(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// escape makes a key a part of a JSON Pointer.
func escape(key string) string {
	return pointerEscapes.Replace(beginning(key, 64))
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")
