package agent

import (
	"cmp"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// A purse is what an attempt may still spend, on all its calls together. A nil
// one pays for anything.
type purse struct {
	left orchestration.Reserve
	kept orchestration.Reserve // a part of it, for calls that come later
}

// free returns what may be spent now.
func (u *purse) free() orchestration.Reserve {
	return orchestration.Reserve{
		Calls:        max(0, u.left.Calls-u.kept.Calls),
		PromptTokens: max(0, u.left.PromptTokens-u.kept.PromptTokens),
		AnswerTokens: max(0, u.left.AnswerTokens-u.kept.AnswerTokens),
	}
}

// pay takes the calls of a request out of it. What a call does not say that it
// cost is estimated.
func (u *purse) pay(calls []llm.Call, request *llm.Request) {
	if u == nil {
		return
	}
	for _, c := range calls {
		u.left.Calls--
		if c.Usage.Prompt > 0 {
			u.left.PromptTokens -= c.Usage.Prompt
		} else {
			u.left.PromptTokens -= spentOn(request)
		}
		u.left.AnswerTokens -= c.Usage.Completion
	}
}

// leastAnswer is the least number of tokens that an answer is worth asking for.
const leastAnswer = 64

// affords reports whether the attempt can pay for so many calls with prompts of
// so many tokens each.
func (p *performance) affords(calls, prompt int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.purse == nil {
		return true
	}
	free := p.purse.free()
	return free.Calls >= calls && free.PromptTokens >= calls*prompt && free.AnswerTokens >= calls*leastAnswer
}

// affordsHedge reports whether the attempt can pay for the request twice. What a
// tenant's budget holds back is for one call.
func (p *performance) affordsHedge(request *llm.Request) bool {
	if p.holds != nil && p.Spec.Held {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.purse == nil {
		return true
	}
	free := p.purse.free()
	return free.Calls >= 2 && free.PromptTokens >= 2*spentOn(request) && free.AnswerTokens >= 2*request.MaxTokens
}

// limit bounds a request's answer by what the attempt may spend; one that may ask
// for tools leaves half of that to the answer that follows.
func (p *performance) limit(request *llm.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.purse == nil {
		return
	}
	most := p.purse.free().AnswerTokens
	if len(request.Tools) > 0 {
		most /= 2
	}
	request.MaxTokens = max(1, min(cmp.Or(request.MaxTokens, most), most))
}

// keepForChecks keeps a part of what a worker's attempt may spend for the
// rubrics that its output is to be judged by.
func (p *performance) keepForChecks(c *orchestration.Work) { p.keepRubrics(c, rubricsOf(c.Checks)) }

// keepRubrics keeps what so many verdicts may take: a call each and, of the
// tokens, as much as it is likely to need, but no more than an equal share.
func (p *performance) keepRubrics(c *orchestration.Work, rubrics int) {
	if p.purse == nil {
		return
	}
	u := p.purse
	u.kept = orchestration.Reserve{Calls: min(rubrics, max(0, u.left.Calls-1))}
	if u.kept.Calls == 0 {
		return
	}
	spec, longest := p.specOf(c), 0
	for _, check := range c.Checks {
		longest = max(longest, tokens(check.Rubric))
	}
	prompt := tokens(judgeOpening+evaluatorSystem+judgeForm+spec.Task+string(spec.Context)+c.Subtask.Description) + longest + u.left.AnswerTokens
	u.kept.PromptTokens = min(prompt, u.left.PromptTokens/u.left.Calls) * u.kept.Calls
	u.kept.AnswerTokens = min(verdictTokens, u.left.AnswerTokens/u.left.Calls) * u.kept.Calls
}

// verdictTokens is what a verdict takes, as the core reckons. What the worker leaves
// is added.
const verdictTokens = 512
