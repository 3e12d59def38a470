package orchestration

import (
	"slices"
	"strings"
)

// A Reserve is the most that an attempt may spend. It is held back from the
// run's budget from the attempt's start to its end, so that what runs in
// parallel cannot overspend together.
type Reserve struct {
	Calls        int     `json:"calls"`
	PromptTokens int     `json:"prompt_tokens"`
	AnswerTokens int     `json:"answer_tokens"`
	CostUSD      float64 `json:"cost_usd"`
}

func (r *Reserve) add(more *Reserve) { r.plus(more, 1) }
func (r *Reserve) sub(less *Reserve) { r.plus(less, -1) }

func (r *Reserve) plus(more *Reserve, sign int) {
	if more == nil {
		return
	}
	r.Calls += sign * more.Calls
	r.PromptTokens += sign * more.PromptTokens
	r.AnswerTokens += sign * more.AnswerTokens
	r.CostUSD += float64(sign) * more.CostUSD
}

// ImageTokens is what an image is reckoned at. It differs by provider and size; this
// is what a middling one takes. Whoever fits a prompt into what is reserved for it must
// reckon with the same.
const ImageTokens = 1500

// How an attempt's worst case is estimated.
const (
	mostAnswer  = 8192 // tokens of an answer, where no bound is configured,
	answerOf    = 8    // or this part of the budget
	ourTokens   = 1500 // of what our own prompts say
	leastAnswer = 512  // tokens; with less there is no point in asking
	shareOf     = 4    // the synthesis's share is this part of the budget
	warnAt      = 0.8  // of a limit
	toolRounds  = 8    // of a worker with tools, before it answers
	rounding    = 1e-9 // dollars: less is a rounding error
)

// reserve returns the worst case of a subtask's next attempt, nil when the run
// has no budget or the attempt asks no model.
func (r *Run) reserve(s *SubtaskState) *Reserve {
	if !r.Spec.Limits.budgeted() || !s.calls() || s.Kind == KindTool {
		return nil
	}
	if s.Reserved != nil {
		return s.Reserved // the one in flight is made again
	}
	by, role, model := r.whom(s)
	prompt := r.commonTokens(role) + r.funcs.Tokens(s.Description) + r.funcs.Tokens(by.System) + r.questionTokens(s) + r.toolsTokens(by)
	for on := range r.shown(s) {
		prompt += r.textTokens(on.Output)
	}
	given, _ := r.given(s)
	for _, v := range given {
		prompt += r.textTokens(v.Text)
	}
	if s.Rework != nil {
		prompt += r.textTokens(s.Rework.Output) + r.funcs.Tokens(s.Rework.Feedback)
	}
	answer := by.MaxTokens
	if answer == 0 {
		answer = r.answerTokens(model)
	}
	return r.withTools(by, r.withRubrics(s, r.worst(model, prompt, answer), answer))
}

// questionTokens estimates what a subtask's next attempt is asked besides its description.
func (r *Run) questionTokens(s *SubtaskState) int {
	switch {
	case s.Kind == KindPlan:
		task, _ := r.planTask(s)
		return r.funcs.Tokens(task) + r.workersTokens()
	case s.Kind == KindDecide:
		return r.funcs.Tokens(s.Decide.Prompt) + r.funcs.Tokens(strings.Join(s.Decide.Options, " "))
	case s.FellBack && s.OnFailure.Fallback != nil:
		return r.funcs.Tokens(s.OnFailure.Fallback.Prompt)
	}
	return 0
}

// toolsTokens estimates what a worker is told of its tools, with every call.
func (r *Run) toolsTokens(by Worker) int {
	n := 0
	for _, t := range r.Spec.Tools {
		if slices.Contains(by.Tools, t.Name) {
			n += len(t.Name) + r.funcs.Tokens(t.Description) + r.funcs.Tokens(string(t.Schema))
		}
	}
	return n
}

// workersTokens estimates what a planner is told of the configured workers.
func (r *Run) workersTokens() int {
	n := 0
	for _, w := range r.Spec.Workers {
		n += r.funcs.Tokens(w.Description) + len(w.Name)
	}
	return n
}

// withRubrics adds what the evaluator may spend on an output.
func (r *Run) withRubrics(s *SubtaskState, worst *Reserve, output int) *Reserve {
	add := func(c *Check) {
		if c != nil && c.Rubric != "" {
			worst.add(r.worst(r.evaluatorModel(), r.commonTokens(&r.Spec.Evaluator)+r.funcs.Tokens(c.Rubric)+output, leastAnswer))
		}
	}
	add(s.Check)
	if s.Kind == KindWorker {
		for i := range r.Spec.Policy {
			add(&r.Spec.Policy[i])
		}
	}
	return worst
}

// withTools makes room for the rounds in which a worker calls its tools: for as
// many as the budget allows, none if need be.
func (r *Run) withTools(by Worker, worst *Reserve) *Reserve {
	if len(by.Tools) == 0 {
		return worst
	}
	for rounds := toolRounds; rounds > 0; rounds /= 2 {
		whole := *worst
		for range rounds {
			whole.add(worst)
		}
		if r.unaffordable(&whole) == "" {
			return &whole
		}
	}
	return worst
}

// planReserve returns the worst case of the planner's next attempt, by that model.
func (r *Run) planReserve(model string) *Reserve {
	if !r.Spec.Limits.budgeted() {
		return nil
	}
	prompt := r.commonTokens(&r.Spec.Planner.Role) + r.textTokens(r.Planning.Answer) + r.workersTokens()
	for _, s := range r.Subtasks { // of the plan that is to be revised, or given
		prompt += r.funcs.Tokens(s.Description)
		if r.Planning.Version > 0 {
			prompt += min(r.textTokens(s.Output), MaxWholeText)
		}
	}
	return r.worst(model, prompt, r.answerTokens(model))
}

// besidePlanner adds to a draft's worst case that of another question to the planner,
// so that no draft costs the run its plan.
func (r *Run) besidePlanner(draft *Reserve) *Reserve {
	if draft == nil {
		return nil
	}
	both := r.planReserve(r.plannerModel())
	both.add(draft)
	return both
}

// planReserved returns what the planner's next attempt may spend, and the limit that
// has no room for it, "" if none. A call that is made again has what it had, and more
// for what it is given now, if that is affordable.
func (r *Run) planReserved(model string, given []string) (*Reserve, string) {
	p := &r.Planning
	if p.Reserved != nil && len(given) <= len(p.Given) {
		return p.Reserved, ""
	}
	reserved := r.planReserve(model)
	var more *Reserve
	if reserved != nil {
		more = copied(reserved)
		more.sub(p.Reserved)
	}
	limit := r.unaffordable(more)
	if limit != "" && p.Reserved != nil {
		return p.Reserved, ""
	}
	return reserved, limit
}

// synthesisReserve returns the worst case of the next attempt at the synthesis,
// cut to what is left, and the limit that leaves too little for it, "" if none.
func (r *Run) synthesisReserve() (*Reserve, string) {
	if !r.Spec.Limits.budgeted() || r.Synthesis.Reserved != nil { // the one in flight is made again
		return r.Synthesis.Reserved, ""
	}
	model := r.synthesizerModel()
	least := r.commonTokens(&r.Spec.Synthesizer.Role) + r.funcs.Tokens(string(r.Spec.Synthesizer.JSONSchema))
	share := *r
	share.Synthesis.Share, share.Exhausted = nil, nil // the share is what may now be spent
	if limit := share.unaffordable(r.worst(model, least, leastAnswer)); limit != "" {
		return nil, limit
	}
	prompt := least
	for _, s := range r.Subtasks {
		prompt += min(r.textTokens(s.Output), r.Spec.Limits.MaxOutputBytes) + len(s.Description)
	}
	for answer := r.answerTokens(model); ; prompt, answer = max(least, prompt*3/4), max(leastAnswer, answer*3/4) {
		worst := r.worst(model, prompt, answer)
		if share.unaffordable(worst) == "" {
			return worst, ""
		}
	}
}

// share returns what is kept of the budget for the synthesis from the start.
func (r *Run) share() *Reserve {
	l := &r.Spec.Limits
	if !l.budgeted() || r.Spec.Synthesizer.Mode == SynthesizeNone {
		return nil
	}
	return &Reserve{Calls: 1, AnswerTokens: l.MaxTokens / shareOf, CostUSD: l.MaxCostUSD / shareOf}
}

// commonTokens estimates what every prompt of a role says.
func (r *Run) commonTokens(role *Role) int {
	return r.funcs.Tokens(r.Spec.Task) + r.funcs.Tokens(string(r.Spec.Context)) +
		r.funcs.Tokens(role.Prompt) + r.funcs.Tokens(role.System) + ourTokens + ImageTokens*len(r.Spec.Attachments)
}

// textTokens estimates a text that may not be at hand: half a token a byte is
// more than all but the oddest have. The agent shortens what comes out longer.
func (r *Run) textTokens(t Text) int {
	if t.Seq == 0 {
		return r.funcs.Tokens(t.Whole)
	}
	return t.Bytes / 2
}

// answerTokens bounds an answer where nothing is configured: a small budget is
// not held back by what few answers are as long as.
func (r *Run) answerTokens(model string) int {
	l, price := &r.Spec.Limits, r.Spec.Model(model).Price
	most := mostAnswer
	if l.MaxTokens > 0 {
		most = min(most, l.MaxTokens/answerOf)
	}
	if l.MaxCostUSD > 0 && price != nil && price.Output > 0 {
		most = int(min(float64(most), l.MaxCostUSD/answerOf*1e6/price.Output))
	}
	return max(most, leastAnswer)
}

func (r *Run) worst(model string, prompt, answer int) *Reserve {
	usage := Usage{PromptTokens: prompt, CompletionTokens: answer}
	return &Reserve{Calls: 1, PromptTokens: prompt, AnswerTokens: answer, CostUSD: r.Spec.Model(model).Price.Cost(usage)}
}
