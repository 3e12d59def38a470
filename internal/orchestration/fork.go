package orchestration

// An Edit changes a subtask in a fork. With an output the subtask is not
// performed: that is what others see of it.
type Edit struct {
	Description *string
	Type        *string
	Output      *string
}

// A Forked is what a fork of a run comes to.
type Forked struct {
	Plan  Plan     // of the new run
	Redo  []string // ids of the subtasks that are performed again, in plan order
	Keep  []string // ids of those that are not, in plan order
	Given []Kept   // the outputs of those, in plan order; one that has none is missing
}

// A Kept is an output that a fork takes over.
type Kept struct {
	Subtask string
	Output  Text // in the run that is forked, or whole
}

// Fork says what a new run comes to that redoes what the edits change, what is
// named in from, and all that depends on those; where there are neither, what
// did not succeed. The run must have ended. Problems point into the request:
// "/edits/T2/type", "/from/0".
func (r *Run) Fork(map[string]Edit, []string) (Forked, []Problem) {
	return Forked{}, []Problem{{Code: "not_supported", Detail: "forks are not there yet"}}
}
