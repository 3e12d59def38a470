package orchestration

// A draft is a subtask of a plan that is still being written. It is added as soon as
// it is certain, and starts if whoever performs it changes nothing. The whole plan is
// then held against its drafts: what it has as it was drafted is kept, whatever has
// become of it, and all else of them is dropped.

// drafted takes the first subtasks of a planner's answer, up to the first one that is
// not sound by itself: what is wrong with that is told of the whole plan.
func (d *decision) drafted(in Drafted) {
	r := d.run
	if d.stopping || !r.drafts(in.Attempt) {
		return
	}
	rules, known := r.planRules(), make(map[string]bool, len(in.Subtasks))
	for _, id := range r.Planning.Given {
		known[id] = true
	}
	for _, s := range in.Subtasks {
		s = completed(r.inStyle(s))
		was := r.Subtask(s.ID)
		if was != nil && !sameDraft(was.Subtask, s) || was == nil && (len(known) >= rules.MaxSubtasks || !r.sound(s, known, rules)) {
			break
		}
		if known[s.ID] = true; was == nil {
			d.emitFor(s.ID, 0, &PlanSubtaskAdded{Subtask: s})
		}
	}
	if len(d.events) > 0 {
		d.advance()
	}
}

// drafts reports whether subtasks are taken from that attempt at a plan while it is
// being written. A plan that a person is to look at is not begun before.
func (r *Run) drafts(attempt int) bool {
	p := &r.Planning
	return p.Version == 0 && p.Status == StatusRunning && p.Attempt == attempt && !r.over() && !r.Spec.ReviewPlan
}

// sound reports whether nothing is wrong with a draft, by what is known of its plan.
func (r *Run) sound(s Subtask, known map[string]bool, rules Rules) bool {
	if s.Kind != KindWorker || !all(s.DependsOn, func(id string) bool { return known[id] }) {
		return false
	}
	part := Plan{Subtasks: make([]Subtask, 0, len(s.DependsOn)+1)}
	for _, id := range s.DependsOn {
		part.Subtasks = append(part.Subtasks, done(r.Subtask(id)))
	}
	part.Subtasks = append(part.Subtasks, s)
	return len(part.Check(rules)) == 0
}

// early reports whether a subtask may start before its plan is checked: whoever
// performs it can change nothing.
func (r *Run) early(s *SubtaskState) bool {
	by, _ := r.performer(s)
	return s.Kind == KindWorker && r.changesNothing(by)
}

// changesNothing reports whether a worker has no tools but those that only read.
func (r *Run) changesNothing(by Worker) bool { return all(by.Tools, r.readOnly) }

// sameDraft reports whether b is the draft a as it was.
func sameDraft(a, b Subtask) bool {
	return b.Kind == KindWorker && a.Worker == b.Worker && sameContent(a, b)
}

// givenTo returns the ids of what the planner is told of besides its task. A repair is
// asked for in the same words as what it mends.
func (r *Run) givenTo(repair bool) []string {
	switch {
	case r.Planning.Version > 0:
		return nil
	case repair:
		return r.Planning.Given
	}
	var given []string
	for _, s := range r.Subtasks {
		given = append(given, s.ID)
	}
	return given
}

// getsOn reports whether an answer that was cut off at the model's limit gave some of
// the plan: then asking for the rest helps, and asking for all of it again would not.
func (r *Run) getsOn(f *Failure) bool {
	p := &r.Planning
	return p.Version == 0 && f.Code == CodeTruncated && !p.Repairing && len(r.Subtasks) > len(p.Given)
}

// planOn has the planner asked for the rest of its plan at once.
func (d *decision) planOn(p Planned) {
	d.emit(p.Attempt, &PlanInvalid{Failure: *p.Failure, RetryAt: &d.now, Calls: p.Calls})
	if !d.stopping {
		d.startPlanning()
	}
}

// joined puts the rest of a plan behind what the planner was given. It may have named
// that once more.
func (r *Run) joined(p Plan) Plan {
	given := r.Planning.Given
	if len(given) == 0 {
		return p
	}
	subtasks, named := make([]Subtask, 0, len(given)+len(p.Subtasks)), make(map[string]bool, len(given))
	for _, id := range given {
		subtasks, named[id] = append(subtasks, r.Subtask(id).Subtask), true
	}
	for _, s := range p.Subtasks {
		if !named[s.ID] || !sameDraft(r.Subtask(s.ID).Subtask, completed(s)) {
			subtasks = append(subtasks, s)
		}
	}
	p.Subtasks = subtasks
	return p
}

// against holds a checked plan against its drafts. It returns the ids of all of it in
// plan order, what is to be added, and the ids of the drafts that it drops.
func (r *Run) against(p Plan) (ids []string, added []Subtask, dropped []string) {
	if len(r.Subtasks) == 0 { // most plans have none
		ids = make([]string, len(p.Subtasks))
		for i := range p.Subtasks {
			ids[i] = p.Subtasks[i].ID
		}
		return ids, p.Subtasks, nil
	}
	same := r.asDrafted(p)
	ids, added = r.renamed(p, same)
	for _, s := range r.Subtasks {
		if !same[s.ID] {
			dropped = append(dropped, s.ID)
		}
	}
	return ids, added, dropped
}

// asDrafted tells of each id of p whether it means what was drafted. What depends on
// another one than it did is another one.
func (r *Run) asDrafted(p Plan) map[string]bool {
	same := make(map[string]bool, len(p.Subtasks))
	for _, s := range p.Subtasks {
		was := r.Subtask(s.ID)
		same[s.ID] = was != nil && sameDraft(was.Subtask, s)
	}
	p.othersWith(same, func(string) bool { return true }, func(id string) bool { return same[id] })
	return same
}

// drop has what the plan does not have any more come to its end.
func (d *decision) drop(ids []string) {
	for _, id := range ids {
		if s := d.run.Subtask(id); s.Calling {
			d.do(Abort{Call: Work{Subtask: Subtask{ID: s.ID}, Attempt: s.Attempts}})
		}
	}
	d.giveUp()
}

// unplanned ends a run that gets no plan, once its drafts have ended.
func (d *decision) unplanned(f Failure, reason *Reason) {
	if len(d.run.Subtasks) == 0 {
		d.fail(f, reason)
		return
	}
	d.stop(StatusFailed, Reason{Code: f.Code, Detail: f.Detail})
}
