package orchestration

import (
	"fmt"
	"regexp"
	"strings"
)

// Codes of a plan's problems.
const (
	ProblemEmpty             = "empty_plan"
	ProblemTooMany           = "too_many_subtasks"
	ProblemBadID             = "invalid_id"
	ProblemDuplicateID       = "duplicate_id"
	ProblemBlankDescription  = "blank_description"
	ProblemUnsupportedKind   = "unsupported_kind"
	ProblemSelfDependency    = "self_dependency"
	ProblemUnknownDependency = "unknown_dependency"
	ProblemFailedDependency  = "failed_dependency"
	ProblemNothingNew        = "nothing_new"
	ProblemCycle             = "cycle"
)

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// Check returns what is wrong with a plan, nil when nothing is. It takes time
// linear in the size of the plan.
func (p Plan) Check(rules Rules) []Problem {
	most := rules.MaxSubtasks
	if len(p.Subtasks) == 0 {
		return []Problem{{"/subtasks", ProblemEmpty, "The plan has no subtasks."}}
	}
	if len(p.Subtasks) > most {
		return []Problem{{
			"/subtasks", ProblemTooMany,
			fmt.Sprintf("The plan has %d subtasks; at most %d are allowed.", len(p.Subtasks), most),
		}}
	}
	c := planCheck{plan: p, place: make(map[string]int, len(p.Subtasks))}
	c.subtasks()
	c.dependencies()
	if len(c.problems) == 0 {
		c.cycles()
	}
	return c.problems
}

type planCheck struct {
	plan     Plan
	place    map[string]int
	problems []Problem
}

func (c *planCheck) add(code, detail, pointer string, args ...any) {
	c.problems = append(c.problems, Problem{fmt.Sprintf(pointer, args...), code, detail})
}

func (c *planCheck) subtasks() {
	for i, s := range c.plan.Subtasks {
		if first, taken := c.place[s.ID]; taken {
			c.add(ProblemDuplicateID, fmt.Sprintf("The id %q is that of subtask %d too; each needs its own.", s.ID, first+1), "/subtasks/%d/id", i)
		} else {
			c.place[s.ID] = i
		}
		if !idForm.MatchString(s.ID) {
			c.add(ProblemBadID, fmt.Sprintf("The id %q must be 1 to 64 letters, digits, _ and -, and begin with a letter or digit.", beginning(s.ID, 64)), "/subtasks/%d/id", i)
		}
		if strings.TrimSpace(s.Description) == "" {
			c.add(ProblemBlankDescription, fmt.Sprintf("Subtask %s has no description: say what is to be done.", s.ID), "/subtasks/%d/description", i)
		}
		switch s.OnFailure.Do {
		case "", OnFailureFail, OnFailureSkip, OnFailureFallback, OnFailureReplan:
		default:
			c.add(ProblemUnsupportedKind, fmt.Sprintf("Subtask %s has an on_failure that is not supported; fail, skip, fallback and replan are.", s.ID), "/subtasks/%d/on_failure", i)
		}
		if s.Kind != "" && s.Kind != KindWorker {
			c.add(ProblemUnsupportedKind, fmt.Sprintf("Subtask %s is of a kind that is not supported; only \"worker\" is.", s.ID), "/subtasks/%d/kind", i)
		}
	}
}

func (c *planCheck) dependencies() {
	named := make([]int, len(c.plan.Subtasks)) // by place: the last one, from 1, that depends on it
	for i, s := range c.plan.Subtasks {
		for j, id := range s.DependsOn {
			on, known := c.place[id]
			switch {
			case id == s.ID:
				c.add(ProblemSelfDependency, fmt.Sprintf("Subtask %s depends on itself.", s.ID), "/subtasks/%d/depends_on/%d", i, j)
			case !known:
				c.add(ProblemUnknownDependency, fmt.Sprintf("Subtask %s depends on %q, which is no subtask of the plan.", s.ID, beginning(id, 64)), "/subtasks/%d/depends_on/%d", i, j)
			case named[on] == i+1:
				c.add(ProblemDuplicateID, fmt.Sprintf("Subtask %s names its dependency %s twice.", s.ID, id), "/subtasks/%d/depends_on/%d", i, j)
			}
			if known {
				named[on] = i + 1
			}
		}
	}
}

// maxCycles is how many cycles are named at most: a plan may have very many.
const maxCycles = 10

// cycles names the paths of the plan's cycles, found by a depth-first walk
// without recursion: a plan may be deep.
func (c *planCheck) cycles() {
	const fresh, open, done = 0, 1, 2
	state := make([]int, len(c.plan.Subtasks))
	next := make([]int, len(c.plan.Subtasks)) // the dependency to follow next
	for root := range c.plan.Subtasks {
		if state[root] != fresh {
			continue
		}
		path := []int{root}
		state[root] = open
		for len(path) > 0 {
			i := path[len(path)-1]
			deps := c.plan.Subtasks[i].DependsOn
			if next[i] == len(deps) {
				state[i] = done
				path = path[:len(path)-1]
				continue
			}
			on := c.place[deps[next[i]]]
			next[i]++
			switch state[on] {
			case fresh:
				state[on] = open
				path = append(path, on)
			case open:
				if c.addCycle(path, on, next[i]-1); len(c.problems) == maxCycles {
					return
				}
			}
		}
	}
}

// addCycle reports the cycle that the dep-th dependency of the path's last
// subtask closes, which is on the path.
func (c *planCheck) addCycle(path []int, on, dep int) {
	start := len(path) - 1
	for path[start] != on {
		start--
	}
	var names []string
	for _, i := range append(path[start:len(path):len(path)], on) {
		names = append(names, c.plan.Subtasks[i].ID)
	}
	c.add(ProblemCycle, fmt.Sprintf("The subtasks wait for each other: %s.", strings.Join(names, " → ")),
		"/subtasks/%d/depends_on/%d", path[len(path)-1], dep)
}
