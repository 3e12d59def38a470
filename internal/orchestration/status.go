package orchestration

// A Status is what has become of a run or of a subtask.
type Status string

// The statuses of runs and subtasks.
const (
	StatusQueued    Status = "queued"    // a run that was accepted and has not started
	StatusPending   Status = "pending"   // a subtask that has not started, or waits for its next attempt
	StatusRunning   Status = "running"   // at work
	StatusWaiting   Status = "waiting"   // for a person
	StatusCanceling Status = "canceling" // a run that is ending early while calls in flight are aborted
	StatusSucceeded Status = "succeeded" // ended with a result
	StatusFailed    Status = "failed"    // ended without one
	StatusSkipped   Status = "skipped"   // a subtask that will not be performed
	StatusCanceled  Status = "canceled"  // given up
)

// Ended reports whether the status is one that is never left.
func (s Status) Ended() bool {
	switch s {
	case StatusSucceeded, StatusFailed, StatusSkipped, StatusCanceled:
		return true
	}
	return false
}
