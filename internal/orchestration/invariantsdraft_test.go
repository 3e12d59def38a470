package orchestration

import (
	"cmp"
	"slices"

	"pgregory.net/rapid"
)

// draft has a planner write on, if there is one.
func (w *world) draft() {
	at := slices.IndexFunc(w.awaited, func(c Command) bool {
		plan, ok := c.(MakePlan)
		return ok && plan.Revision == nil
	})
	if at < 0 {
		w.hearOne()
		return
	}
	c := w.awaited[at].(MakePlan)
	p := w.writes(c)
	n := rapid.IntRange(1, len(p.Subtasks)).Draw(w.t, "drafts")
	if last := &p.Subtasks[n-1]; oneIn(w.t, 6, "unsound") {
		last.DependsOn = append(slices.Clone(last.DependsOn), rapid.SampledFrom([]string{"nobody", "s5", last.ID}).Draw(w.t, "on"))
	}
	if taken := w.say(Drafted{Attempt: c.Attempt, Subtasks: p.Subtasks[:n]}); len(taken) > 0 && w.run.Spec.ReviewPlan {
		w.t.Fatalf("a draft gave %v", taken)
	}
}

// writes returns what a planner writes: the same as before, unless it contradicts
// itself.
func (w *world) writes(c MakePlan) Plan {
	if c.Revision != nil {
		return w.planned(c.Revision)
	}
	p, begun := w.writing[c.Attempt]
	if !begun {
		if p = w.writing[c.Attempt-1]; c.Repair == nil || p.Subtasks == nil {
			p = w.rest(c.Given)
		}
	}
	p.Subtasks = slices.Clone(p.Subtasks)
	if oneIn(w.t, 5, "contradicts itself") {
		s := &p.Subtasks[rapid.IntRange(0, len(p.Subtasks)-1).Draw(w.t, "in")]
		s.Description += ", otherwise"
	}
	w.writing[c.Attempt] = p
	return p
}

// rest draws a plan, or the rest of one: some of what is given is named once more,
// and some depends on it.
func (w *world) rest(given []Subtask) Plan {
	p := w.plain(6)
	for _, g := range given {
		for i := range p.Subtasks {
			if p.Subtasks[i].ID != g.ID {
				continue
			}
			if rapid.Bool().Draw(w.t, "repeated") {
				p.Subtasks[i] = g
			} else {
				p = renamedIn(p, i)
			}
		}
	}
	for _, g := range given {
		if s := &p.Subtasks[len(p.Subtasks)-1]; s.ID != g.ID && !slices.Contains(s.DependsOn, g.ID) && oneIn(w.t, 3, "depends on what is given") {
			s.DependsOn = append(slices.Clone(s.DependsOn), g.ID)
		}
	}
	return p
}

// renamedIn gives a subtask of a plan an id that is not given.
func renamedIn(p Plan, at int) Plan {
	was := p.Subtasks[at].ID
	for i := range p.Subtasks {
		s := &p.Subtasks[i]
		if i == at {
			s.ID = "r" + was
		}
		s.DependsOn = mapped(s.DependsOn, func(id string) string {
			if id == was {
				return "r" + was
			}
			return id
		})
	}
	return p
}

// adopted holds a plan against its drafts and, where a planner made it, against what
// that said.
func (w *world) adopted(e Event, f *PlanCreated) {
	w.created = true
	w.total -= len(f.Dropped)
	for _, id := range f.Dropped {
		w.known[id].dropped = true
	}
	if len(f.Subtasks)+len(f.Dropped) != len(w.known) {
		w.t.Fatalf("%s has %v and drops %v, of %d that were added", e.Type(), f.Subtasks, f.Dropped, len(w.known))
	}
	for i, id := range f.Subtasks {
		if w.known[id].dropped || w.run.Subtasks[i].ID != id {
			w.t.Fatalf("%s has %v and drops %v", e.Type(), f.Subtasks, f.Dropped)
		}
	}
	if f.Source == PlanOfPlanner {
		w.asSaid(f)
	}
}

// asSaid judges that a plan is what its planner was given and said, but for new ids.
func (w *world) asSaid(f *PlanCreated) {
	var said []Subtask
	given := w.given
	for _, id := range given {
		said = append(said, w.known[id].Subtask)
	}
	for _, s := range w.answer.Plan.Subtasks {
		if !slices.Contains(given, s.ID) {
			said = append(said, s)
		}
	}
	if len(said) != len(f.Subtasks) {
		w.t.Fatalf("the plan has %v; given were %v, and said was %v", f.Subtasks, given, w.answer.Plan.Subtasks)
	}
	names := map[string]string{}
	for i, s := range said {
		names[s.ID] = f.Subtasks[i]
	}
	for _, s := range said {
		is := w.known[names[s.ID]]
		depends := mapped(s.DependsOn, func(id string) string { return names[id] })
		if is.Description != s.Description || is.Type != cmp.Or(s.Type, DefaultType) || !slices.Equal(is.DependsOn, depends) {
			w.t.Fatalf("the plan has %+v, and said was %+v", is.Subtask, s)
		}
	}
}
