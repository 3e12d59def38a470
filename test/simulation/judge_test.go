package simulation

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// judge judges a world in which all has ended.
func (w *world) judge() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for run, spec := range w.given {
		if len(w.durable[run]) == 0 {
			w.fault("%s was accepted and is lost", run)
		} else if diff := cmp.Diff(spec, w.durable[run][0].Fact.(*orchestration.RunCreated).Spec, cmpopts.EquateEmpty()); diff != "" {
			w.fault("%s is not what was asked for:\n%s", run, diff)
		}
	}
	for _, run := range w.order {
		w.judgeJournal(run)
		if w.ended(run) {
			w.judgeRun(run)
		}
	}
	for _, c := range w.calls {
		w.judgeOutcome(c)
	}
	w.judgeWishes()
	w.judgeOwed()
	w.judgeSpent()
}

// judgeJournal holds a run's stored events and its row against what was appended.
func (w *world) judgeJournal(run string) {
	stored, err := w.journal.Events(w.ctx, run, 0, 0)
	if err != nil || len(stored) != len(w.durable[run]) {
		w.fault("%s has %d events of %d, error %v", run, len(stored), len(w.durable[run]), err)
		return
	}
	for i, e := range stored {
		w.seen[e.Type()]++
		switch {
		case e.Seq != int64(i)+1 || e.Run != run:
			w.fault("event %d of %s is event %d of %s", i+1, run, e.Seq, e.Run)
		case i > 0 && e.Time.Before(stored[i-1].Time):
			w.fault("time goes back at event %d of %s", e.Seq, run)
		case e.Terminal() && i < len(stored)-1:
			w.fault("%s goes on after event %d, %s", run, e.Seq, e.Type())
		}
	}
	folded := w.fold(run, int64(len(stored)))
	row, err := w.journal.Row(w.ctx, folded.Spec.Tenant, run)
	if diff := cmp.Diff(folded.Row(), row, cmpopts.EquateEmpty()); err != nil || diff != "" {
		w.fault("the row of %s is not what its events say, error %v (-events +row):\n%s", run, err, diff)
	}
	w.judgeTotals(folded)
}

// judgeTotals judges what a run has spent and what its end says.
func (w *world) judgeTotals(r *orchestration.Run) {
	l, spent := &r.Spec.Limits, &r.Totals
	switch {
	case l.MaxLLMCalls > 0 && spent.LLMCalls > l.MaxLLMCalls:
		w.fault("%s made %d calls of %d", r.ID, spent.LLMCalls, l.MaxLLMCalls)
	case l.MaxTokens > 0 && spent.PromptTokens+spent.CompletionTokens > l.MaxTokens:
		w.fault("%s used %d and %d tokens of %d", r.ID, spent.PromptTokens, spent.CompletionTokens, l.MaxTokens)
	case l.MaxCostUSD > 0 && spent.CostUSD > l.MaxCostUSD+1e-9:
		w.fault("%s spent %f of %f dollars", r.ID, spent.CostUSD, l.MaxCostUSD)
	}
	if r.Reason != nil {
		w.seen["ended: "+string(r.Reason.Code)]++
	}
	missing := r.Exhausted != nil
	for _, s := range r.Subtasks {
		if r.Done() && !s.Status.Ended() {
			w.fault("%s has ended, and its subtask %s is %s", r.ID, s.ID, s.Status)
		}
		missing = missing || s.Dropped == 0 && !s.Superseded && s.Status != orchestration.StatusSucceeded && s.Because == "" && !madeUpFor(r, s)
	}
	if r.Status == orchestration.StatusSucceeded && r.Partial != missing {
		w.fault("%s: partial is %v, something is missing: %v", r.ID, r.Partial, missing)
	}
}

// madeUpFor reports whether a value or a person gave the output of what a subtask is
// a part of.
func madeUpFor(r *orchestration.Run, s *orchestration.SubtaskState) bool {
	for s.Parent != "" {
		if s = r.Subtask(s.Parent); s.MadeUp {
			return true
		}
	}
	return false
}

// judgeOutcome judges that what a process heard before it stopped is durable, and
// that what is durable is what was said.
func (w *world) judgeOutcome(c *call) {
	e := w.outcomeOf(c)
	switch {
	case e == nil:
		if cut := c.failure != nil && c.failure.Code == orchestration.CodeCanceled; cut && strings.HasPrefix(c.unit, "compensation/") {
			return // it is made again
		}
		if !c.by.lost() && !c.by.hurried() {
			w.fault("the outcome of %s, ended after %v, is not in the journal", c, c.ended.Sub(w.born))
		}
		return
	case c.ended.IsZero() || e.at.Before(c.ended):
		if e.by == c.by {
			w.fault("%s has the outcome %s before it ended", c, e.Type())
		}
		return
	}
	switch f := e.Fact.(type) {
	case *orchestration.SubtaskSucceeded:
		if f.Output != c.output && !f.Fallback && w.written(e.Event).Gives == "" {
			w.fault("%s said %.40q, and the journal says %.40q", c, c.output, f.Output)
		}
	case *orchestration.SynthesisSucceeded:
		if f.Output != c.output {
			w.fault("%s said %.40q, and the journal says %.40q", c, c.output, f.Output)
		}
	}
}

// written returns a subtask as its plan has it.
func (w *world) written(e orchestration.Event) (s orchestration.Subtask) {
	for _, added := range w.durable[e.Run] {
		if f, ok := added.Fact.(*orchestration.PlanSubtaskAdded); ok && added.Subtask == e.Subtask {
			s = f.Subtask
		}
	}
	return s
}

// patience is how long what follows at once may take, on storage that is slow,
// fails, and is away.
const patience = 90 * time.Second

// held reports whether the process was well until some time after then.
func (p *process) held(then time.Time) bool {
	return p.over.IsZero() || p.over.After(then.Add(patience))
}

// hurried reports whether the process stopped while the storage was in trouble, so
// that it may have run out of time.
func (p *process) hurried() bool {
	return !p.troubled.IsZero() && p.over.Sub(p.troubled) < 20*time.Second
}

// judgeWishes judges that who asks for a run's end is heard: by the time of the answer,
// whatever becomes of the process.
func (w *world) judgeWishes() {
	for run, answered := range w.wishes {
		heard := slices.ContainsFunc(w.durable[run], func(e durable) bool {
			return (e.Terminal() || e.Type() == "run.canceling") && !e.at.After(answered)
		})
		if !heard {
			w.fault("that %s is canceled was answered at %v, and is not durable by then", run, answered.Sub(w.born))
		}
	}
	for run, events := range w.durable {
		for _, e := range events {
			if e.Type() != "run.canceling" || !e.by.held(e.at) {
				continue
			}
			for _, c := range w.calls {
				if c.run == run && !strings.HasPrefix(c.unit, "compensation/") && c.by == e.by && c.ended.After(e.at.Add(slowest+patience)) {
					w.fault("%s went on until %v, and its run was given up at %v", c, c.ended.Sub(w.born), e.at.Sub(w.born))
				}
			}
		}
	}
}

// judgeOwed judges that the outbox holds what is owed, and each message once.
func (w *world) judgeOwed() {
	owed := map[string]int{} // by run
	for _, tenant := range []string{"acme", "umbrella"} {
		list, err := w.journal.Deliveries(w.ctx, tenant, orchestration.DeliveryFilter{})
		if err != nil {
			w.fault("deliveries: %v", err)
		}
		for _, o := range list {
			w.seen["delivery"]++
			owed[o.Run]++
			events := w.durable[o.Run]
			e := events[o.Seq-1]
			spec := events[0].Fact.(*orchestration.RunCreated).Spec
			if o.Type != e.Type() || !tells(e) || !strings.HasSuffix(e.Type(), string(o.Status)) || o.URL != spec.Webhook || o.Tenant != spec.Tenant {
				w.fault("%s owes %+v, event %d is %s", o.Run, o, e.Seq, e.Type())
			}
		}
	}
	for run, events := range w.durable {
		want := 0
		for _, e := range events {
			if tells(e) && events[0].Fact.(*orchestration.RunCreated).Spec.Webhook != "" {
				want++
			}
		}
		if owed[run] != want {
			w.fault("%s owes %d messages, not %d", run, owed[run], want)
		}
	}
}

// tells reports whether a webhook is told of an event.
func tells(e durable) bool { return e.Terminal() || e.Type() == "run.waiting" }

// judgeSpent judges that nothing is held back any more, and that what was spent
// is what the outcomes told.
func (w *world) judgeSpent() {
	want := map[string]float64{}
	for _, run := range w.order {
		if !w.ended(run) {
			return
		}
		made, cost := w.told(run)
		folded := w.fold(run, int64(len(w.durable[run])))
		if got := folded.Totals; got.LLMCalls != made || math.Abs(got.CostUSD-cost) > 1e-9 {
			w.fault("%s counts %d requests for %.9f dollars; told of were %d for %.9f", run, got.LLMCalls, got.CostUSD, made, cost)
		}
		if folded.Spec.Held {
			want[folded.Spec.Tenant] += cost
		}
	}
	for _, tenant := range []string{"acme", "umbrella"} {
		spent, held, err := w.journal.Spent(w.ctx, tenant, period)
		if err != nil || held != 0 || math.Abs(spent-want[tenant]) > 1e-6 {
			w.fault("%s has spent %.9f dollars and holds %.9f, outcomes told of %.9f; error %v", tenant, spent, held, want[tenant], err)
		}
	}
}

// told returns what the outcomes of a run's calls told of requests, as far as they
// were heard.
func (w *world) told(run string) (made int, cost float64) {
	for _, c := range w.calls {
		if c.run != run {
			continue
		}
		if e := w.outcomeOf(c); e != nil && e.by == c.by {
			made += c.made
			cost += c.cost
		}
	}
	return made, cost
}

// tell shows what became durable, and the calls.
func (w *world) tell() {
	for _, run := range w.order {
		spec := w.durable[run][0].Fact.(*orchestration.RunCreated).Spec
		w.t.Logf("%s is %s: on_failure %s, limits %+v", run, spec.Task, spec.OnFailure, spec.Limits)
		for _, e := range w.durable[run] {
			w.t.Logf("  %12v %3d %s %s %d by %s", e.at.Sub(w.born), e.Seq, e.Type(), e.Subtask, e.Attempt, e.by)
		}
		for _, c := range w.calls {
			if c.run == run {
				w.t.Logf("  %12v to %v: %s as %s", c.begun.Sub(w.born), c.ended.Sub(w.born), c, c.key)
			}
		}
	}
	for _, p := range w.processes {
		w.t.Logf("%s was born at %v and over at %v, as %d", p, p.born.Sub(w.born), p.over.Sub(w.born), p.state)
	}
}
