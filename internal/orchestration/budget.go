package orchestration

import "fmt"

// budgeted reports whether anything bounds what the run may spend.
func (l *Limits) budgeted() bool { return l.MaxLLMCalls > 0 || l.MaxTokens > 0 || l.MaxCostUSD > 0 }

// unaffordable returns the limit that has no room for more, beside what is spent,
// held back and kept for the synthesis; "" when every one has.
func (r *Run) unaffordable(more *Reserve) string {
	switch {
	case r.Exhausted != nil:
		return r.Exhausted.Limit
	case more == nil:
		return ""
	}
	need := r.Held
	need.add(more)
	need.add(r.Synthesis.Share)
	l, spent := &r.Spec.Limits, &r.Totals
	switch {
	case l.MaxLLMCalls > 0 && spent.LLMCalls+need.Calls > l.MaxLLMCalls:
		return "max_llm_calls"
	case l.MaxTokens > 0 && spent.tokens()+need.PromptTokens+need.AnswerTokens > l.MaxTokens:
		return "max_tokens"
	case l.MaxCostUSD > 0 && spent.CostUSD+need.CostUSD > l.MaxCostUSD+rounding:
		return "max_cost_usd"
	}
	return ""
}

func (t *Totals) tokens() int { return t.PromptTokens + t.CompletionTokens }

// exhaust goes on without what is no longer affordable: it is skipped, as is what
// comes later all the same: from a planner that was being asked, or by a person's
// decision.
func (d *decision) exhaust(limit string) {
	r := d.run
	if r.Exhausted == nil {
		d.emit(0, &BudgetExceeded{Limit: limit, Reason: r.exhaustedBy(limit)})
	}
	reason := r.Exhausted.Reason
	for _, s := range r.Subtasks {
		if s.idle() {
			d.emitFor(s.ID, s.Attempts, &SubtaskSkipped{Failure: Failure{Code: reason.Code, Detail: reason.Detail}})
		}
	}
}

// idle reports whether a subtask waits to start or for a person.
func (s *SubtaskState) idle() bool { return s.Status == StatusPending || s.Status == StatusWaiting }

// exhaustedBy says which limit allows nothing more, and what is left undone.
func (r *Run) exhaustedBy(limit string) Reason {
	undone := 0
	for _, s := range r.Subtasks {
		if s.idle() {
			undone++
		}
	}
	detail := "The tenant's budget for the day allows no further call"
	if limit != tenantBudget {
		detail = fmt.Sprintf("The run's %s of %v allows no further call", limit, r.Spec.Limits.budget(limit))
		if r.Synthesis.Share != nil && (undone > 0 || r.Planning.Version == 0) {
			detail += " beside what is kept for the synthesis"
		}
	}
	if undone > 0 {
		detail += fmt.Sprintf("; %d of %d subtasks were left undone", undone, r.Progress.Total)
	}
	return Reason{Code: CodeBudgetExceeded, Detail: detail + "."}
}

// budget returns the amount of a limit on what the run may spend.
func (l *Limits) budget(limit string) any {
	switch limit {
	case "max_llm_calls":
		return l.MaxLLMCalls
	case "max_tokens":
		return l.MaxTokens
	}
	return l.MaxCostUSD
}

// warn says once that most of a limit is spent.
func (d *decision) warn() {
	r := d.run
	l, spent := &r.Spec.Limits, &r.Totals
	if r.Warned || !l.budgeted() || r.Done() {
		return
	}
	var limit string
	switch {
	case l.MaxLLMCalls > 0 && float64(spent.LLMCalls) >= warnAt*float64(l.MaxLLMCalls):
		limit = "max_llm_calls"
	case l.MaxTokens > 0 && float64(spent.tokens()) >= warnAt*float64(l.MaxTokens):
		limit = "max_tokens"
	case l.MaxCostUSD > 0 && spent.CostUSD >= warnAt*l.MaxCostUSD:
		limit = "max_cost_usd"
	default:
		return
	}
	d.emit(0, &BudgetWarning{Limit: limit})
}

// tenantBudget names, in the place of a limit, the budget of the run's tenant.
const tenantBudget = "tenant"
