package llm

import (
	"cmp"
	"math"
)

// A bill says what a turn was charged, and to whom. Who is not named owes
// nothing: nobody else waited for that turn.
type bill struct {
	run, tenant *party
	charged     int // tokens
	prompt      int // tokens of it
}

const (
	imageTokens = 1500    // as the endpoint may count an image
	leastTokens = 100     // that a call is charged
	mostTokens  = 4 << 20 // the same, whatever an endpoint says
	firstAnswer = 500     // tokens, before any answer was seen
	answerShare = 1.0 / 16
)

// promptTokens guesses how many tokens the request's prompt has. It is for
// comparing calls, and soon corrected: a quarter of the bytes will do.
func promptTokens(req *Request) int {
	bytes, images := 0, 0
	for i := range req.Messages {
		m := &req.Messages[i]
		bytes += len(m.Text)
		images += len(m.Images)
		for j := range m.ToolCalls {
			bytes += len(m.ToolCalls[j].Arguments)
		}
	}
	for i := range req.Tools {
		bytes += len(req.Tools[i].Description) + len(req.Tools[i].Schema)
	}
	return bytes/4 + images*imageTokens
}

// expect returns what a call is expected to cost: its prompt, and an answer as
// long as those of the model were of late.
func (g *gate) expect(prompt, maxAnswer int) int {
	answer := int(g.answer)
	if maxAnswer > 0 {
		answer = min(answer, maxAnswer)
	}
	return max(leastTokens, prompt+answer)
}

// learn takes note of how long an answer was.
func (g *gate) learn(calls []Call) {
	for i := range calls {
		if took := calls[i].Usage.Completion; calls[i].Outcome == OK && took > 0 {
			g.answer += answerShare * (float64(min(took, mostTokens)) - g.answer)
		}
	}
}

// settle corrects the bill when it is known which calls went out for it. A
// prompt of which the endpoint says nothing, as when it refused it or we gave
// up, is charged as it was guessed. No call costs nothing, nor does one that was not
// sent.
func (b bill) settle(calls []Call) {
	if b.run == nil && b.tenant == nil {
		return
	}
	cost := 0
	for i := range calls {
		if calls[i].Unsent {
			continue
		}
		used := calls[i].Usage
		tokens := cmp.Or(max(0, used.Prompt), b.prompt) + max(0, used.Completion)
		if tokens < 0 || tokens > mostTokens {
			tokens = mostTokens
		}
		cost += max(leastTokens, tokens)
	}
	for _, p := range []*party{b.run, b.tenant} {
		if p != nil {
			p.charge(cost - b.charged)
		}
	}
}

// Weight returns the [Place] weight of a run of that priority: 0 is 1, and every
// 2 steps double it.
func Weight(priority int) float64 { return math.Exp2(float64(priority) / 2) }
