package orchestration

import "time"

// Facts about what people decide.
type (
	// PlanWaiting says that a person is to look at the plan before it is carried out.
	PlanWaiting struct {
		Version int     `json:"version"`
		Waiting Waiting `json:"waiting"`
	}
	// PlanDecided brings the answer.
	PlanDecided struct {
		Version int    `json:"version"`
		Action  Action `json:"action"`
		Comment string `json:"comment,omitempty"`
	}
	// SubtaskWaiting says that a subtask waits for a person.
	SubtaskWaiting struct {
		Waiting Waiting `json:"waiting"`
		// Of an attempt that failed and was escalated.
		Failure *Failure `json:"failure,omitempty"`
		Output  string   `json:"output,omitempty"` // that was refused, if there is one: the person may approve it
		Calls   []Call   `json:"calls,omitempty"`
	}
	// SubtaskDecided brings the answer; what follows from it is the next event.
	SubtaskDecided struct {
		Action  Action  `json:"action"`
		Output  *string `json:"output,omitempty"` // of an edit
		Comment string  `json:"comment,omitempty"`
		Expired bool    `json:"expired,omitempty"` // nobody answered in time: it is the default
	}
)

// A Waiting says what a person is asked.
type Waiting struct {
	For     WaitingFor `json:"for"`
	Message string     `json:"message"`
	Options []Action   `json:"options"`           // that can be taken
	Choices []string   `json:"choices,omitempty"` // what an edit may choose among, where not any text will do
	Until   *time.Time `json:"until,omitempty"`   // when the default is taken; nil: never
}

// WaitingFor says why a person is asked.
type WaitingFor string

// The reasons to ask a person.
const (
	WaitingForApproval   WaitingFor = "approval"    // an approval subtask
	WaitingForEscalation WaitingFor = "escalation"  // a subtask that failed, or a decision passed on
	WaitingForPlanReview WaitingFor = "plan_review" // the plan
)

// An Action is what a person decides.
type Action string

// The actions.
const (
	ActionApprove Action = "approve" // it is good as it is
	ActionEdit    Action = "edit"    // it is good as given with the decision
	ActionReject  Action = "reject"  // it fails
	ActionRetry   Action = "retry"   // it is tried once more
)
