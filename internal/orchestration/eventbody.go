package orchestration

// Body returns the text that an event brings, for a [Text] that refers to it:
// a subtask's or the synthesis's output, or an answer that was no plan.
func (e Event) Body() string {
	switch f := e.Fact.(type) {
	case *SubtaskSucceeded:
		return f.Output
	case *SubtaskRetrying:
		return f.Output
	case *SubtaskWaiting:
		return f.Output
	case *SubtaskFailed:
		return f.Output
	case *SynthesisSucceeded:
		return f.Output
	case *PlanInvalid:
		return f.Answer
	}
	return ""
}

// Calls returns the calls to models that an event reports.
func (e Event) Calls() []Call {
	switch f := e.Fact.(type) {
	case *PlanInvalid:
		return f.Calls
	case *PlanCreated:
		return f.Calls
	case *SubtaskRetrying:
		return f.Calls
	case *SubtaskWaiting:
		return f.Calls
	case *SubtaskSucceeded:
		return f.Calls
	case *PlanReplaced:
		return f.Calls
	case *SubtaskFailed:
		return f.Calls
	case *SubtaskSkipped:
		return f.Calls
	case *SubtaskCanceled:
		return f.Calls
	case *SynthesisSucceeded:
		return f.Calls
	case *SynthesisFailed:
		return f.Calls
	}
	return nil
}

// Terminal reports whether an event is the last one of its run.
func (e Event) Terminal() bool {
	switch e.Fact.(type) {
	case *RunSucceeded, *RunFailed, *RunCanceled:
		return true
	}
	return false
}
