package orchestration

import (
	"crypto/sha256"
	"encoding/hex"
)

// addSubtask takes a subtask into the run.
func (r *Run) addSubtask(s Subtask) {
	if len(r.room) == 0 { // nobody knows how many more there will be
		r.makeRoom(1 + min(len(r.Subtasks), 100))
	}
	state := &r.room[0]
	r.room = r.room[1:]
	state.Subtask, state.Status = s, StatusPending
	r.index[s.ID] = len(r.Subtasks)
	r.Subtasks = append(r.Subtasks, state)
	r.Progress.Total++
	r.Caching = r.Caching || s.caching()
	if parent := r.Subtask(s.Parent); parent != nil {
		parent.Rounds = max(parent.Rounds, s.Round)
	}
	switch {
	case r.scheduled == nil:
	case r.Planning.Version == 0:
		r.scheduled = nil // what is drafted later may make the paths of earlier ones longer
	default:
		r.scheduled.added = append(r.scheduled.added, state)
	}
}

func (r *Run) foldSubtask(s *SubtaskState, e Event) {
	if r.scheduled != nil {
		r.schedule() // what was just added gets its place before anything becomes of it
	}
	was := s.Status
	switch f := e.Fact.(type) {
	case *SubtaskStarted:
		r.foldStarted(s, e, f)
	case *EvaluationCompleted: // the next event says what follows
		return
	case *SubtaskDecided:
		s.Waiting, s.MadeUp = nil, f.Action == ActionApprove || f.Action == ActionEdit
		if f.Action == ActionRetry {
			s.Tries, s.Rework, s.Judge, s.Revisions = Tries{Call: s.Call}, nil, nil, 0
			s.Status, s.RetryAt = StatusPending, e.Time
			s.Output, s.Value = Text{}, ""
		}
	case *SubtaskCompensated:
		s.foldCompensated(f)
		return
	case *PlanCreated: // of a part of the plan: what it expands to is there
		r.called(s)
		s.Shortened = f.Shortened
	default:
		r.called(s)
		r.foldOutcome(s, e)
	}
	if s.Dropped == 0 {
		r.Progress.count(was, -1)
		r.Progress.count(s.Status, +1)
	}
	if r.scheduled != nil && s.Status != was {
		r.scheduled.changed(s)
	}
}

func (r *Run) foldStarted(s *SubtaskState, e Event, f *SubtaskStarted) {
	s.Status, s.Attempts, s.RetryAt, s.due = StatusRunning, e.Attempt, zeroTime, false
	s.Performer, s.Model, s.CacheKey = f.Worker, f.Model, f.CacheKey
	s.Items, s.items, s.Context = f.Items, nil, f.Context
	if s.StartedAt.IsZero() {
		s.StartedAt = e.Time
	}
	r.begun(&s.Tries, e.Attempt, f.Repeats, f.Reserved)
	if !s.Calling && s.calls() {
		s.Calling = true
		r.Calling++
	}
}

// called notes that no attempt at a subtask is in flight.
func (r *Run) called(s *SubtaskState) {
	r.settled(&s.Tries)
	if s.Calling {
		s.Calling = false
		r.Calling--
	}
}

func (r *Run) foldOutcome(s *SubtaskState, e Event) {
	switch f := e.Fact.(type) {
	case *SubtaskRetrying:
		s.foldRetrying(e.Seq, f)
		return
	case *SubtaskWaiting:
		s.Status, s.Waiting, s.Failure = StatusWaiting, &f.Waiting, f.Failure
		s.CacheKey = ""                                                  // a person has a say in the output
		s.Output, s.Value = textIn(e.Seq, f.Output), longValue(f.Output) // it may be approved as it is
		return
	case *SubtaskSucceeded:
		s.Status, s.Failure = StatusSucceeded, nil
		s.Output, s.Shortened, s.Cached = textIn(e.Seq, f.Output), f.Shortened, f.Cached
		s.FellBack, s.MadeUp = s.FellBack || f.Fallback, s.MadeUp || f.Fallback
		s.Value = ""
		if s.Kept {
			s.Value = longValue(f.Output)
		}
		if r.caches() {
			sum := sha256.Sum256([]byte(f.Output))
			s.Hash = hex.EncodeToString(sum[:])
		}
		if f.Stop {
			r.Stopped = s.ID
			r.Planning.stopped()
		}
		if f.Replan {
			r.Planning.Wanted = append(r.Planning.Wanted, s.ID)
		}
	case *SubtaskFailed:
		s.Status, s.Failure = StatusFailed, &f.Failure
		s.Output, s.Value = Text{}, ""
		if f.Replan {
			r.Planning.Wanted = append(r.Planning.Wanted, s.ID)
		}
	case *SubtaskSkipped:
		s.Status, s.Because, s.Failure, s.Waiting = StatusSkipped, f.Because, nil, nil
		s.Output, s.Value = Text{}, ""
		if f.Because == "" {
			s.Failure = &f.Failure
		}
	case *SubtaskCanceled:
		s.Status, s.Waiting = StatusCanceled, nil
		s.Output, s.Value = Text{}, ""
		if r.Stopped != "" {
			s.Because = BecauseStopped
		}
	}
	s.Rework, s.Judge, s.Completed, s.EndedAt = nil, nil, e.Seq, e.Time
	s.before = roundOutput{}
}

// longValue returns what a subtask that holds all of its output has beside the text
// that commands carry.
func longValue(output string) string {
	if len(output) > MaxWholeText {
		return output
	}
	return ""
}

func (s *SubtaskState) foldRetrying(seq int64, f *SubtaskRetrying) {
	s.Status, s.RetryAt, s.Failure, s.Shortened = StatusPending, f.RetryAt, &f.Failure, f.Shortened
	s.failed(&f.Failure, f.Again, f.Fallback)
	switch {
	case f.Feedback != "":
		s.Rework, s.Judge = &Rework{Output: textIn(seq, f.Output), Feedback: f.Feedback}, nil
		s.Revisions++
		s.Tried = 0
	case f.Output != "":
		text := textIn(seq, f.Output)
		s.Judge = &text
	}
}

func (s *SubtaskState) foldCompensated(f *SubtaskCompensated) {
	if s.Undoing == nil {
		s.Undoing = new(Undoing)
	}
	u := s.Undoing
	u.Attempts++
	u.RetryAt = zeroTime
	switch {
	case f.Failure == nil:
		u.Status = StatusSucceeded
	case f.RetryAt != nil:
		u.Status, u.RetryAt = StatusPending, *f.RetryAt
	default:
		u.Status = StatusFailed
	}
}
