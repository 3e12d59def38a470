package orchestration

import (
	"cmp"
	"slices"
)

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
