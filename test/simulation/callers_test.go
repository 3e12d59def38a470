package simulation

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// caller starts a run, asks again until it is told that the run was accepted, and
// may cancel it later.
func (w *world) caller(i int) {
	r := w.roll("caller", i)
	time.Sleep(upTo(r, 90*time.Second))
	spec := w.drawSpec(r, fmt.Sprintf("task %d", i))
	run := w.start(r, spec)
	if run == "" {
		return
	}
	w.mu.Lock()
	w.given[run] = spec
	w.seen["run accepted"]++
	w.mu.Unlock()
	if w.grim && !oneIn(r, 2) || !oneIn(r, 3) {
		return
	}
	time.Sleep(upTo(r, 45*time.Second))
	w.cancel(run)
}

// start returns the run that was accepted, "" when the caller has given up.
func (w *world) start(r *rand.Rand, spec *orchestration.Spec) string {
	key := &orchestration.Key{Key: spec.Task, Hash: sha256.Sum256([]byte(spec.Task))}
	for range 60 {
		if p := w.reached(); p != nil {
			row, err := p.driver.Start(w.ctx, spec, nil, key)
			var taken *orchestration.KeyTaken
			switch {
			case errors.As(err, &taken):
				return taken.Run
			case err == nil && !p.is(dead):
				return row.ID
			case err != nil && !expected(err):
				w.mu.Lock()
				w.fault("starting a run: %v", err)
				w.mu.Unlock()
			}
		}
		time.Sleep(time.Second + upTo(r, 5*time.Second))
	}
	return ""
}

func expected(err error) bool {
	return errors.Is(err, orchestration.ErrOverloaded) || errors.Is(err, orchestration.ErrUnavailable) ||
		errors.Is(err, orchestration.ErrConflict)
}

func (w *world) reached() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.serving
}

// cancel asks for a run's end until that is heard, or the run has ended.
func (w *world) cancel(run string) {
	for range 60 {
		p := w.reached()
		if p != nil {
			err := p.driver.Cancel(w.ctx, run, "enough")
			w.mu.Lock()
			ended := w.ended(run)
			if err == nil {
				w.wishes[run] = time.Now()
				w.seen["cancel"]++
			} else if !ended && p.state == alive && !expected(err) {
				w.fault("%s, which has not ended, cannot be canceled: %v", run, err)
			}
			w.mu.Unlock()
			if err == nil || ended {
				return
			}
		}
		time.Sleep(2 * time.Second)
	}
}

func (w *world) drawSpec(r *rand.Rand, task string) *orchestration.Spec {
	price := &orchestration.Price{Input: 1, Output: 2}
	s := &orchestration.Spec{
		Format: orchestration.SpecFormat, Tenant: pick(r, "acme", "umbrella"), Task: task,
		Planner: orchestration.Planner{Role: orchestration.Role{Model: "large"}, MaxSubtasks: pick(r, 0, 6)},
		Worker:  orchestration.Worker{Role: orchestration.Role{Model: "medium"}},
		Workers: []orchestration.Worker{
			{Name: "clerk", Role: orchestration.Role{Model: "small"}, Tools: []string{"act"}},
			{Name: "lawyer", Role: orchestration.Role{Model: "large"}, Fallback: pick(r, "", "small")},
		},
		OnFailure: pick(r, orchestration.OnFailurePartial, orchestration.OnFailureFail, orchestration.OnFailureReplan, orchestration.OnFailureReplan),
		Models: []orchestration.Model{
			{Name: "large", Price: price, Fallback: pick(r, "", "small")},
			{Name: "medium", Price: price, Fallback: pick(r, "", "", "small")},
			{Name: "small", Price: price},
		},
		Limits: orchestration.Limits{
			MaxConcurrency: pick(r, 1, 2, 3, 10), Timeout: pick(r, 20*time.Second, 2*time.Minute, 5*time.Minute, 10*time.Minute),
			MaxAttempts: 1 + r.IntN(3), MaxSubtasks: 30, MaxOutputBytes: 10_000,
			MaxReplans: r.IntN(4), ReplanCooldown: pick(r, 0, 5*time.Second, 40*time.Second),
			MaxLLMCalls: pick(r, 0, 0, 0, 4, 9, 20), MaxTokens: pick(r, 0, 0, 0, 60_000), MaxCostUSD: pick(r, 0, 0, 0, 0.05),
		},
		Synthesizer: orchestration.Synthesizer{
			Role: orchestration.Role{Model: "large"}, Mode: pick(r, orchestration.SynthesizeModel, orchestration.SynthesizeModel, orchestration.SynthesizeNone),
		},
		Held: oneIn(r, 2),
	}
	if oneIn(r, 2) {
		s.Webhook = "https://hooks.example.org/" + task
	}
	if oneIn(r, 2) {
		s.Plan = drawOwn(r)
	}
	drawLanguage(r, s)
	return s
}

// drawPlan draws a plan: a fan-out, a chain, or anything between.
func drawPlan(r *rand.Rand, most int) orchestration.Plan {
	var p orchestration.Plan
	shape := r.IntN(4)
	for i := range 1 + r.IntN(most) {
		s := orchestration.Subtask{ID: fmt.Sprintf("T%d", i+1), Type: pick(r, "", "formal", "lawyer", "clerk"), Description: "do it"}
		for j := range i {
			if shape == 1 && j == i-1 || shape > 1 && oneIn(r, 3) {
				s.DependsOn = append(s.DependsOn, p.Subtasks[j].ID)
			}
		}
		s.After = pick(r, "", "", "", orchestration.AfterEnded)
		s.OnFailure.Do = pick(r, "", "", "", orchestration.OnFailureFail, orchestration.OnFailureSkip, orchestration.OnFailureFallback, orchestration.OnFailureReplan)
		p.Subtasks = append(p.Subtasks, s)
	}
	return p
}

// spoil makes a plan one that cannot be used.
func spoil(r *rand.Rand, p *orchestration.Plan) {
	s := &p.Subtasks[r.IntN(len(p.Subtasks))]
	switch r.IntN(5) {
	case 0:
		p.Subtasks = nil
	case 1:
		s.DependsOn = []string{s.ID}
	case 2:
		s.DependsOn = []string{"nobody"}
	case 3:
		s.Description = " "
	case 4:
		p.Subtasks = append(p.Subtasks, *s)
	}
}

// revise draws another plan from what the planner is told of the one in force:
// some of it is kept, some renamed, some dropped, some is new.
func revise(r *rand.Rand, was *orchestration.Revision) orchestration.Plan {
	var p orchestration.Plan
	known := map[string]bool{}
	for _, s := range was.Subtasks {
		next := orchestration.Subtask{ID: s.ID, Type: s.Type, Description: s.Description}
		switch kind := r.IntN(6); {
		case s.Status != orchestration.StatusSucceeded && kind == 0, kind == 1:
			continue // dropped
		case s.Failure != "" && oneIn(r, 2), kind == 2:
			next.ID += "b"
		case kind == 3:
			next.Description = "do it otherwise"
		}
		for _, id := range s.DependsOn {
			if known[id] {
				next.DependsOn = append(next.DependsOn, id)
			}
		}
		known[next.ID] = true
		p.Subtasks = append(p.Subtasks, next)
	}
	for i := range r.IntN(3) {
		p.Subtasks = append(p.Subtasks, orchestration.Subtask{ID: fmt.Sprintf("N%d", i+1), Description: "do something new"})
	}
	return p
}
