package orchestration

// Settles returns what becomes of the tenant's holds with events of the run, in
// their order: those of every command that they tell the end of, or that it was
// lost.
func (r *Run) Settles(events []Event) []Settlement {
	if !r.Spec.Held {
		return nil
	}
	var settled []Settlement
	for _, e := range events {
		if command := commandOf(e); command != "" {
			s := Settlement{Command: command}
			for _, c := range e.Calls() {
				s.CostUSD += c.CostUSD
			}
			settled = append(settled, s)
		}
	}
	return settled
}

// commandOf returns the key of the command that an event tells the end of.
func commandOf(e Event) string {
	work := Work{Subtask: Subtask{ID: e.Subtask}, Attempt: e.Attempt}
	switch f := e.Fact.(type) {
	case *PlanCreated:
		if e.Subtask != "" {
			return work.Key()
		}
		return MakePlan{Attempt: e.Attempt}.Key()
	case *PlanInvalid, *PlanReplaced:
		return MakePlan{Attempt: e.Attempt}.Key()
	case *PlanStarted:
		return ifLost(f.Repeats, MakePlan{Attempt: e.Attempt - 1})
	case *SubtaskStarted:
		work.Attempt--
		return ifLost(f.Repeats, work)
	case *SubtaskSucceeded, *SubtaskRetrying, *SubtaskFailed, *SubtaskSkipped, *SubtaskCanceled, *SubtaskWaiting:
		return work.Key()
	case *SynthesisStarted:
		return ifLost(f.Repeats, Synthesize{Attempt: e.Attempt - 1})
	case *SynthesisSucceeded, *SynthesisFailed:
		return Synthesize{Attempt: e.Attempt}.Key()
	}
	return ""
}

func ifLost(repeats int, c Command) string {
	if repeats == 0 {
		return ""
	}
	return c.Key()
}
