package orchestration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// askApproval has a subtask wait for a person.
func (d *decision) askApproval(s *SubtaskState) {
	d.emitFor(s.ID, s.Attempts+1, &SubtaskStarted{})
	w := Waiting{
		For: WaitingForApproval, Message: s.Approval.Message,
		Options: []Action{ActionApprove, ActionEdit, ActionReject},
	}
	if s.Approval.Timeout > 0 {
		until := d.now.Add(time.Duration(s.Approval.Timeout))
		w.Until = &until
	}
	d.emitFor(s.ID, s.Attempts, &SubtaskWaiting{Waiting: w})
	if w.Until != nil {
		d.do(s.decisionTimer())
	}
}

// escalate asks a person what becomes of a subtask that failed.
func (d *decision) escalate(s *SubtaskState, f Failure, output string, calls []Call) {
	w := Waiting{
		For: WaitingForEscalation, Message: fmt.Sprintf("Subtask %s failed: %s", s.ID, f.Detail),
		Options: []Action{ActionEdit, ActionReject},
	}
	if s.Kind == KindDecide {
		w.Choices = s.Decide.choices()
	}
	if !s.Kind.Composite() {
		w.Options = append(w.Options, ActionRetry)
	}
	if output != "" && s.Kind != KindPlan { // of a plan it is the planner's answer
		w.Options = append([]Action{ActionApprove}, w.Options...)
	}
	d.emitFor(s.ID, s.Attempts, &SubtaskWaiting{Waiting: w, Failure: &f, Output: output, Calls: calls})
}

// escalateDecision has a person choose one of a decision's other options.
func (d *decision) escalateDecision(s *SubtaskState, calls []Call) {
	w := Waiting{
		For: WaitingForEscalation, Message: cmp.Or(s.Description, s.Decide.Prompt, "Choose one of the options."),
		Options: []Action{ActionEdit, ActionReject}, Choices: s.Decide.choices(),
	}
	d.emitFor(s.ID, s.Attempts, &SubtaskWaiting{Waiting: w, Calls: calls})
}

// choices returns the options of a decision that a person may choose among.
func (d *Decide) choices() []string {
	return slices.DeleteFunc(slices.Clone(d.Options), func(option string) bool { return option == OptionEscalate })
}

// decideSubtask hears what a person decides of a subtask.
func (d *decision) decideSubtask(in DecideSubtask, expired bool) error {
	r := d.run
	s := r.Subtask(in.Subtask)
	if s == nil || s.Waiting == nil || s.Status != StatusWaiting || s.Dropped > 0 {
		return ErrNotWaiting
	}
	if err := s.Waiting.refuse(in); err != nil {
		return err
	}
	d.resumed()
	output := s.answer(r, in)
	fact := &SubtaskDecided{Action: in.Action, Comment: in.Comment, Expired: expired}
	if in.Action == ActionEdit {
		fact.Output = in.Output
	}
	waitedFor := s.Waiting.For
	d.emitFor(s.ID, s.Attempts, fact)
	switch {
	case in.Action == ActionReject:
		d.subtaskFailed(s, Failure{Code: CodeRejected, Detail: rejection(in, expired)}, "", nil)
	case in.Action == ActionRetry:
	case s.Kind == KindDecide && waitedFor == WaitingForEscalation:
		d.decided(s, &SubtaskSucceeded{Output: output})
	case len(output) > r.Spec.Limits.MaxOutputBytes:
		d.subtaskFailed(s, Failure{Code: CodeOutputTooLarge, Detail: "What was decided is longer than max_output_bytes."}, "", nil)
	default:
		d.emitFor(s.ID, s.Attempts, &SubtaskSucceeded{Output: output})
	}
	d.advance()
	return nil
}

// refuse says what is wrong with a decision, nil when nothing is.
func (w *Waiting) refuse(in DecideSubtask) error {
	switch {
	case !slices.Contains(w.Options, in.Action):
		return &DecisionError{"/action", fmt.Sprintf("It can be decided by %s.", joined(w.Options))}
	case in.Action == ActionEdit && in.Output == nil:
		return &DecisionError{"/output", "An edit needs an output."}
	case in.Action == ActionEdit && strings.TrimSpace(*in.Output) == "":
		return &DecisionError{"/output", "The output must not be blank."}
	case in.Action == ActionEdit && w.Choices != nil && !slices.Contains(w.Choices, *in.Output):
		return &DecisionError{"/output", "It must be one of: " + strings.Join(w.Choices, ", ") + "."}
	}
	return nil
}

func joined(actions []Action) string {
	words := make([]string, len(actions))
	for i, a := range actions {
		words[i] = string(a)
	}
	return strings.Join(words, ", ")
}

// answer returns what a decision makes the output of a subtask: what was given
// or, approved as it is, the output that was refused or what the approval is about.
func (s *SubtaskState) answer(r *Run, in DecideSubtask) string {
	if in.Action == ActionEdit {
		return *in.Output
	}
	if s.Kind != KindApproval {
		return r.approved(s)
	}
	if about := slices.Collect(r.shown(s)); len(about) == 1 && about[0].Status == StatusSucceeded {
		return about[0].whole()
	}
	return cmp.Or(strings.TrimSpace(in.Comment), "approved")
}

// approved returns what others see of an output that was refused: what its output
// expression makes of it, as long as it is not that which failed.
func (r *Run) approved(s *SubtaskState) string {
	output := s.whole()
	if s.Gives == "" {
		return output
	}
	value, failure := r.eval("output", s.Gives, r.variables(s).withOutput(output))
	if failure != nil {
		return output
	}
	return TextOf(value)
}

func rejection(in DecideSubtask, expired bool) string {
	switch {
	case expired:
		return "Nobody decided in time, so it was rejected."
	case strings.TrimSpace(in.Comment) != "":
		return "It was rejected: " + beginning(in.Comment, 500)
	}
	return "It was rejected."
}

// expire takes the default of an approval that nobody decided in time.
func (d *decision) expire(s *SubtaskState) {
	if s.Waiting == nil || s.Waiting.Until == nil {
		return
	}
	d.now = later(d.now, *s.Waiting.Until) // a timer may be a little early
	_ = d.decideSubtask(DecideSubtask{Subtask: s.ID, Action: cmp.Or(s.Approval.Default, ActionReject)}, true)
}

// rest notes that nothing can go on until a person decides.
func (d *decision) rest() {
	r := d.run
	if d.stopping || r.Status != StatusRunning || r.Calling > 0 || r.Planning.Status != StatusSucceeded || len(r.Planning.Wanted) > 0 {
		return
	}
	if waiting := cmp.Or(r.Planning.Waiting, r.asked()); waiting != nil {
		d.emit(0, &RunWaiting{Waiting: *waiting})
	}
}

// asked returns what a person is asked of the first subtask that waits for one, nil
// when there is none or another subtask will go on by itself.
func (r *Run) asked() (first *Waiting) {
	for _, s := range r.Subtasks {
		switch {
		case s.retrying():
			return nil
		case first == nil && s.Status == StatusWaiting:
			first = s.Waiting
		}
	}
	return first
}

// resumed notes that the run goes on, if it waited, with its time counting again.
func (d *decision) resumed() {
	if d.run.Status == StatusWaiting {
		d.emit(0, &RunResumed{})
		d.do(d.run.timeoutTimer())
	}
}

func (s *SubtaskState) decisionTimer() SetTimer {
	return SetTimer{Timer: fmt.Sprintf("decision/%s/%d", s.ID, s.Attempts), At: *s.Waiting.Until}
}
