package orchestration

import (
	"slices"
	"strings"
	"time"
)

// Caches returns what those events of the run add to its tenant's cache. What was made
// of less than was to be shown is not for others, who may have more room: neither the
// models' windows nor what a budget leaves is in the keys.
func (r *Run) Caches(events []Event) []Cached {
	if !r.caches() {
		return nil
	}
	var cached []Cached
	keep := func(e Event, key, output string, ttl time.Duration) {
		if key != "" && ttl > 0 {
			cached = append(cached, Cached{Tenant: r.Spec.Tenant, Key: key, Output: output, Expires: e.Time.Add(ttl)})
		}
	}
	for _, e := range events {
		s := r.Subtask(e.Subtask)
		switch f := e.Fact.(type) {
		case *SubtaskSucceeded:
			if s.Kind != KindPlan && !f.Cached && !f.Fallback && !f.Shortened {
				keep(e, s.CacheKey, f.Output, r.ttl(s))
			}
		case *PlanCreated:
			switch {
			case f.Source != PlanOfPlanner || f.Cached || f.Shortened:
			case s != nil:
				keep(e, s.CacheKey, r.planText(f, s.ID), r.ttl(s))
			default:
				keep(e, r.Planning.CacheKey, r.planText(f, ""), time.Duration(r.Spec.Cache))
			}
		case *SynthesisSucceeded:
			if !f.Cached && !f.Shortened {
				keep(e, r.Synthesis.CacheKey, f.Output, time.Duration(r.Spec.Cache))
			}
		}
	}
	return cached
}

// planText returns a planner's plan as JSON, with the ids that the planner gave.
func (r *Run) planText(f *PlanCreated, parent string) string {
	prefix := ""
	if parent != "" {
		prefix = childID(parent, 1, "")
	}
	plain := func(id string) string { return strings.TrimPrefix(id, prefix) }
	plan := Plan{Analysis: f.Analysis}
	for _, id := range f.Subtasks {
		s := completed(r.Subtask(id).Subtask)
		s.ID, s.DependsOn = plain(s.ID), mapped(s.DependsOn, plain)
		plan.Subtasks = append(plan.Subtasks, s)
	}
	return string(encoded(plan))
}

// ttl returns how long a subtask's output may be used again, 0 if not at all. The
// run's own wish is for what has no effect but its output.
func (r *Run) ttl(s *SubtaskState) time.Duration {
	switch {
	case s.Cache > 0:
		return time.Duration(s.Cache)
	case s.Compensate != nil:
		return 0
	case s.Kind == KindTool && !r.readOnly(s.Tool.Name):
		return 0
	case s.Kind == KindWorker:
		if by, _ := r.performer(s); !r.changesNothing(by) {
			return 0
		}
	}
	return time.Duration(r.Spec.Cache)
}

func (r *Run) readOnly(tool string) bool {
	return slices.ContainsFunc(r.Spec.Tools, func(t Tool) bool { return t.Name == tool && t.ReadOnly })
}

// caches reports whether anything of the run may be cached, so that outputs are
// hashed. Images have no hash to be told apart by, so with any nothing is.
func (r *Run) caches() bool {
	return (r.Spec.Cache > 0 || r.Caching) && len(r.Spec.Attachments) == 0
}

// caching reports whether a subtask, or one of its body, is to be cached.
func (s *Subtask) caching() bool {
	if s.Cache > 0 {
		return true
	}
	body := s.body()
	return body != nil && slices.ContainsFunc(*body, func(child Subtask) bool { return child.caching() })
}

// take takes over the outputs of the run that this one was forked from.
func (d *decision) take() {
	if d.run.Spec.Fork == nil || d.run.Planning.Version != 1 {
		return
	}
	for _, g := range d.run.Spec.Fork.Given {
		if s := d.run.Subtask(g.Subtask); s != nil && s.Status == StatusPending {
			d.emitFor(s.ID, 0, &SubtaskSucceeded{Output: g.Output, Cached: true, Fallback: g.Fallback, Shortened: g.Shortened})
		}
	}
	for _, id := range d.run.Spec.Fork.Left {
		if s := d.run.Subtask(id); s != nil && s.Status == StatusPending {
			d.emitFor(s.ID, 0, skippedBecause(BecauseStopped, "A decision that this run took over leaves it undone."))
		}
	}
}
