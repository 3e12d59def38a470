package orchestration

// Replay folds one event of the journal into the run. It decides nothing and
// cannot fail; events must come in order, from the first one on.
func (r *Run) Replay(e Event) { r.fold(e) }

// fold is the only place that changes a Run.
func (r *Run) fold(e Event) {
	r.Seq, r.UpdatedAt = e.Seq, e.Time
	r.Totals.add(e.Calls())
	if s := r.Subtask(e.Subtask); s != nil {
		r.foldSubtask(s, e)
		return
	}
	switch f := e.Fact.(type) {
	case *RunCreated:
		r.ID, r.Spec, r.Status, r.CreatedAt = e.Run, f.Spec, StatusQueued, e.Time
	case *RunStarted:
		r.Status, r.StartedAt = StatusRunning, e.Time
	case *RunCanceling:
		r.Status, r.Ending = StatusCanceling, f
	case *RunSucceeded:
		r.end(e, StatusSucceeded, f.Reason)
		r.Answer, r.Partial = f.Answer, f.Partial
	case *RunFailed:
		r.end(e, StatusFailed, f.Reason)
		r.Failure = &f.Failure
	case *RunCanceled:
		r.end(e, StatusCanceled, &f.Reason)
	default:
		r.foldPlan(e)
		r.foldSynthesis(e)
	}
}

func (r *Run) end(e Event, status Status, reason *Reason) {
	r.Status, r.EndedAt, r.Reason = status, e.Time, reason
}

func (r *Run) foldPlan(e Event) {
	p := &r.Planning
	switch f := e.Fact.(type) {
	case *PlanStarted:
		p.Status, p.Attempt, p.RetryAt, p.Repairing = StatusRunning, e.Attempt, zeroTime, f.Repair
	case *PlanInvalid:
		p.Status = StatusFailed
		if f.RetryAt != nil {
			p.Status, p.RetryAt = StatusPending, *f.RetryAt
		}
		if len(f.Problems) == 0 {
			p.Failures++
			break
		}
		p.Problems, p.Answer = f.Problems, textIn(e.Seq, f.Answer)
	case *PlanSubtaskAdded:
		r.index[f.Subtask.ID] = len(r.Subtasks)
		r.Subtasks = append(r.Subtasks, &SubtaskState{Subtask: f.Subtask, Status: StatusPending})
		r.Progress.Total++
	case *PlanCreated:
		p.Status, p.Version, p.Source, p.Analysis = StatusSucceeded, f.Version, f.Source, f.Analysis
		r.scheduled = nil
	}
}

func (r *Run) foldSynthesis(e Event) {
	s := &r.Synthesis
	switch f := e.Fact.(type) {
	case *SynthesisStarted:
		s.Status, s.Attempt, s.RetryAt = StatusRunning, e.Attempt, zeroTime
	case *SynthesisSucceeded:
		s.Status, s.Failure = StatusSucceeded, nil
		s.Output, s.Shortened = textIn(e.Seq, f.Output), f.Shortened
	case *SynthesisFailed:
		s.Status, s.Failure = StatusFailed, &f.Failure
		if f.RetryAt != nil {
			s.Status, s.RetryAt = StatusPending, *f.RetryAt
		}
	}
}

func (r *Run) foldSubtask(s *SubtaskState, e Event) {
	was := s.Status
	s.Totals.add(e.Calls())
	switch f := e.Fact.(type) {
	case *SubtaskStarted:
		s.Status, s.Attempts, s.RetryAt = StatusRunning, e.Attempt, zeroTime
		s.Performer, s.Model = f.Worker, f.Model
		if e.Attempt == 1 {
			s.StartedAt = e.Time
		}
	case *SubtaskRetrying:
		s.Status, s.RetryAt, s.Failure = StatusPending, f.RetryAt, &f.Failure
	case *SubtaskSucceeded:
		s.Status, s.EndedAt, s.Failure = StatusSucceeded, e.Time, nil
		s.Output, s.Shortened = textIn(e.Seq, f.Output), f.Shortened
	case *SubtaskFailed:
		s.Status, s.EndedAt, s.Failure = StatusFailed, e.Time, &f.Failure
	case *SubtaskSkipped:
		s.Status, s.EndedAt, s.Failure = StatusSkipped, e.Time, &f.Failure
	case *SubtaskCanceled:
		s.Status, s.EndedAt = StatusCanceled, e.Time
	}
	r.Progress.count(was, -1)
	r.Progress.count(s.Status, +1)
	if r.scheduled != nil {
		r.scheduled.changed(s)
	}
}

// count adds n to the subtasks that are in that status.
func (p *Progress) count(status Status, n int) {
	switch status {
	case StatusRunning:
		p.Running += n
	case StatusSucceeded:
		p.Succeeded += n
	case StatusFailed:
		p.Failed += n
	case StatusSkipped:
		p.Skipped += n
	}
}
