package orchestration

import (
	"fmt"
	"slices"
	"strings"
)

// A revision is what becomes of a plan: which subtasks are kept and which are
// dropped, by id in plan order, what is new, and which that were lost it names
// once more as they were.
type revision struct {
	kept, dropped []string
	added         []Subtask
	lost          []string
	looked        []string // of those kept: expressions look into their outputs from now on
}

// revise holds a planner's new plan against the one in force. What has
// succeeded is kept and cannot be defined anew; what is the same under the same
// id is kept as it is; all else is new, under a new id where its own is taken.
// What was not done and is not named any more is dropped.
func (r *Run) revise(p Plan) revision {
	same := r.unchanged(p)
	var rev revision
	for _, s := range p.Subtasks {
		if same[s.ID] && r.Subtask(s.ID).lost() {
			rev.lost = append(rev.lost, s.ID)
		}
	}
	_, rev.added = r.renamed(p, same)
	for _, s := range r.Subtasks {
		switch {
		case s.Dropped > 0 || s.Parent != "":
		case s.Status.Ended() || same[s.ID]:
			rev.kept = append(rev.kept, s.ID)
		default:
			rev.dropped = append(rev.dropped, s.ID)
		}
	}
	rev.dropped = r.withChildren(rev.dropped)
	return rev
}

// contradictions tells of the ids that mean two things in a plan: only one of them
// could be held against what the id means already.
func (p Plan) contradictions() []Problem {
	var problems []Problem
	first := make(map[string]Subtask, len(p.Subtasks))
	for _, s := range p.Subtasks {
		was, named := first[s.ID]
		switch {
		case !named:
			first[s.ID] = completed(s)
		case !sameContent(was, completed(s)):
			problems = append(problems, Problem{Code: ProblemDuplicateID, Detail: fmt.Sprintf(
				"The id %q is that of two subtasks; each needs its own.", beginning(s.ID, 64))})
		}
	}
	return problems
}

// renamed returns what of a plan is not the same as it was, under new ids where its
// own mean something else, and the ids of the whole plan, in its order.
func (r *Run) renamed(p Plan, same map[string]bool) (ids []string, added []Subtask) {
	names := make(map[string]string, len(p.Subtasks)) // the planner's ids, as they will be
	taken := make(map[string]bool, len(p.Subtasks))
	numbers := make(map[string]int) // by what fresh ids begin with: the last one
	for _, s := range p.Subtasks {
		names[s.ID], taken[s.ID] = s.ID, true
	}
	for _, s := range p.Subtasks {
		if same[s.ID] {
			continue
		}
		if r.Subtask(s.ID) != nil && names[s.ID] == s.ID {
			names[s.ID] = r.freshID(s.ID, taken, numbers)
			taken[names[s.ID]] = true
		}
		added = append(added, s)
	}
	for i := range added {
		s := &added[i]
		s.ID, s.DependsOn = names[s.ID], slices.Clone(s.DependsOn)
		for j, id := range s.DependsOn {
			if name, ok := names[id]; ok {
				s.DependsOn[j] = name
			}
		}
	}
	for _, s := range p.Subtasks {
		ids = append(ids, names[s.ID])
	}
	return ids, added
}

// unchanged tells of each id of p whether it means what it means already. A
// subtask that has not started is another one when a dependency of it is.
func (r *Run) unchanged(p Plan) map[string]bool {
	same := make(map[string]bool, len(p.Subtasks))
	for _, s := range p.Subtasks {
		was := r.Subtask(s.ID)
		same[s.ID] = was != nil && was.Dropped == 0 && (was.Status == StatusSucceeded || sameContent(was.Subtask, completed(s)))
	}
	stays := func(id string) bool {
		unchanged, named := same[id]
		was := r.Subtask(id) // none, where an id is named twice and not all of it is the same
		return unchanged || !named && was != nil && was.Status.Ended()
	}
	p.othersWith(same, func(id string) bool { return r.Subtask(id).Status == StatusPending }, stays)
	return same
}

// othersWith has the subtasks of a plan that are the same, and may be others, be
// others where what they depend on does not stay, however far down the plan.
func (p Plan) othersWith(same map[string]bool, may, stays func(id string) bool) {
	var others []string
	builds := make(map[string][]string, len(p.Subtasks)) // by id: what builds on it
	for _, s := range p.Subtasks {
		for _, id := range s.DependsOn {
			builds[id] = append(builds[id], s.ID)
			if !stays(id) {
				others = append(others, s.ID)
			}
		}
	}
	for len(others) > 0 {
		id := others[0]
		others = others[1:]
		if same[id] && may(id) {
			same[id] = false
			others = append(others, builds[id]...)
		}
	}
}

func all(ids []string, hold func(id string) bool) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !hold(id) })
}

// sameContent reports whether b, by a planner, is a as it was. A planner can only
// name what it could not have written.
func sameContent(a, b Subtask) bool {
	return a.Kind != KindWorker || a.Type == b.Type && strings.TrimSpace(a.Description) == strings.TrimSpace(b.Description) && slices.Equal(a.DependsOn, b.DependsOn)
}

// freshID returns an id like that one that means nothing yet. The numbers are those up
// to which it was looked for before.
func (r *Run) freshID(id string, taken map[string]bool, numbers map[string]int) string {
	const room = 56 // of the 64 that an id may have
	base := beginning(id, room)
	for n := max(2, numbers[base]+1); ; n++ {
		if fresh := fmt.Sprintf("%s-%d", base, n); r.Subtask(fresh) == nil && !taken[fresh] {
			numbers[base] = n
			return fresh
		}
	}
}

// check returns what is wrong with the plan as it would be. What has ended is
// beyond criticism. The problems have no pointers: the planner's answer looks
// otherwise than the plan that it makes.
func (rev *revision) check(r *Run) []Problem {
	whole := Plan{Subtasks: slices.Clone(rev.added)}
	for _, id := range rev.kept {
		s := r.Subtask(id)
		if s.Status.Ended() {
			whole.Subtasks = append(whole.Subtasks, done(s))
		} else {
			whole.Subtasks = append(whole.Subtasks, s.Subtask)
		}
	}
	problems := whole.Check(r.rules())
	for i := range problems {
		problems[i].Pointer = ""
	}
	for _, s := range rev.added {
		for _, id := range s.DependsOn {
			if on := r.Subtask(id); on != nil && on.lost() && s.After != AfterEnded {
				problems = append(problems, Problem{Code: ProblemFailedDependency, Detail: fmt.Sprintf(
					"Subtask %s depends on %s, which %s: plan what is to be done in its place.", s.ID, id, verb(on.Status))})
			}
		}
	}
	if len(rev.added) == 0 { // still wanted, and nothing makes up for it
		for _, id := range rev.lost {
			problems = append(problems, Problem{Code: ProblemNothingNew, Detail: fmt.Sprintf(
				"Subtask %s %s and is planned once more as it was: plan what is to be done in its place.", id, verb(r.Subtask(id).Status))})
		}
	}
	return problems
}
