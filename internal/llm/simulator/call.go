package simulator

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// A call is one request on its way through the simulator.
type call struct {
	Request
	sim    *Simulator
	w      http.ResponseWriter
	body   *chatRequest
	record *Record
	rng    *rand.Rand // seeded by the options and the index: for rates

	digest    digest // of the model and the messages
	continues int    // the last messages that ask for the rest of an answer: 2 or 0
	seed      uint64 // of the answer: the digest without those
	prompt    int    // tokens
	cached    int    // tokens
	fault     Fault
	answer    answer
	pace      pace
}

// An answer is what is to be sent.
type answer struct {
	text    string
	calls   []ToolCall
	refusal string
	finish  string // finish_reason
	usage   Usage
}

// measure counts and hashes the prompt, and looks it up in the prefix cache.
func (c *call) measure() *apiError {
	size := 0
	c.digest.mark = c.sim.opts.PrefixCache != NoCache
	c.digest.add(c.Model + "\x00")
	for i, m := range c.Messages {
		if i == len(c.Messages)-c.continues {
			c.seed = c.digest.sum
		}
		c.digest.add(m.Author + "\x00")
		c.digest.add(m.Text)
		size += len(m.Text) + 4*tokenBytes + 85*tokenBytes*m.Images // as OpenAI counts a small image
		for _, asked := range m.ToolCalls {
			c.digest.add(asked.Name + "\x00" + asked.Arguments)
			size += len(asked.Name) + len(asked.Arguments)
		}
	}
	for _, t := range c.body.Tools {
		size += len(t.Function.Name) + len(t.Function.Description) + len(t.Function.Parameters)
	}
	if c.continues == 0 {
		c.seed = c.digest.sum
	}
	c.prompt = tokens(size)
	if window := c.sim.opts.ContextWindow; window > 0 && c.prompt > window {
		return invalid("context_length_exceeded", "messages", fmt.Sprintf(
			"This model's maximum context length is %d tokens. However, your messages resulted in %d tokens. Please reduce the length of the messages.",
			window, c.prompt))
	}
	if c.sim.opts.PrefixCache != NoCache {
		c.cached = min(c.sim.cache.cached(c.digest.blocks, c.sim.opts.PrefixCache == CacheAtOnce), c.prompt)
	}
	return nil
}

// tokens is how many tokens n bytes are.
func tokens(n int) int { return (n + tokenBytes - 1) / tokenBytes }

// sent marks the moment when the first token goes out: whoever has read it can rely
// on the prefix.
func (c *call) sent() {
	if c.sim.opts.PrefixCache == CacheFirstToken {
		c.sim.cache.add(c.digest.blocks)
	}
}

// perform answers the call, or lets it fail.
func (c *call) perform(f Fault) {
	c.fault = f
	c.sim.ledger.edit(func() { c.record.Fault = f })
	if fail := faultErrors[f]; fail != nil {
		c.fail(fail)
		return
	}
	if f == StreamError && !c.Stream {
		c.fail(faultErrors[ServerError])
		return
	}
	if fail := c.decide(); fail != nil {
		c.fail(fail)
		return
	}
	c.sim.ledger.edit(func() {
		c.record.Reply, c.record.Asked, c.record.Usage = c.answer.text, c.answer.calls, c.answer.usage
	})
	switch {
	case f == Hang:
		<-c.Context().Done()
		panic(http.ErrAbortHandler)
	case f == NotJSON:
		c.sendHTML()
	case c.Stream && f != NotStream:
		c.sendStream()
	default:
		c.sendWhole()
	}
}

// decide makes the answer: the hook's, or the role's with what the fault and
// the token limit do to it.
func (c *call) decide() *apiError {
	read := read(c.Role, c.Messages[:len(c.Messages)-c.continues])
	c.pace = c.sim.opts.pace(c.rng.Float64(), read.wish)
	flaw := pick(c.sim.opts.Malformed, numFlaws, c.rng.Float64())
	if hook := c.sim.opts.Answer; hook != nil {
		if reply, ok := hook(c.Request); ok {
			c.answer = answer{text: reply.Text, calls: reply.ToolCalls, finish: reply.FinishReason}
			c.finish(reply.Usage)
			return nil
		}
	}
	if c.answer.calls = c.callsTools(read); c.answer.calls == nil {
		text, fail := c.compose(read, flaw)
		if fail != nil {
			return fail
		}
		c.answer.text = c.rest(text)
	}
	c.finish(nil)
	return nil
}

// continued returns 2 where the last two messages are the start of an answer
// and the wish that it be continued, else 0.
func continued(messages []Message) int {
	n := len(messages)
	if n > 2 && messages[n-2].Author == "assistant" && messages[n-1].Author == "user" && strings.Contains(clip(messages[n-1].Text, 400), "ontinue") {
		return 2
	}
	return 0
}

// rest is what is left to say of text in a conversation that asks to continue it.
func (c *call) rest(text string) string {
	if c.continues == 0 {
		return text
	}
	start := c.Messages[len(c.Messages)-2].Text
	if rest, ok := strings.CutPrefix(text, start); ok && rest != "" {
		return rest
	}
	return text
}

// finish gives the answer its end: what the fault and the token limit leave of it.
func (c *call) finish(usage *Usage) {
	a := &c.answer
	if a.finish == "" && len(a.calls) > 0 {
		a.finish = "tool_calls"
	} else if a.finish == "" {
		a.finish = "stop"
	}
	switch half := a.size() / 2; c.fault {
	case Empty:
		a.cut(0)
	case Truncated:
		a.cut(half)
		a.finish = "length"
	case Filtered:
		a.cut(half)
		a.finish = "content_filter"
	case Refusal:
		a.cut(0)
		a.refusal = refusalText
	}
	reasoning := c.sim.opts.ReasoningTokens
	if c.MaxTokens > 0 && tokens(a.size())+reasoning > c.MaxTokens {
		reasoning = min(reasoning, c.MaxTokens)
		a.cut((c.MaxTokens - reasoning) * tokenBytes)
		a.finish = "length"
	}
	a.usage = Usage{
		Prompt: c.prompt, Cached: c.cached,
		Completion: tokens(a.size()+len(a.refusal)) + reasoning, Reasoning: reasoning,
	}
	if usage != nil {
		a.usage = *usage
	}
}

// compose makes up the answer of the call's role.
func (c *call) compose(r reading, flaw Flaw) (string, *apiError) {
	schema := c.body.schema()
	seed := c.seed
	if c.Role == Planner { // so that it goes on with a plan as it began it
		h := fnv.New64a()
		_, _ = io.WriteString(h, r.task)
		seed = h.Sum64()
	}
	made := &composer{
		reading: r, wantsJSON: schema != nil || c.body.ResponseFormat.Type == "json_object",
		rng: rand.New(rand.NewPCG(seed, c.sim.opts.Seed)),
	}
	h, planned := planHints(schema)
	switch {
	case c.Role == Planner && (schema == nil || planned):
		return made.write(made.plan(h), flaw), nil
	case c.Role == Worker && len(r.wish.answers) > 0:
		if made.wantsJSON {
			return made.given(), nil
		}
		return made.respond(made.given()), nil
	case schema != nil:
		text, err := valueFor(schema, made.aim(schema))
		if err != nil {
			return "", invalid("", "response_format",
				fmt.Sprintf("Invalid schema for response_format '%.64s': %v", c.Schema, err))
		}
		return text, nil
	case c.Role == Evaluator:
		return made.judge(), nil
	case c.Role == Synthesizer:
		return made.asked(made.synthesize()), nil
	}
	return made.asked(made.work()), nil
}

// A pace is how long a call takes.
type pace struct {
	latency, first, interval time.Duration
}

// pace of a call: u draws whether it is one of the tail.
func (o *Options) pace(u float64, wish directive) pace {
	p := pace{o.Latency, o.FirstToken, o.TokenInterval}
	if wish.paced {
		return pace{latency: wish.latency}
	}
	if u < o.TailShare {
		for _, d := range []*time.Duration{&p.latency, &p.first, &p.interval} {
			*d = time.Duration(float64(*d) * o.TailFactor)
		}
	}
	return p
}

// wait pauses for d. It returns false when the caller has gone before.
func (c *call) wait(d time.Duration) bool {
	if d <= 0 {
		return c.Context().Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.Context().Done():
		return false
	}
}
