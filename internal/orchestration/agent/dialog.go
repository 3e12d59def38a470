package agent

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// A dialog is a conversation with a model within an attempt. Its time counts
// from its first slot, over all its calls.
type dialog struct {
	p       *performance
	request llm.Request        // the next one; its messages are the conversation so far
	show    *deltas            // nil: nobody listens
	hear    func(piece string) // is told what is streamed of the first answer; nil: nobody listens
	name    string             // begins the idempotency keys: unique in the run
	number  int                // of calls so far
	started *time.Time         // the first of them
}

// dialog begins a conversation of the performance.
func (p *performance) dialog(role orchestration.Role, messages []llm.Message) *dialog {
	return &dialog{
		p:       p,
		name:    p.Run + "/" + p.call,
		started: new(time.Time),
		request: llm.Request{
			Role: p.role, Model: p.model.Name, Messages: messages,
			ReasoningEffort: role.ReasoningEffort,
			Stream:          p.model.Stream == orchestration.StreamAlways,
			Place: llm.Place{
				Tenant: p.Spec.Tenant, Run: p.Run, Weight: llm.Weight(p.Spec.Priority), Deadline: p.Deadline,
			},
		},
	}
}

// opening is the beginning of a conversation.
func opening(system, user string, images []llm.Image) []llm.Message {
	return []llm.Message{{Author: llm.System, Text: system}, {Author: llm.User, Text: user, Images: images}}
}

// listen shows the answer while it is being written, where somebody listens and
// the model may stream.
func (d *dialog) listen(subtask string) {
	p := d.p
	if p.Deltas == nil || p.model.Stream == orchestration.StreamNever {
		return
	}
	d.request.Stream = true
	d.show = newDeltas(p, subtask)
}

// reply adds the model's answer and what we say to it.
func (d *dialog) reply(answer, ours string) {
	d.request.Messages = replied(d.request.Messages, answer, ours)
}

func replied(messages []llm.Message, answer, ours string) []llm.Message {
	return append(slices.Clip(messages), llm.Message{Author: llm.Assistant, Text: answer}, llm.Message{Author: llm.User, Text: ours})
}

// ask returns the model's answer to the conversation. One that was cut off at
// the token limit is continued once.
func (d *dialog) ask(ctx context.Context) (string, *orchestration.Failure) {
	resp, failure := d.turn(ctx)
	if failure != nil {
		return "", failure
	}
	return d.finish(ctx, resp)
}

// turn has the model answer the conversation, or ask for tools where it has any.
// What it writes is shown only where it must be the answer.
func (d *dialog) turn(ctx context.Context) (*llm.Response, *orchestration.Failure) {
	request := d.request
	request.OnText = d.hear
	if d.show != nil && len(request.Tools) == 0 {
		request.OnText = d.show.write
	}
	resp, err := d.call(ctx, &request)
	if err != nil {
		failure := d.p.failed(ctx, err)
		if failure.Code == orchestration.CodeContextTooLong {
			failure.Retryable = d.p.learn(err, &request)
		}
		return nil, failure
	}
	return resp, nil
}

// finish returns the whole answer that a response begins.
func (d *dialog) finish(ctx context.Context, resp *llm.Response) (string, *orchestration.Failure) {
	text, shown := resp.Text, len(resp.Text)
	if len(d.request.Tools) > 0 {
		shown = 0
	}
	if resp.Truncated {
		var failure *orchestration.Failure
		if text, failure = d.continued(ctx, text); failure != nil {
			return "", failure
		}
	}
	d.show.write(text[shown:])
	d.show.end()
	return text, nil
}

const continueWords = "Your answer was cut off. Continue it exactly where it stopped: " +
	"write only what is missing, repeat nothing, and add no introduction."

// continued has the model go on with an answer that was cut off. The call is
// not held to a schema, since a part of an answer satisfies none.
func (d *dialog) continued(ctx context.Context, part string) (string, *orchestration.Failure) {
	request := d.request
	request.Messages = replied(request.Messages, part, continueWords)
	request.Schema, request.Tools = nil, nil
	window := d.p.windows.of(d.p.model)
	if d.spent(&request) {
		return "", truncated("the answer was cut off at the token limit that the run's budget sets, and there is nothing left to continue it")
	}
	if strings.TrimSpace(readAnswer(part)) == "" || window > 0 && spent(request.Messages) >= window {
		return "", truncated("the answer was cut off at the model's token limit, and there is no room to continue it")
	}
	resp, err := d.call(ctx, &request)
	switch outcome := outcomeOf(err); {
	case outcome == llm.ContextTooLong || outcome == llm.Truncated || err == nil && resp.Truncated:
		return "", truncated("the answer was cut off at the model's token limit, and so was its continuation")
	case err != nil:
		return "", d.p.failed(ctx, err)
	}
	return join(part, resp.Text), nil
}

// call sends a request of the conversation in the time that is left to it.
func (d *dialog) call(ctx context.Context, request *llm.Request) (*llm.Response, error) {
	left, ok := d.left()
	if !ok {
		return nil, &llm.Error{Outcome: llm.Timeout, Detail: "no time was left to go on"}
	}
	request.Timeout = left
	d.number++
	request.IdempotencyKey = d.name + "/" + strconv.Itoa(d.number)
	request.CacheKey = d.p.prefixKey(request)
	d.p.limit(request)
	if err := d.hold(ctx, request); err != nil {
		return nil, err
	}
	request.Hedge = d.p.affordsHedge(request)
	resp, err := d.send(ctx, request)
	calls := llm.Calls(resp, err)
	d.p.record(calls, request)
	if d.started.IsZero() && len(calls) > 0 {
		*d.started = calls[0].Started
	}
	return resp, err
}

// left returns the time that is left to the conversation, 0 for any, and whether
// there is some.
func (d *dialog) left() (time.Duration, bool) {
	if d.p.timeout <= 0 || d.started.IsZero() {
		return d.p.timeout, true
	}
	left := d.p.timeout - time.Since(*d.started)
	return left, left > 0
}

// spent reports whether the attempt cannot pay for the request.
func (d *dialog) spent(request *llm.Request) bool { return !d.p.affords(1, spentOn(request)) }

// What counts as a repetition where a continuation joins its beginning: shorter
// ones may be meant.
const (
	minOverlap = 16
	maxOverlap = 4 << 10
)

// join puts a continuation behind its beginning, without what it repeats of it.
func join(part, rest string) string {
	rest = resumed(part, rest)
	if len(part) >= minOverlap && strings.HasPrefix(rest, part) {
		return rest
	}
	for n := min(len(part), len(rest), maxOverlap); n >= minOverlap; n-- {
		if repeated := rest[:n]; strings.HasSuffix(part, repeated) && strings.TrimLeft(repeated, repeated[:1]) != "" {
			return part + rest[n:]
		}
	}
	return part + rest
}

// resumed returns a continuation without thinking at its start, which would be
// in the middle of the answer, and without a second opening of the answer.
func resumed(part, rest string) string {
	text := strings.TrimSpace(rest)
	if strings.HasPrefix(text, "<think>") {
		if _, after, found := strings.Cut(text, "</think>"); found {
			rest, text = after, strings.TrimSpace(after)
		}
	}
	const tag = "<" + responseTag + ">"
	if after, found := strings.CutPrefix(text, tag); found && strings.Contains(part, tag) {
		return after
	}
	return rest
}
