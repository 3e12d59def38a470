package orchestration

import (
	"fmt"
	"strings"
)

// maxCycles is how many cycles are named at most: a plan may have very many.
const maxCycles = 10

// cycles names the paths of a level's cycles, found by a depth-first walk
// without recursion: a plan may be deep.
func (c *planCheck) cycles(l *level) {
	const fresh, open, done = 0, 1, 2
	state := make([]int, len(l.subtasks))
	next := make([]int, len(l.subtasks)) // the dependency to follow next
	found := 0
	for root := range l.subtasks {
		if state[root] != fresh {
			continue
		}
		path := []int{root}
		state[root] = open
		for len(path) > 0 {
			i := path[len(path)-1]
			deps := l.subtasks[i].DependsOn
			if next[i] == len(deps) {
				state[i] = done
				path = path[:len(path)-1]
				continue
			}
			on, here := l.place[deps[next[i]]]
			next[i]++
			switch {
			case !here || on == i: // a fault of another kind
			case state[on] == fresh:
				state[on] = open
				path = append(path, on)
			case state[on] == open:
				c.cycle(l, path, on, next[i]-1)
				if found++; found == maxCycles {
					return
				}
			}
		}
	}
}

// cycle reports the cycle that the dep-th dependency of the path's last subtask
// closes, which is on the path.
func (c *planCheck) cycle(l *level, path []int, on, dep int) {
	start := len(path) - 1
	for path[start] != on {
		start--
	}
	var names []string
	for _, i := range append(path[start:len(path):len(path)], on) {
		names = append(names, l.subtasks[i].ID)
	}
	last := path[len(path)-1]
	at := fmt.Sprintf("%s/%d", l.at, last)
	if s := &l.subtasks[last]; dep < len(s.DependsOn)-len(s.Implied) {
		at += fmt.Sprintf("/depends_on/%d", dep)
	}
	c.add(ProblemCycle, at, "The subtasks wait for each other: %s.", strings.Join(names, " → "))
}
