package api

import "github.com/tutti-run/tutti/internal/orchestration"

// A note is what events tell of a subtask, or of the plan, that decides nothing
// and that the fold of a run therefore need not keep.
type note struct {
	cached       bool
	fallback     bool   // its output is the value to fall back on
	detail       string // why it is skipped and not missed
	evaluation   *Evaluation
	compensation *Compensation
	waiting      *Waiting
}

// noteOf returns what is noted of a subtask.
func (h *history) noteOf(subtask string) *note {
	n := h.notes[subtask]
	if n == nil {
		n = new(note)
		h.notes[subtask] = n
	}
	return n
}

func (h *history) note(e orchestration.Event) {
	switch f := e.Fact.(type) {
	case *orchestration.PlanWaiting:
		w := waitingFor(f.Waiting)
		w.Version = f.Version
		h.noteOf("").waiting = &w
	case *orchestration.PlanDecided:
		h.noteOf("").waiting = nil
	case *orchestration.SynthesisSucceeded:
		h.synthesized(f.Calls)
	case *orchestration.SynthesisFailed:
		h.synthesized(f.Calls)
	}
	if e.Subtask != "" {
		h.noteOf(e.Subtask).add(e)
	}
}

func (n *note) add(e orchestration.Event) {
	switch f := e.Fact.(type) {
	case *orchestration.SubtaskWaiting:
		w := waitingFor(f.Waiting)
		w.SubtaskId = e.Subtask
		n.waiting = &w
	case *orchestration.EvaluationCompleted:
		v := evaluation(f)
		n.evaluation = &v
	case *orchestration.SubtaskCompensated:
		n.compensation = &Compensation{Status: orchestration.StatusSucceeded, Error: failure(f.Failure)}
		switch {
		case f.RetryAt != nil:
			n.compensation.Status = orchestration.StatusPending
		case f.Failure != nil:
			n.compensation.Status = orchestration.StatusFailed
		}
	case *orchestration.SubtaskSucceeded:
		n.cached, n.fallback, n.waiting = f.Cached, f.Fallback, nil
	case *orchestration.SubtaskSkipped:
		n.waiting = nil
		if f.Because != "" {
			n.detail = f.Failure.Detail
		}
	default: // whatever comes of a subtask that waited, it waits no more
		n.waiting = nil
	}
}

// waiting returns the first thing that a person is asked: the plan, or the first
// subtask in plan order.
func (h *history) waiting() *Waiting {
	if h.run.Done() {
		return nil
	}
	if w := h.noteOf("").waiting; w != nil {
		return w
	}
	for _, s := range h.run.Subtasks {
		if n := h.notes[s.ID]; n != nil && n.waiting != nil {
			return n.waiting
		}
	}
	return nil
}

func waitingFor(w orchestration.Waiting) Waiting {
	v := Waiting{For: w.For, Message: w.Message, Options: list(w.Options), Choices: w.Choices}
	if w.Until != nil {
		v.Until = moment(*w.Until)
	}
	return v
}

func evaluation(f *orchestration.EvaluationCompleted) Evaluation {
	return Evaluation{Verdict: f.Verdict, Findings: list(f.Findings), Revision: f.Revision}
}

func (h *history) synthesized(calls []orchestration.Call) {
	t := &h.synthesis
	for _, c := range calls {
		t.LLMCalls++
		t.CostUSD += c.CostUSD
	}
}
