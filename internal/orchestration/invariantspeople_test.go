package orchestration

import (
	"errors"

	"pgregory.net/rapid"
)

// decide has a person decide something, as it may be decided or not.
func (w *world) decide() {
	said := w.decision()
	waits := w.waitsFor(said)
	_, _, err := w.step(said)
	switch {
	case err != nil && !isRefusal(err):
		w.t.Fatalf("a decision is refused with %v", err)
	case err == nil && !waits:
		w.t.Fatalf("%+v is taken, which nothing waits for", said)
	case errors.Is(err, ErrNotWaiting) && waits:
		w.t.Fatalf("%+v is not waited for", said)
	case err != nil || w.waitsFor(said):
		return
	}
	if _, _, err := w.step(said); !errors.Is(err, ErrNotWaiting) {
		w.t.Fatalf("%+v is taken twice: %v", said, err)
	}
}

func (w *world) decision() Said {
	action := rapid.SampledFrom([]Action{ActionApprove, ActionEdit, ActionReject, ActionRetry, "perhaps"}).Draw(w.t, "action")
	p := &w.run.Planning
	if p.Waiting != nil || oneIn(w.t, 10, "of the plan") {
		d := DecidePlan{Version: p.Version, Action: action}
		if oneIn(w.t, 6, "older") {
			d.Version--
		}
		if d.Action == ActionEdit && !oneIn(w.t, 5, "no plan") {
			plan := w.edited()
			d.Plan = &plan
		}
		return d
	}
	var waiting []string
	for _, s := range w.run.Subtasks {
		if s.Waiting != nil || oneIn(w.t, 30, "not asked") {
			waiting = append(waiting, s.ID)
		}
	}
	d := DecideSubtask{Subtask: "nobody", Action: action}
	if len(waiting) > 0 {
		d.Subtask = rapid.SampledFrom(waiting).Draw(w.t, "of")
	}
	if action == ActionEdit && !oneIn(w.t, 6, "no output") {
		output := rapid.SampledFrom([]string{"yes", "maybe", "no", "stop", "replan", "escalate", " ", `{"n": 3}`}).Draw(w.t, "decided")
		d.Output = &output
	}
	return d
}

// edited draws what a person makes of the plan: some of it as it was, and more.
func (w *world) edited() Plan {
	p := drawPlan(w.t)
	if rapid.Bool().Draw(w.t, "anew") {
		return p
	}
	p = Plan{}
	for _, s := range w.run.Subtasks {
		if s.counts() && s.Parent == "" && !oneIn(w.t, 6, "left out") {
			p.Subtasks = append(p.Subtasks, asWritten(s.Subtask))
		}
	}
	if rapid.Bool().Draw(w.t, "one more") {
		p.Subtasks = append(p.Subtasks, Subtask{ID: "more", Description: "do more"})
	}
	return p
}

func (w *world) waitsFor(said Said) bool {
	switch d := said.(type) {
	case DecidePlan:
		r := w.run // a plan that is being revised is nobody's to decide
		return !r.over() && !r.Done() && !r.replanning() && r.Planning.Waiting != nil && d.Version == r.Planning.Version
	case DecideSubtask:
		s := w.run.Subtask(d.Subtask)
		return s != nil && s.Status == StatusWaiting && !w.run.Done()
	}
	return false
}
