package orchestration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Codes of a plan's problems.
const (
	ProblemEmpty             = "empty_plan"
	ProblemTooMany           = "too_many_subtasks"
	ProblemTooDeep           = "too_deep"
	ProblemBadID             = "invalid_id"
	ProblemReservedID        = "reserved_id"
	ProblemDuplicateID       = "duplicate_id"
	ProblemBlankDescription  = "blank_description"
	ProblemUnknownKind       = "unknown_kind"
	ProblemMissingKey        = "missing_key"
	ProblemWrongKey          = "wrong_key"
	ProblemBadValue          = "invalid_value"
	ProblemUnknownWorker     = "unknown_worker"
	ProblemUnknownTool       = "unknown_tool"
	ProblemUnknownModel      = "unknown_model"
	ProblemUnknownWorkflow   = "unknown_workflow"
	ProblemUnknownSubtask    = "unknown_subtask"
	ProblemUnknownOption     = "unknown_option"
	ProblemUnreachable       = "unreachable"
	ProblemUnbounded         = "unbounded_loop"
	ProblemBadExpression     = "invalid_expression"
	ProblemBadPattern        = "invalid_pattern"
	ProblemBadSchema         = "invalid_schema"
	ProblemSelfDependency    = "self_dependency"
	ProblemUnknownDependency = "unknown_dependency"
	ProblemFailedDependency  = "failed_dependency"
	ProblemNothingNew        = "nothing_new"
	ProblemCycle             = "cycle"
)

// isID reports whether a text has the form of an id: 1 to 64 letters, digits, _ and -,
// of which the first is a letter or digit.
func isID(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i == 0 || c != '_' && c != '-':
			return false
		}
	}
	return 0 < len(text) && len(text) <= 64
}

// reservedIDs are names of the plan language, which an id would hide.
var reservedIDs = []string{"task", "context", "run", "subtasks", "item", "index", "iteration", "previous", "output"}

// Check returns what is wrong with a plan, up to a hundred problems, nil when nothing
// is. It takes time linear in the size of the plan.
func (p Plan) Check(rules Rules) []Problem {
	_, problems := p.Prepare(rules)
	return problems
}

// Prepare completes what a plan leaves to be understood: defaults, the order, the
// dependencies that expressions name. The problems are those of Check. A plan that is prepared is not to be prepared again.
func (p Plan) Prepare(rules Rules) (Plan, []Problem) {
	if len(p.Subtasks) == 0 {
		return p, []Problem{{"/subtasks", ProblemEmpty, "The plan has no subtasks."}}
	}
	if n := size(p.Subtasks, 0); n > rules.MaxSubtasks {
		return p, []Problem{{
			"/subtasks", ProblemTooMany,
			fmt.Sprintf("The plan has %d subtasks; at most %d are allowed.", n, rules.MaxSubtasks),
		}}
	}
	c := &planCheck{rules: rules}
	p.Subtasks = c.level(&level{at: "/subtasks", order: p.Order}, p.Subtasks)
	p.Order = ""
	return p, c.problems
}

// size counts subtasks, with those in bodies.
func size(subtasks []Subtask, depth int) int {
	n := len(subtasks)
	for i := range subtasks {
		if body := subtasks[i].body(); body != nil && depth < maxDepth {
			n += size(*body, depth+1)
		}
	}
	return n
}

// mostProblems is how many problems of a plan are told: whoever has to mend so many
// asks again.
const mostProblems = 100

type planCheck struct {
	rules     Rules
	problems  []Problem
	expressed int // bytes of the expressions so far
}

// A level is the subtasks of a plan, or of a body, with the names that they know.
type level struct {
	at       string // where they stand: "/subtasks/3/loop/body"
	order    Order
	outer    *level // whose names a body knows, too; nil: none
	owner    int    // in outer: the subtask whose body it is
	depth    int
	locals   []string // "item", "index", "iteration", "previous"
	subtasks []Subtask
	place    map[string]int
	visible  []string // ids, the inner ones first
}

// full reports whether there is no room for another problem: to go on would cost and
// tell nothing.
func (c *planCheck) full() bool { return len(c.problems) >= mostProblems }

func (c *planCheck) add(code, pointer, detail string, args ...any) {
	if c.full() {
		return
	}
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	c.problems = append(c.problems, Problem{pointer, code, detail})
}

// level checks and completes the subtasks of a plan or body.
func (c *planCheck) level(l *level, subtasks []Subtask) []Subtask {
	l.subtasks, l.place = slices.Clone(subtasks), make(map[string]int, len(subtasks))
	if l.order != "" && l.order != OrderParallel && l.order != OrderSequential {
		c.add(ProblemBadValue, strings.TrimSuffix(strings.TrimSuffix(l.at, "subtasks"), "body")+"order", "The order must be parallel or sequential.")
	}
	for i := range l.subtasks {
		s := &l.subtasks[i]
		*s = completed(*s)
		if i > 0 && l.order == OrderSequential && !slices.Contains(s.DependsOn, l.subtasks[i-1].ID) {
			s.DependsOn = append(slices.Clip(s.DependsOn), l.subtasks[i-1].ID)
		}
		c.id(l, i)
	}
	l.see()
	for i := 0; i < len(l.subtasks) && !c.full(); i++ {
		c.kind(l, i)
	}
	for i := 0; i < len(l.subtasks) && !c.full(); i++ {
		c.dependencies(l, i)
	}
	for i := 0; i < len(l.subtasks) && !c.full(); i++ {
		c.expressions(l, i)
		c.body(l, i)
	}
	l.keep()
	c.cycles(l)
	return l.subtasks
}

// completed returns a subtask with the defaults in the place of what it leaves out.
func completed(s Subtask) Subtask {
	s.Kind, s.After = cmp.Or(s.Kind, KindWorker), cmp.Or(s.After, AfterSucceeded)
	if s.Kind == KindWorker {
		s.Type = cmp.Or(strings.TrimSpace(s.Type), DefaultType)
	}
	s.Check, s.OnFailure = s.Check.compact(), s.OnFailure.compact()
	s.Implied, s.Uses, s.Passes, s.Kept, s.Parent, s.Round = nil, nil, nil, false, "", 0
	return s
}

func (c *planCheck) id(l *level, i int) {
	s := &l.subtasks[i]
	at := func() string { return fmt.Sprintf("%s/%d/id", l.at, i) }
	if first, taken := l.place[s.ID]; taken {
		c.add(ProblemDuplicateID, at(), "The id %q is that of subtask %d too; each needs its own.", beginning(s.ID, 64), first+1)
	} else {
		l.place[s.ID] = i
	}
	switch {
	case !isID(s.ID):
		c.add(ProblemBadID, at(), "The id %q must be 1 to 64 letters, digits, _ and -, and begin with a letter or digit.", beginning(s.ID, 64))
	case slices.Contains(reservedIDs, s.ID) || c.rules.Expressions != nil && c.rules.Expressions.Reserved(s.ID):
		c.add(ProblemReservedID, at(), "The id %q hides a name of the plan language; choose another.", s.ID)
	}
}

// see gathers the ids that expressions at this level may name.
func (l *level) see() {
	for i := range l.subtasks {
		l.visible = append(l.visible, l.subtasks[i].ID)
	}
	if l.outer == nil {
		return
	}
	for _, id := range l.outer.visible {
		if _, hidden := l.place[id]; !hidden {
			l.visible = append(l.visible, id)
		}
	}
}

// keep marks what a merge, an approval, a compensation or the outside of a body
// looks into.
func (l *level) keep() {
	named := make([]bool, len(l.subtasks))
	for i := range l.subtasks {
		s := &l.subtasks[i]
		looks := s.Kind == KindMerge || s.Kind == KindApproval
		if l.depth == 0 && !looks {
			continue
		}
		for _, id := range s.DependsOn {
			on, here := l.place[id]
			if !here {
				continue
			}
			named[on] = true
			if looks && !slices.Contains(s.Implied, id) {
				l.subtasks[on].Kept = true
			}
		}
	}
	for i := range l.subtasks {
		s := &l.subtasks[i]
		s.Kept = s.Kept || l.depth > 0 && !named[i] || s.Compensate != nil && len(s.Compensate.Arguments) > 0
	}
}

func (c *planCheck) dependencies(l *level, i int) {
	s := &l.subtasks[i]
	looks := s.Kind == KindMerge || s.Kind == KindApproval
	at := func(j int) string { return fmt.Sprintf("%s/%d/depends_on/%d", l.at, i, j) }
	seen := make(map[string]bool, len(s.DependsOn))
	for j, id := range s.DependsOn {
		if c.full() {
			return
		}
		_, here := l.place[id]
		switch {
		case id == s.ID:
			c.add(ProblemSelfDependency, at(j), "Subtask %s depends on itself.", s.ID)
		case seen[id]:
			c.add(ProblemDuplicateID, at(j), "Subtask %s names its dependency %s twice.", s.ID, id)
		case !here:
			c.outside(l, id, looks, at(j), fmt.Sprintf("Subtask %s depends on %q", s.ID, beginning(id, 64)))
		}
		seen[id] = true
	}
}

// outside has the subtask whose body l is depend on one of a level further out,
// and keeps that one's output, if asked for. who says, in a problem, what names it.
func (c *planCheck) outside(l *level, id string, keep bool, at, who string) {
	for l.outer != nil {
		owner := l.owner
		l = l.outer
		on, here := l.place[id]
		switch {
		case here && on == owner:
			c.add(ProblemSelfDependency, at, "%s, which it is a part of.", who)
			return
		case here:
			l.imply(owner, id)
			l.subtasks[on].Kept = l.subtasks[on].Kept || keep
			return
		}
	}
	c.add(ProblemUnknownDependency, at, "%s, which is no subtask of the plan.", who)
}

// imply has a subtask depend on another one of its level that an expression names.
func (l *level) imply(i int, id string) {
	s := &l.subtasks[i]
	if !slices.Contains(s.DependsOn, id) {
		s.DependsOn, s.Implied = append(slices.Clip(s.DependsOn), id), append(slices.Clip(s.Implied), id)
	}
}
